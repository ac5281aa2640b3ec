/* The threads that the kernel knows of.
 *
 * What    Their ids and states, read raw: opendir and stdio lock and allocate.
 *         The directory is named by the pid, because under /proc/self there is
 *         nothing any more once the main thread has ended.
 *         Behind unshare(CLONE_NEWPID) without a /proc of its own that folder
 *         is another process's, so it is asked first whether /proc numbers us
 *         as we do.
 * Not here  which of them are registered: thread.c.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/check.h"
#include "base/fmt.h"
#include "os/probe.h"
#include "os/process.h"
#include "os/text_inl.h"

#define TASK_PATH_BYTES 48
#define TASK_N_OTHER_LINKS 2
#define TASK_PF_IO_WORKER UINT64_C(0x10)
#define TASK_PF_USER_WORKER UINT64_C(0x4000)

/* "/proc/PID/task", and the file of one thread below it where tid is not 0. */
static const char *task_path(struct fmt *f, pid_t tid, const char *name)
{
    fmt_str(f, "/proc/");
    fmt_u64(f, (uint64_t)os_getpid());
    fmt_str(f, "/task");
    if (tid != 0) {
        fmt_char(f, '/');
        fmt_u64(f, (uint64_t)tid);
        fmt_str(f, name);
    }
    return fmt_cstr(f);
}

bool os_task_is_numbered_as_here(void)
{
    char here[TASK_PATH_BYTES], there[TASK_PATH_BYTES];
    struct fmt f = fmt_init(here, sizeof(here));
    long n = os_probe_readlink(OS_PROBE_NO_FOLDER, "/proc/thread-self", there, sizeof(there));

    fmt_u64(&f, (uint64_t)os_getpid());
    fmt_str(&f, "/task/");
    fmt_u64(&f, (uint64_t)os_gettid());
    return n == (long)f.len && memcmp(here, there, f.len) == 0;
}

/* ---- the list ------------------------------------------------------------------- */

struct task_list {
    pid_t *tids;
    size_t n, max;
};

static bool task_take(int tid, void *ctx)
{
    struct task_list *list = ctx;

    if (list->n < list->max)
        list->tids[list->n] = tid;
    return list->n++ < list->max;
}

long os_task_list(pid_t *tids, size_t max)
{
    char path[TASK_PATH_BYTES];
    struct fmt f = fmt_init(path, sizeof(path));
    struct task_list list = {tids, 0, max};
    long n;
    int fd;

    if (!os_task_is_numbered_as_here())
        return -ESRCH;
    fd = os_probe_open(task_path(&f, 0, NULL));
    if (fd < 0)
        return fd;
    n = os_probe_numbers(fd, task_take, &list);
    os_probe_close(fd);
    if (list.n > max)
        return -E2BIG;
    return n == 0 ? -ESRCH : n; /* we are one ourselves: an empty list is a list that could not be read */
}

/* A folder's number of links is two more than that of the folders in it. */
long os_task_count(void)
{
    char path[TASK_PATH_BYTES];
    struct fmt f = fmt_init(path, sizeof(path));
    struct stat st;
    long err = os_syscall(SYS_newfstatat, AT_FDCWD, (long)task_path(&f, 0, NULL), (long)&st, 0, 0, 0);

    return err != 0 ? err : (long)st.st_nlink - TASK_N_OTHER_LINKS;
}

/* ---- one thread -------------------------------------------------------------------- */

static long task_read_file(pid_t tid, const char *name, char *buf, size_t buf_size)
{
    char path[TASK_PATH_BYTES];
    struct fmt f = fmt_init(path, sizeof(path));

    return os_file_read(task_path(&f, tid, name), buf, buf_size);
}

/* stat: "tid (name) S ppid pgrp session tty tpgid flags ..."; the name may hold anything, so its end is the
 * last ')'. */
static bool task_parse_stat(const char *text, struct os_task_state *out)
{
    const char *p = strrchr(text, ')');

    if (p == NULL || p[1] != ' ')
        return false;
    out->state = p[2];
    for (int n_spaces = 0; n_spaces < 7; n_spaces++) {
        p = strchr(p + 1, ' ');
        if (p == NULL)
            return false;
    }
    text_number(p + 1, 10, &out->flags);
    return true;
}

static uint64_t task_parse_blocked(const char *text)
{
    const char *line = strstr(text, "\nSigBlk:\t");
    uint64_t mask = 0;

    if (line != NULL)
        text_number(line + 9, 16, &mask);
    return mask;
}

static bool task_is_gone(long err)
{
    return err == -ENOENT || err == -ESRCH || err == 0;
}

/* 0, also for a thread that is gone; else it could not be found out. */
int os_task_state(pid_t tid, struct os_task_state *out)
{
    char text[4096];
    long n;

    memset(out, 0, sizeof(*out));
    n = task_read_file(tid, "/stat", text, sizeof(text));
    if (task_is_gone(n))
        return 0;
    if (n < 0 || !task_parse_stat(text, out))
        return n < 0 ? (int)n : -EIO;
    n = task_read_file(tid, "/status", text, sizeof(text));
    if (task_is_gone(n)) {
        out->state = 0;
        return 0;
    }
    if (n < 0)
        return (int)n;
    out->sig_blocked = task_parse_blocked(text);
    return 0;
}

void os_task_name(pid_t tid, char name[OS_TASK_NAME_BYTES])
{
    long n = task_read_file(tid, "/comm", name, OS_TASK_NAME_BYTES);

    name[n > 0 ? n - 1 : 0] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

bool os_task_is_stoppable(const struct os_task_state *state)
{
    if (state->state == 0 || state->state == 'Z' || state->state == 'X' || state->state == 'x')
        return false;
    return (state->flags & (TASK_PF_IO_WORKER | TASK_PF_USER_WORKER)) == 0;
}
