/* inherit=no: the program is served, its children start without the library and without its settings, and keep whatever else is
 * preloaded. By default they have both. Starts itself again and again: usage: not_inherited [by_default|served|child LIBRARY] */
#include "trap.h"

static void again(const char *step)
{
    execl("/proc/self/exe", "again", step, NULL);
    TEST_FAIL("exec");
}

static void set(const char *options, const char *preload)
{
    setenv("GCMALLOC", options, 1);
    setenv("LD_PRELOAD", preload, 1);
}

static void check_served(void)
{
    static void *volatile root;
    const char *preload = getenv("LD_PRELOAD");
    if (getenv("GCMALLOC") != NULL || preload == NULL || strcmp(preload, "libdl.so.2") != 0)
        TEST_FAIL("children find GCMALLOC=%s, LD_PRELOAD=%s", getenv("GCMALLOC"), preload);
    TEST_CHECK(getenv("OTHER") != NULL);
    root = trap_reveal(trap_new());
    trap_verify();
    TEST_CHECK(root != NULL);
}

int main(int argc, char **argv)
{
    const char *step = argc == 2 ? argv[1] : "", *preload = getenv("LD_PRELOAD");
    char both[4200];
    if (strcmp(step, "child") == 0) {
        TEST_CHECK(gc_collect_level == NULL && getenv("OTHER") != NULL);
        return 0;
    }
    if (trap_is_peer())
        return 0;
    if (strcmp(step, "served") == 0) {
        check_served();
        again("child");
    }
    TEST_CHECK(gc_collect_level != NULL && preload != NULL);
    if (strcmp(step, "by_default") != 0) {
        setenv("OTHER", "kept", 1);
        set("floor=1M", preload);
        again("by_default");
    }
    TEST_CHECK(strcmp(getenv("GCMALLOC"), "floor=1M") == 0);
    snprintf(both, sizeof(both), "%s:libdl.so.2", preload);
    set("floor=1M,inherit=no", both);
    again("served");
}
