/* What was traced is in the file although the process ends without any of its functions: by _exit, by quick_exit, by a signal that
 * nobody catches. Starts itself again. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "trap.h"

enum { N_COLLECTIONS = 3 };

static int end(const char *way)
{
    for (int i = 0; i < N_COLLECTIONS; i++)
        trap_gc(TRAP_GC_FULL);
    if (strcmp(way, "kill") == 0)
        raise(SIGKILL);
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(0);
    _exit(0);
}

static int lines_of(const char *path)
{
    char text[8192];
    int fd = open(path, O_RDONLY), n = 0;
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    for (ssize_t i = 0; i < len; i++)
        n += text[i] == '\n';
    close(fd);
    return n;
}

static void check(const char *way, char *path)
{
    int status = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        execl("/proc/self/exe", "again", way, NULL);
        _exit(127);
    }
    TEST_CHECK(waitpid(child, &status, 0) == child);
    TEST_CHECK(strcmp(way, "kill") == 0 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : status == 0);
    int n = lines_of(path);
    unlink(path);
    if (n < N_COLLECTIONS && !trap_is_peer())
        TEST_FAIL("%s: %d lines of %d collections", way, n, N_COLLECTIONS);
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/gcmalloc-trace-XXXXXX", settings[128];
    if (argc == 2)
        return end(argv[1]);
    int fd = mkstemp(path);
    TEST_CHECK(fd >= 0);
    close(fd);
    unlink(path);
    snprintf(settings, sizeof(settings), "trace=1,trace_file=%s", path);
    setenv("GCMALLOC", settings, 1);
    check("_exit", path);
    check("quick_exit", path);
    check("kill", path);
    return 0;
}
