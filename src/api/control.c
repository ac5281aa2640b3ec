/* Answering requests from outside; see control.h.
 *
 * What    runs in the handler of the stop signal, at a moment at which a handler of the program's could call malloc
 *         and so collect (os_request_set_server says when). A thread in a wrapped call steps out of the published
 *         state for it; the wrapper calls again when the kernel gave up the call for the signal's sake (block.h).
 * Locks   is_serving: one answer at a time. It is only tried: whoever asks repeats the request. The end of the process
 *         takes it for good, so that no answer is left half written, and what it writes itself is alone.
 * Not here  who may ask: the kernel lets root and the same user queue a signal.
 */
#include "api/control.h"

#include <errno.h>
#include <stdbool.h>
#include "api/alloc.h"
#include "api/findings.h"
#include "api/out.h"
#include "api/outfile.h"
#include "api/report.h"
#include "base/counters.h"
#include "gc/snapshot.h"
#include "gc/withhold.h"
#include "os/os.h"
#include "os/probe.h"

enum { CONTROL_N_ANSWERED = 32 };
#define CONTROL_END_NS UINT64_C(2000000000) /* nobody should have to wait longer to end */
#define CONTROL_END_STEP_NS UINT64_C(5000000)

static struct {
    uint32_t is_serving; /* atomic */
    uint32_t answered[CONTROL_N_ANSWERED]; /* ids of the last answers, round and round: repeats of these come late */
    uint32_t n_answered;
} control;

/* ---- the file ---- */

enum { CONTROL_ID_DIGITS = 8 };

static void control_put_path(struct fmt *f, const char *directory, uint32_t id)
{
    fmt_str(f, directory);
    fmt_str(f, CONTROL_FILE_PREFIX);
    for (int i = CONTROL_ID_DIGITS; i-- > 0;)
        fmt_char(f, "0123456789abcdef"[id >> (4 * i) & 15]);
}

struct control_file {
    char path[CONTROL_PATH_MAX], part[CONTROL_PATH_MAX];
    int fd;
};

static bool control_open(struct control_file *file, uint32_t id)
{
    static const char *const directories[] = CONTROL_DIRECTORIES;

    file->fd = -1;
    for (size_t i = 0; i < N_ELEMENTS(directories) && file->fd < 0; i++) {
        struct fmt path = fmt_init(file->path, sizeof(file->path));
        struct fmt part = fmt_init(file->part, sizeof(file->part));

        control_put_path(&path, directories[i], id);
        control_put_path(&part, directories[i], id);
        fmt_str(&part, CONTROL_PART_SUFFIX);
        fmt_cstr(&path);
        file->fd = outfile_create(fmt_cstr(&part));
    }
    return file->fd >= 0;
}

static void control_close(const struct control_file *file)
{
    os_probe_close(file->fd);
    os_file_rename(file->part, file->path);
}

/* ---- the answers ---- */

static void control_collect(int fd)
{
    uint64_t blocks = counter_get(COUNTER_BLOCKS_RECLAIMED), bytes = counter_get(COUNTER_BYTES_RECLAIMED);
    enum cycle_skip skip = api_collect_after_others(CYCLE_EXPLICIT);
    struct out o;

    out_init(&o, fd);
    if (skip != SKIP_NONE) {
        fmt_str(&o.f, "skipped: ");
        fmt_str(&o.f, cycle_skip_name(skip));
    } else {
        fmt_str(&o.f, "collected: ");
        fmt_u64(&o.f, counter_get(COUNTER_BLOCKS_RECLAIMED) - blocks);
        fmt_str(&o.f, " blocks, ");
        fmt_bytes(&o.f, counter_get(COUNTER_BYTES_RECLAIMED) - bytes);
        fmt_str(&o.f, " reclaimed");
    }
    out_end_line(&o);
}

static void control_off(int fd)
{
    struct out o;

    cycle_set_mode(MODE_OFF);
    withhold_settings_changed();
    out_init(&o, fd);
    out_line(&o, "collection is off");
}

/* Where each block comes from must have been recorded from the start. */
static void control_leaks(int fd)
{
    static struct findings_out findings BULKY; /* is_serving; too large for the stack of a handler */
    struct findings_leaks_result result;
    struct out o;

    out_init(&o, fd);
    if (!findings_leaks_are_recorded()) {
        out_line(&o, "gcmalloc: leaks: not recorded; start the process with gcrun --leaks, or GCMALLOC=leaks=1");
        return;
    }
    findings_out_init(&findings, fd, FINDINGS_IN_HANDLER);
    result = findings_leaks(&findings, false);
    if (result.error == 0 && result.n_blocks == 0)
        out_line(&o, "gcmalloc: leaks: none");
}

static void control_answer(int fd, enum control_request request)
{
    switch (request) {
    case CONTROL_REPORT:
        report_stats(fd);
        report_doctor(fd);
        control_leaks(fd);
        return;
    case CONTROL_STATS:
        report_stats(fd);
        return;
    case CONTROL_COLLECT:
        control_collect(fd);
        return;
    case CONTROL_OFF:
        control_off(fd);
        return;
    case CONTROL_SNAPSHOT:
        break;
    }
}

/* The clone gives the file its name. What it could not do is told in words, which no snapshot begins with. */
static void control_snapshot(struct control_file *file)
{
    struct snapshot_request request = {file->fd, file->part, file->path};
    int error = EAGAIN;
    struct out o;

    if (snapshot_claim()) {
        snapshot_begin(&request);
        api_collect_after_others(CYCLE_INQUIRY);
        error = snapshot_end(false);
    }
    if (error == 0) {
        os_probe_close(file->fd);
        return;
    }
    out_init(&o, file->fd);
    out_line(&o, error == EAGAIN ? "no snapshot: another is being made"
                                 : "no snapshot: the collection that it needs was skipped, or no clone could be made");
    control_close(file);
}

/* A request that this library does not know is not answered. */
static void control_serve_file(uint32_t id, enum control_request request)
{
    struct control_file file;

    if (request < CONTROL_REPORT || request > CONTROL_OFF || !control_open(&file, id))
        return;
    if (request == CONTROL_SNAPSHOT) {
        control_snapshot(&file);
        return;
    }
    control_answer(file.fd, request);
    control_close(&file);
}

/* ---- the request ---- */

static bool control_may_serve(void)
{
    return api_state.is_initialised && !api_state.is_passthrough && api_tls.in_cycle == 0 && !api_tls.is_retired &&
           !api_tls.has_deferred && !os_seccomp_is_on(); /* a signal that waits would be let in on the handler's stack */
}

/* false: it was answered before. */
static bool control_note(uint32_t id)
{
    for (uint32_t i = 0; i < CONTROL_N_ANSWERED; i++)
        if (control.answered[i] == id)
            return false;
    control.answered[control.n_answered++ % CONTROL_N_ANSWERED] = id;
    return true;
}

static bool control_claim(void)
{
    uint32_t expected = 0;

    return __atomic_compare_exchange_n(&control.is_serving, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Other signals of this thread, further requests among them, stay out until this one is claimed. */
static void control_serve(uint64_t value)
{
    uint32_t id = (uint32_t)(value >> CONTROL_REQUEST_BITS);
    int saved_errno = errno;
    bool was_published;

    api_tls.was_asked = true; /* a repeated request interrupts a call as well */
    if (!control_may_serve() || !control_claim())
        return;
    os_signals_hold_in_handler();
    was_published = os_gate_suspend();
    snapshot_reap();
    if (control_note(id))
        control_serve_file(id, (enum control_request)(value & ((1u << CONTROL_REQUEST_BITS) - 1)));
    __atomic_store_n(&control.is_serving, 0, __ATOMIC_RELEASE);
    os_gate_resume(was_published);
    errno = saved_errno;
}

bool control_end(void)
{
    uint64_t end_ns = 0; /* the clock is asked only where it waits */

    while (!control_claim()) {
        uint64_t now_ns = os_clock_ns();

        if (end_ns == 0)
            end_ns = now_ns + CONTROL_END_NS;
        if (now_ns >= end_ns)
            return false;
        os_futex_wait(&control.is_serving, 1, CONTROL_END_STEP_NS);
    }
    return true;
}

void control_init(void)
{
    os_request_set_server(control_serve);
    os_request_listen();
}

void control_fork_child(void)
{
    control.is_serving = 0;
}
