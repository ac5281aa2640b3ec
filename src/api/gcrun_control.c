/* gcrun --pid: asking a process that runs under the library.
 *
 * What    queues the stop signal with a request, again and again, until the answer's file appears (control.h), and prints
 *         it. A thread that is inside the allocator drops the request; the next one, or the same a moment later, serves
 *         it. The threads that are asked change from time to time: one may be stopped in the kernel.
 * Safety  a process that has no handler for the signal would die of it, so its own is looked for each time, and the
 *         library among its mappings, under a lock that keeps it from becoming another program meanwhile (os/request.c).
 */
#include "api/gcrun.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "api/control.h"
#include "os/os.h"

enum {
    CONTROL_SIGNAL = 33,
    CONTROL_STEP_MS = 10,
    CONTROL_WAIT_MS = 10000,        /* until somebody begins to answer */
    CONTROL_ANSWER_MS = 600 * 1000, /* until the answer is complete */
    CONTROL_MAX_TASKS = 4096,
    CONTROL_N_REPEATS = 3, /* after a snapshot: the process reaps its clone */
};

struct target {
    pid_t pid;
    uid_t uid;
    int root_fd; /* its root, which may be a container's, and stays when the process ends */
    uint32_t id;
    enum control_request request;
};

/* ---- the process ---- */

static char *file_read(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (f == NULL)
        return NULL;
    if (getdelim(&text, &size, 0, f) < 0) {
        free(text);
        text = NULL;
    }
    fclose(f);
    return text;
}

static char *target_read(const struct target *t, const char *name)
{
    char *path = gcrun_format("/proc/%d/%s", t->pid, name);
    char *text = file_read(path);
    int error = errno;

    free(path);
    if (text == NULL && (error == EACCES || error == EPERM))
        gcrun_fail(STATUS_FAILED, "process %d: not permitted: it belongs to another user, or hides from others", t->pid);
    if (text == NULL)
        gcrun_fail(STATUS_FAILED, "process %d: not found", t->pid);
    return text;
}

/* A hexadecimal field of /proc/PID/status. */
static uint64_t status_field(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    return line != NULL ? strtoull(line + strlen(name), NULL, 16) : 0;
}

static bool target_has_handler(const struct target *t)
{
    char *status = target_read(t, "status");
    bool has_handler = (status_field(status, "\nSigCgt:") >> (CONTROL_SIGNAL - 1) & 1) != 0;

    free(status);
    return has_handler;
}

static void target_check(struct target *t)
{
    char *maps, *path = gcrun_format("/proc/%d", t->pid);
    struct stat st;

    if (stat(path, &st) != 0)
        gcrun_fail(STATUS_FAILED, "process %d: not found", t->pid);
    free(path);
    t->uid = st.st_uid;
    path = gcrun_format("/proc/%d/root", t->pid);
    t->root_fd = open(path, O_PATH | O_CLOEXEC);
    free(path);
    maps = target_read(t, "maps");
    if (strstr(maps, "/libgcmalloc.so") == NULL)
        gcrun_fail(STATUS_FAILED, "process %d: does not run under the library (gcrun starts programs so)", t->pid);
    if (!target_has_handler(t))
        gcrun_fail(STATUS_FAILED, "process %d: takes no requests: its calls are filtered, or malloc is not the library's",
                   t->pid);
    free(maps);
}

/* ---- asking ---- */

static void target_fill(const struct target *t, siginfo_t *info)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = CONTROL_SIGNAL;
    info->si_code = SI_QUEUE;
    info->si_errno = OS_REQUEST_MAGIC;
    info->si_pid = getpid();
    info->si_uid = getuid();
    info->si_value.sival_ptr = (void *)((uintptr_t)t->id << CONTROL_REQUEST_BITS | (uintptr_t)t->request);
}

/* First the main thread, which is there in most programs, then one after the other. */
static pid_t task_choose(const struct target *t, unsigned round)
{
    char *path = gcrun_format("/proc/%d/task", t->pid);
    pid_t tids[CONTROL_MAX_TASKS];
    unsigned n = 0;
    DIR *dir = opendir(path);

    for (struct dirent *e; dir != NULL && n < CONTROL_MAX_TASKS && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.')
            tids[n++] = atoi(e->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    free(path);
    return n == 0 || round == 0 ? t->pid : tids[(round - 1) % n];
}

/* In its own view of /proc, where there is one: elsewhere the same file is another one. */
static int target_open_status(const struct target *t)
{
    char *status = target_read(t, "status"), *line = strstr(status, "\nNSpid:"), *path;
    int inner = t->pid, fd = -1;

    for (char *end = line != NULL ? line + sizeof("\nNSpid:") - 1 : NULL; end != NULL && *end == '\t';)
        inner = (int)strtol(end, &end, 10);
    free(status);
    if (inner != t->pid) {
        path = gcrun_format("/proc/%d/root/proc/%d/status", t->pid, inner);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        free(path);
    }
    if (fd >= 0)
        return fd;
    path = gcrun_format("/proc/%d/status", t->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    return fd;
}

/* Its memory first: with the library in it, it is no program that an exec has just begun, and no exec is under way. */
static bool target_is_ready(const struct target *t)
{
    char *maps = target_read(t, "maps");
    bool has_library = strstr(maps, "/libgcmalloc.so") != NULL;

    free(maps);
    return has_library && target_has_handler(t);
}

static int target_queue(const struct target *t, unsigned round)
{
    siginfo_t info;

    target_fill(t, &info);
    return syscall(SYS_rt_tgsigqueueinfo, t->pid, task_choose(t, round), CONTROL_SIGNAL, &info) == 0 ? 0 : errno;
}

/* It may have become another program meanwhile, or be about to; one with the library has its handler in a moment. */
static void target_ask(const struct target *t, unsigned round)
{
    int fd = target_open_status(t), error = EAGAIN;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && target_is_ready(t))
        error = target_queue(t, round);
    if (fd >= 0)
        close(fd);
    if (error == EPERM)
        gcrun_fail(STATUS_FAILED, "process %d: not permitted: it belongs to another user", t->pid);
    if (error == ESRCH && kill(t->pid, 0) != 0 && errno == ESRCH)
        gcrun_fail(STATUS_FAILED, "process %d: ended before it answered", t->pid);
}

/* ---- the answer ---- */

static char *answer_path(const struct target *t, const char *directory, const char *suffix)
{
    return gcrun_format("/proc/self/fd/%d%s" CONTROL_FILE_PREFIX "%08" PRIx32 "%s", t->root_fd, directory, t->id, suffix);
}

/* Path of the answer, or of its part, wherever it lies; NULL: nowhere. */
static char *answer_find(const struct target *t, const char *suffix)
{
    static const char *const directories[] = CONTROL_DIRECTORIES;

    for (size_t i = 0; i < N_ELEMENTS(directories); i++) {
        char *path = answer_path(t, directories[i], suffix);
        struct stat st;

        if (lstat(path, &st) == 0)
            return path;
        if (errno == EACCES)
            gcrun_fail(STATUS_FAILED, "process %d: not permitted to look into its files", t->pid);
        free(path);
    }
    return NULL;
}

static void pause_ms(long ms)
{
    struct timespec step = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&step, NULL);
}

/* A zombie has no file to run either. */
static bool target_is_gone(const struct target *t)
{
    char *path = gcrun_format("/proc/%d/exe", t->pid);
    char target[PATH_MAX];
    bool is_gone = readlink(path, target, sizeof(target)) < 0 && (errno == ENOENT || errno == ESRCH);

    free(path);
    return is_gone;
}

/* It ended while it answered. The clone that writes a snapshot lives on. */
static char *answer_of_gone(const struct target *t, char *part)
{
    char *path = answer_find(t, "");

    if (path != NULL || t->request == CONTROL_SNAPSHOT)
        return path;
    if (part != NULL)
        unlink(part);
    gcrun_fail(STATUS_FAILED, "process %d: ended before it answered", t->pid);
}

static char *answer_wait(const struct target *t)
{
    bool has_begun = false;

    for (long waited_ms = 0; waited_ms < (has_begun ? CONTROL_ANSWER_MS : CONTROL_WAIT_MS); waited_ms += CONTROL_STEP_MS) {
        char *path, *part;

        if (!has_begun)
            target_ask(t, (unsigned)(waited_ms / CONTROL_STEP_MS / 4));
        pause_ms(CONTROL_STEP_MS);
        path = answer_find(t, "");
        if (path != NULL)
            return path;
        part = answer_find(t, CONTROL_PART_SUFFIX);
        has_begun |= part != NULL;
        path = has_begun && target_is_gone(t) ? answer_of_gone(t, part) : NULL;
        free(part);
        if (path != NULL)
            return path;
    }
    gcrun_fail(STATUS_FAILED, has_begun ? "process %d: did not finish its answer" : "process %d: does not answer", t->pid);
}

/* Nobody else may have put it there: it is a file, and the process's own. */
static int answer_open(const struct target *t, const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        gcrun_fail(STATUS_FAILED, "process %d: its answer cannot be read: %s", t->pid, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_uid != t->uid)
        gcrun_fail(STATUS_FAILED, "process %d: its answer is not its own: %s", t->pid, path);
    return fd;
}

/* A snapshot is an object of JSON; anything else is the reason why there is none. */
static void answer_check_snapshot(const struct target *t, int fd)
{
    char text[256] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0 || text[0] == '{')
        return;
    text[strcspn(text, "\n")] = 0;
    gcrun_fail(STATUS_FAILED, "process %d: %s", t->pid, text);
}

static void answer_copy(int from, int to)
{
    char buf[65536];
    ssize_t n;

    while ((n = read(from, buf, sizeof(buf))) > 0) {
        for (ssize_t done = 0, now; done < n; done += now) {
            now = write(to, buf + done, (size_t)(n - done));
            if (now < 0)
                gcrun_fail(STATUS_FAILED, "cannot write: %s", strerror(errno));
        }
    }
    if (n < 0)
        gcrun_fail(STATUS_FAILED, "cannot read the answer: %s", strerror(errno));
}

static void target_converse(const struct target *t, int out)
{
    char *path = answer_wait(t);
    int fd = answer_open(t, path);

    unlink(path);
    if (t->request == CONTROL_SNAPSHOT)
        answer_check_snapshot(t, fd);
    answer_copy(fd, out);
    close(fd);
    free(path);
    for (unsigned i = 0; i < CONTROL_N_REPEATS && t->request == CONTROL_SNAPSHOT; i++) {
        pause_ms(CONTROL_STEP_MS);
        target_ask(t, i);
    }
}

/* ---- arguments ---- */

static enum control_request request_parse(const char *word)
{
    static const struct {
        const char *word;
        enum control_request request;
    } words[] = {{"report", CONTROL_REPORT},
                 {"stats", CONTROL_STATS},
                 {"snapshot", CONTROL_SNAPSHOT},
                 {"collect", CONTROL_COLLECT},
                 {"off", CONTROL_OFF}};

    for (size_t i = 0; word != NULL && i < N_ELEMENTS(words); i++) {
        if (strcmp(word, words[i].word) == 0)
            return words[i].request;
    }
    gcrun_fail(STATUS_FAILED, "--pid PID is followed by report, stats, snapshot, collect or off");
}

static pid_t pid_parse(const char *word)
{
    char *end;
    long pid = word != NULL ? strtol(word, &end, 10) : 0;

    if (pid <= 0 || pid > INT_MAX || *end != 0)
        gcrun_fail(STATUS_FAILED, "option --pid needs the number of a process");
    return (pid_t)pid;
}

static int output_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        gcrun_fail(STATUS_FAILED, "%s: %s", path, strerror(errno));
    return fd;
}

int control_main(char **args)
{
    struct target t = {.pid = pid_parse(args[0])};
    int out = STDOUT_FILENO;

    t.request = request_parse(args[1]);
    if (args[2] != NULL && args[3] != NULL)
        gcrun_fail(STATUS_FAILED, "too many arguments: %s", args[3]);
    target_check(&t);
    while (t.id == 0) {
        if (getrandom(&t.id, sizeof(t.id), 0) != sizeof(t.id))
            gcrun_fail(STATUS_FAILED, "no random numbers: %s", strerror(errno));
    }
    if (args[2] != NULL)
        out = output_open(args[2]);
    target_converse(&t, out);
    return 0;
}
