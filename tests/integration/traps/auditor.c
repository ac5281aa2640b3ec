/* An auditor (LD_AUDIT) lives in a namespace of its own, before everything else: the program starts, its data and that of a
 * thread are kept, lost blocks are taken. The auditor is this very program's neighbour, trap_auditor.c; the program
 * starts itself with it. */
#include <link.h>
#include "trap.h"
static void *volatile in_data;
static __thread void *volatile in_thread;

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    in_thread = trap_reveal(t->hidden);
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        usleep(1000);
    TEST_CHECK(~(uintptr_t)in_thread == t->hidden);
    return NULL;
}

static void check_auditor(void)
{
    char line[4096];
    bool is_there = false;
    FILE *f = fopen("/proc/self/maps", "r");
    TEST_CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL)
        is_there = is_there || strstr(line, "trap_auditor") != NULL;
    fclose(f);
    TEST_CHECK(is_there);
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc >= 2);
    if (argc == 2) {
        setenv("LD_AUDIT", argv[1], 1);
        execl("/proc/self/exe", argv[0], argv[1], "audited", NULL);
        TEST_FAIL("exec");
    }
    check_auditor();
    struct trap_thread t = {.hidden = trap_new()};
    in_data = trap_reveal(trap_new());
    trap_thread_start(&t, body);
    trap_verify();
    trap_thread_end(&t);
    return 0;
}
