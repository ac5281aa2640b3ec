/* A program closes all descriptors and opens files of its own, or copies one over each of those that it found open, as shells and
 * daemons do. What options trace and alloctrace write to their file must not get into any of those. Starts itself again. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "trap.h"

enum { N_DESCRIPTORS = 200, FIRST = 3 };

static void *volatile block;

static void be_traced(void)
{
    for (int i = 0; i < 3; i++) {
        block = malloc(100);
        free(block);
        trap_gc(TRAP_GC_FULL);
    }
}

/* Each from FIRST on is the program's file. */
static void take_all(const char *way)
{
    int own = open("own", O_CREAT | O_EXCL | O_RDWR, 0600);
    TEST_CHECK(own >= FIRST);
    for (int fd = FIRST; fd < N_DESCRIPTORS; fd++) {
        if (strcmp(way, "close") == 0 && fd != own)
            close(fd);
        TEST_CHECK(fd == own || dup2(own, fd) == fd);
    }
}

static int run(const char *way)
{
    struct stat st;
    be_traced();
    take_all(way);
    be_traced();
    TEST_CHECK(stat("own", &st) == 0);
    if (st.st_size != 0)
        TEST_FAIL("%s: %ld bytes that the program did not write are in its file", way, (long)st.st_size);
    TEST_CHECK(trap_is_peer() || (stat("trace", &st) == 0 && st.st_size != 0));
    return 0;
}

static void check(const char *way, const char *settings)
{
    int status = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        setenv("GCMALLOC", settings, 1);
        execl("/proc/self/exe", "again", way, NULL);
        _exit(127);
    }
    TEST_CHECK(waitpid(child, &status, 0) == child);
    unlink("own");
    unlink("trace");
    if (status != 0)
        TEST_FAIL("%s, %s: status %d", way, settings, status);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/gcmalloc-output-XXXXXX";
    if (argc == 2)
        return run(argv[1]);
    TEST_CHECK(mkdtemp(dir) != NULL && chdir(dir) == 0);
    check("close", "trace=1,trace_file=trace");
    check("copy", "trace=1,trace_file=trace");
    check("close", "alloctrace=1,alloctrace_file=trace");
    check("copy", "alloctrace=1,alloctrace_file=trace");
    TEST_CHECK(rmdir(dir) == 0);
    return 0;
}
