/* What an option has written is never why a program ends: not where stderr is a pipe without a reader, nor where a file is as
 * long as RLIMIT_FSIZE allows. A SIGPIPE of the program's own that is pending stays so. Starts itself again. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "trap.h"

static bool is_pending(int sig)
{
    sigset_t set;
    TEST_CHECK(sigpending(&set) == 0);
    return sigismember(&set, sig) == 1;
}

static void hold(int sig, int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    TEST_CHECK(sigprocmask(how, &set, NULL) == 0);
}

static void check_own_signal(int sig)
{
    int got;
    sigset_t set;
    hold(sig, SIG_BLOCK);
    trap_gc(TRAP_GC_FULL);
    TEST_CHECK(!is_pending(sig));
    pthread_kill(pthread_self(), sig);
    trap_gc(TRAP_GC_FULL);
    TEST_CHECK(is_pending(sig));
    sigemptyset(&set);
    sigaddset(&set, sig);
    TEST_CHECK(sigwait(&set, &got) == 0 && got == sig);
    hold(sig, SIG_UNBLOCK);
}

static int run(void)
{
    const struct rlimit nothing = {0, 0};
    TEST_CHECK(setrlimit(RLIMIT_FSIZE, &nothing) == 0);
    trap_gc(TRAP_GC_FULL);
    check_own_signal(SIGPIPE);
    check_own_signal(SIGXFSZ);
    trap_gc(TRAP_GC_FULL);
    return 0;
}

static void check(const char *settings)
{
    int status = 0, ends[2];
    pid_t child;
    TEST_CHECK(pipe(ends) == 0);
    child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        setenv("GCMALLOC", settings, 1);
        execl("/proc/self/exe", "again", "run", NULL);
        _exit(127);
    }
    close(ends[0]);
    close(ends[1]);
    TEST_CHECK(waitpid(child, &status, 0) == child);
    unlink("out");
    if (status != 0)
        TEST_FAIL("%s: status %#x", settings, status);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/gcmalloc-output-XXXXXX";
    (void)argv;
    if (argc == 2)
        return run();
    TEST_CHECK(mkdtemp(dir) != NULL && chdir(dir) == 0);
    check("trace=1");
    check("trace=1,trace_file=out");
    check("alloctrace=1");
    check("alloctrace=1,alloctrace_file=out");
    check("stats=1");
    check("stats=1,stats_file=out");
    check("leaks=1,leaks_file=out");
    check("profile=1,profile_file=out");
    TEST_CHECK(rmdir(dir) == 0);
    return 0;
}
