/* A line of the trace waits for whoever reads it, in a full pipe. A signal that comes meanwhile is handled at once, as in any write of the
 * program's own, and afterwards the mask is what it was. Starts itself again, with the trace on. */
#include <fcntl.h>
#include <signal.h>
#include "trap.h"

enum { LOOK_US = 1000, N_LOOKS = 20000 };

static int ends[2];
static pid_t main_tid;
static _Atomic int n_handled, was_handled_in_time;

static void handler(int sig)
{
    (void)sig;
    atomic_fetch_add(&n_handled, 1);
}

static bool main_waits_in_write(void)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)main_tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    TEST_CHECK(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 && strtol(text, NULL, 10) == SYS_write && strstr(text, " 0x2 ") != NULL;
}

static void await(bool (*is_so)(void))
{
    for (int i = 0; i < N_LOOKS && !is_so(); i++)
        usleep(LOOK_US);
}

static bool is_handled(void)
{
    return atomic_load(&n_handled) != 0;
}

static void *read_late(void *main_thread)
{
    char text[65536];
    await(main_waits_in_write);
    TEST_CHECK(main_waits_in_write());
    pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
    await(is_handled);
    atomic_store(&was_handled_in_time, is_handled());
    while (read(ends[0], text, sizeof(text)) > 0)
        continue;
    return NULL;
}

static void fill(int fd)
{
    static const char line[4096];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, line, sizeof(line)) > 0 || write(fd, line, 1) > 0)
        continue;
    fcntl(fd, F_SETFL, 0);
}

static int trace_into_full_pipe(void)
{
    struct sigaction action = {.sa_handler = handler};
    int err = fcntl(2, F_DUPFD_CLOEXEC, 10);
    pthread_t reader, self = pthread_self();
    sigset_t before, after;

    main_tid = getpid();
    TEST_CHECK(pipe(ends) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    sigprocmask(SIG_BLOCK, NULL, &before);
    fill(ends[1]);
    TEST_CHECK(pthread_create(&reader, NULL, read_late, &self) == 0);
    dup2(ends[1], 2);
    trap_gc(TRAP_GC_FULL);
    dup2(err, 2);
    close(ends[1]);
    pthread_join(reader, NULL);
    sigprocmask(SIG_BLOCK, NULL, &after);
    for (int sig = 1; sig < 32; sig++)
        if (sigismember(&before, sig) != sigismember(&after, sig))
            TEST_FAIL("signal %d is blocked", sig);
    TEST_CHECK(atomic_load(&n_handled) == 1 && atomic_load(&was_handled_in_time));
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return trace_into_full_pipe();
    if (trap_is_peer() || trap_is_emulated() || access("/proc/self/syscall", R_OK) != 0)
        return 0;
    setenv("GCMALLOC", "trace=1", 1);
    execl("/proc/self/exe", "again", "traced", NULL);
    return 1;
}
