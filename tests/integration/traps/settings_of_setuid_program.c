/* A program that runs with another's rights takes no settings from its caller: GCMALLOC is ignored, and no file of the
 * caller's choice is written. The program is linked with the library, because the dynamic linker preloads none there. */
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "trap.h"
enum { NOBODY = 65534, N_BLOCKS = 2000 };

/* The copy, which belongs to nobody: collects although the caller says mode=off. */
static int as_nobody(void)
{
    if (getauxval(AT_SECURE) == 0)
        return TEST_EXIT_SKIPPED;
    trap_verify();
    return 0;
}

static void copy_to(const char *path)
{
    char buf[65536];
    int in = open("/proc/self/exe", O_RDONLY), out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    ssize_t n;
    TEST_CHECK(in >= 0 && out >= 0);
    while ((n = read(in, buf, sizeof(buf))) > 0)
        TEST_CHECK(write(out, buf, (size_t)n) == n);
    TEST_CHECK(fchown(out, NOBODY, NOBODY) == 0 && fchmod(out, 04755) == 0);
    close(in);
    close(out);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return as_nobody();
    if (getuid() != 0)
        TEST_SKIP("not root");
    char path[] = "/tmp/gcmalloc-setuid-XXXXXX", trace[64];
    int fd = mkstemp(path), status = 0;
    TEST_CHECK(fd >= 0);
    close(fd);
    copy_to(path);
    snprintf(trace, sizeof(trace), "%s.trace", path);
    char settings[128];
    snprintf(settings, sizeof(settings), "mode=off,trace=1,trace_file=%s", trace);
    setenv("GCMALLOC", settings, 1);
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        execl(path, path, "again", NULL);
        _exit(TEST_EXIT_SKIPPED); /* a file system that runs no programs */
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    struct stat st;
    int has_trace = stat(trace, &st) == 0;
    unlink(path);
    unlink(trace);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("no set-user-ID programs here");
    TEST_CHECK(status == 0 && !has_trace);
    return 0;
}
