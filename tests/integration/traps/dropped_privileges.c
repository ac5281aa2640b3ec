/* A daemon that gave up root: pagemap, mem and parts of task are denied then. Its mappings are small enough to be read without
 * knowing which pages have content, so it collects, and nothing is lost; not for a file's mapping without permissions either,
 * as lies in the gaps of libraries. Where pages without permissions have content, nobody can read it, and nothing is taken. */
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

enum { PAGE = 4096 };
static int own_file;

static void small(void)
{
    static void *volatile root;
    TEST_CHECK(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE, own_file, 0) != MAP_FAILED);
    root = trap_reveal(trap_new());
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, trap_thread_holding);
    trap_clear_stack();
    for (int i = 0; i < 3; i++)
        trap_verify();
    trap_thread_end(&t);
    TEST_CHECK(root != NULL);
}

static void hold_in(int flags, int fd)
{
    void **page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    TEST_CHECK(page != MAP_FAILED);
    page[1] = trap_reveal(trap_new());
    TEST_CHECK(mprotect(page, PAGE, PROT_NONE) == 0);
    trap_clear_stack();
    trap_verify_kept();
    TEST_CHECK(mprotect(page, PAGE, PROT_READ) == 0);
    TEST_CHECK(page[1] != NULL);
}

static void protected_shared(void)
{
    hold_in(MAP_SHARED | MAP_ANONYMOUS, -1);
}

static void protected_anonymous(void)
{
    hold_in(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void protected_file(void)
{
    hold_in(MAP_PRIVATE, own_file);
}

static void run(void (*body)(void))
{
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_DUMPABLE, 0) != 0)
            TEST_FAIL("prctl");
        if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
            TEST_SKIP("cannot become another user");
        body();
        exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("cannot become another user");
    TEST_CHECK(status == 0);
}

int main(void)
{
    own_file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    TEST_CHECK(own_file >= 0);
    run(small);
    run(protected_shared);
    run(protected_anonymous);
    run(protected_file);
    return 0;
}
