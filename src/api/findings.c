/* When findings are written: at exit, and when the signal comes; see findings.h.
 *
 * Exit    by on_exit, registered by the first constructor of the process: so it runs last, when the program's and the
 *         libraries' own destructors have freed what they free. exit may be called again from there: it goes on with what is
 *         left (nothing but the streams), and its status counts.
 * Signal  the handler notes the request and wakes a thread of ours, which writes. A child of fork has no such thread: it
 *         writes at its exit.
 */
#include "api/findings.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "api/real.h"
#include "api/report.h"
#include "api/findings_out.h"
#include "api/outfile.h"
#include "api/thread.h"
#include "base/compiler.h"
#include "os/os.h"
#include "os/probe.h"

enum { FINDINGS_STDERR = 2 };

static struct {
    const struct options *options;
    struct os_output err;    /* stderr as it was at the start: programs close their own on the way out */
    bool is_other_process;   /* than the one that report_pid names */
    uint32_t n_requests; /* futex; atomic */
} findings_state;

static void findings_warn(const char *option)
{
    char line[128];
    struct fmt f = fmt_init(line, sizeof(line));

    fmt_str(&f, "libgcmalloc: option ");
    fmt_str(&f, option);
    fmt_str(&f, ": the file cannot be written");
    fmt_end_line(&f);
    os_write_all(FINDINGS_STDERR, line, f.len);
}

/* A file that is the whole of gcrun's command's is not for the programs that the command becomes or starts. */
static bool findings_is_others(const char *pattern)
{
    return findings_state.is_other_process && pattern[0] != '\0' && strstr(pattern, "%p") == NULL;
}

static void findings_write_profile(void)
{
    const char *pattern = findings_state.options->profile_file;

    if (pattern[0] == '\0' || findings_is_others(pattern))
        return;
    int fd = outfile_empty(pattern);
    if (fd < 0 || findings_profile(fd, FINDINGS_LIVE) != 0)
        findings_warn("profile_file");
    if (fd >= 0)
        os_probe_close(fd);
}

static bool findings_is_json(const char *path)
{
    size_t len = strlen(path);

    return len >= 5 && strcmp(path + len - 5, ".json") == 0;
}

static uint64_t findings_write_leaks(void)
{
    const char *pattern = findings_state.options->leaks_file;
    bool has_file = pattern[0] != '\0';
    int fd = -1;

    if (!findings_state.options->leaks || findings_is_others(pattern))
        return 0;
    if (has_file && (fd = outfile_empty(pattern)) < 0)
        findings_warn("leaks_file");
    has_file = fd >= 0;
    if (!has_file)
        fd = os_output_fd(&findings_state.err);
    struct findings_out out;
    findings_out_init(&out, fd, FINDINGS_AT_EASE);
    struct findings_leaks_result result = findings_leaks(&out, has_file && findings_is_json(pattern));
    if (has_file)
        os_probe_close(fd);
    return result.n_blocks;
}

static void findings_at_exit(int status, void *arg)
{
    int leaks_status = findings_state.options->leaks_exit;

    (void)arg;
    findings_write_profile();
    if (findings_write_leaks() != 0 && leaks_status != 0 && leaks_status != status)
        exit(leaks_status);
}

/* ---- signal ---- */

static void findings_on_signal(int signal_no)
{
    (void)signal_no;
    __atomic_add_fetch(&findings_state.n_requests, 1, __ATOMIC_RELEASE);
    os_futex_wake(&findings_state.n_requests, 1);
}

static void *findings_thread(void *arg)
{
    uint32_t n_seen = 0;

    (void)arg;
    for (;;) {
        os_futex_wait(&findings_state.n_requests, n_seen, UINT64_MAX);
        uint32_t n = __atomic_load_n(&findings_state.n_requests, __ATOMIC_ACQUIRE);
        if (n == n_seen)
            continue;
        n_seen = n;
        findings_write_profile();
        findings_write_leaks();
    }
    return NULL;
}

static void findings_take_signal(enum option_signal which)
{
    static const int numbers[OPTION_SIGNAL_N] = {
        [OPTION_SIGNAL_HUP] = SIGHUP,   [OPTION_SIGNAL_QUIT] = SIGQUIT, [OPTION_SIGNAL_USR1] = SIGUSR1,
        [OPTION_SIGNAL_USR2] = SIGUSR2, [OPTION_SIGNAL_PWR] = SIGPWR,
    };
    struct sigaction action = {.sa_handler = findings_on_signal, .sa_flags = SA_RESTART};

    sigfillset(&action.sa_mask);
    if (thread_start_reporter(findings_thread, NULL) == 0)
        sigaction(numbers[which], &action, NULL); /* ours: a handler without its trampoline makes no gate trusted */
}

bool findings_leaks_are_recorded(void)
{
    return findings_state.options != NULL && findings_state.options->leaks;
}

void findings_start(const struct options *o)
{
    findings_state.options = o;
    findings_state.is_other_process = o->report_pid != 0 && o->report_pid != os_getpid();
    if (o->leaks)
        os_output_keep(&findings_state.err, FINDINGS_STDERR, false);
    if (o->has_paths)
        findings_leaks_read_suppressions(o->suppressions);
    if (o->leaks || (o->has_paths && o->profile_file[0] != '\0'))
        on_exit(findings_at_exit, NULL);
    if (o->signal != OPTION_SIGNAL_NONE)
        findings_take_signal((enum option_signal)o->signal);
}
