/* A process is asked something from outside, again and again, while it becomes another program: by exec and by the system
 * call's number; a program with the library and one without, which has no handler for the requests and must not end by
 * them. Either begins with the signal neither blocked nor pending. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "trap.h"

enum { STOP_SIGNAL = 33, REQUEST_MAGIC = 0x67634d61, N_ROUNDS = 24, N_FORMS = 4, CHILD_STATUS = 42, N_ARGS = 2000, N_QUEUED_MAX = 64 };
extern char **environ;
static const char self[] = "/proc/self/exe";

static unsigned n_asked;

static char *text_of(pid_t pid, const char *name)
{
    static char text[1 << 20];
    char path[64];
    size_t len = 0;
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0;)
        len += (size_t)n;
    close(fd);
    text[len] = 0;
    return text;
}

/* What gcrun looks for, and in that order. */
static bool is_ready(pid_t pid)
{
    if (strstr(text_of(pid, "maps"), "/libgcmalloc.so") == NULL)
        return false;
    const char *caught = strstr(text_of(pid, "status"), "\nSigCgt:");
    return caught != NULL && (strtoull(caught + 8, NULL, 16) >> (STOP_SIGNAL - 1) & 1) != 0;
}

/* What gcrun sends, but with a request that means nothing. */
static void ask(pid_t pid)
{
    siginfo_t info;
    char path[64];
    memset(&info, 0, sizeof(info));
    info.si_signo = STOP_SIGNAL;
    info.si_code = SI_QUEUE;
    info.si_errno = REQUEST_MAGIC;
    info.si_pid = getpid();
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    TEST_CHECK(fd >= 0);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_ready(pid)) {
        TEST_CHECK(syscall(SYS_rt_tgsigqueueinfo, pid, pid, STOP_SIGNAL, &info) == 0 || errno == EAGAIN);
        n_asked++;
    }
    close(fd);
}

/* Many arguments: the kernel copies them between the old program and the new. */
static void become(unsigned form, char **env)
{
    static char *argv[N_ARGS + 2];
    argv[0] = (char *)"again";
    for (int i = 1; i <= N_ARGS; i++)
        argv[i] = (char *)"an argument that takes a while to copy";
    if (form == 0)
        execve(self, argv, env);
    else if (form == 1)
        syscall(SYS_execve, self, argv, env);
    else if (form == 2)
        syscall(SYS_execveat, AT_FDCWD, self, argv, env, 0);
    else
        fexecve(open(self, O_RDONLY), argv, env);
    TEST_FAIL("exec by form %u failed", form);
}

static int is_stop_blocked(void)
{
    uint64_t mask = 0, pending = 0;
    TEST_CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof(mask)) == 0);
    TEST_CHECK(syscall(SYS_rt_sigpending, &pending, sizeof(pending)) == 0);
    return (int)((mask | pending) >> (STOP_SIGNAL - 1) & 1);
}

/* The new program: says that it is there, and goes on for a while. */
static int after_exec(void)
{
    if (is_stop_blocked())
        return 1;
    if (write(3, "", 1) != 1)
        return 2;
    return CHILD_STATUS;
}

static void child(unsigned round, int to_parent, int from_parent)
{
    char *plain[] = {NULL};
    /* The queue is the user's, not the process's: other programs must find room in it. */
    TEST_CHECK(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){N_QUEUED_MAX, N_QUEUED_MAX}) == 0);
    TEST_CHECK(dup2(to_parent, 3) == 3);
    TEST_CHECK(syscall(SYS_execve, "/does/not/exist", plain, plain) == -1 && errno == ENOENT && !is_stop_blocked());
    TEST_CHECK(write(3, "", 1) == 1); /* from here on it may be asked */
    char byte;
    TEST_CHECK(read(from_parent, &byte, 1) == 1); /* and was */
    become(round % N_FORMS, round / N_FORMS % 2 == 0 ? plain : environ);
}

static void run(unsigned round)
{
    int pipe_fds[2], go_fds[2], status;
    unsigned n_before = n_asked;
    char byte;
    TEST_CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0 && pipe2(go_fds, O_CLOEXEC) == 0);
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0)
        child(round, pipe_fds[1], go_fds[0]);
    close(pipe_fds[1]);
    TEST_CHECK(read(pipe_fds[0], &byte, 1) == 1 && fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) == 0);
    while (n_asked == n_before)
        ask(pid);
    TEST_CHECK(write(go_fds[1], "", 1) == 1);
    while (read(pipe_fds[0], &byte, 1) == -1 && errno == EAGAIN) {
        ask(pid);
        usleep(300); /* it has something to do between two requests */
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
        TEST_FAIL("round %u: status 0x%x", round, (unsigned)status);
    close(pipe_fds[0]);
    close(go_fds[0]);
    close(go_fds[1]);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return after_exec();
    if (trap_is_peer())
        TEST_SKIP("nobody else takes requests");
    for (unsigned round = 0; round < N_ROUNDS; round++)
        run(round);
    return 0;
}
