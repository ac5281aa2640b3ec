/* Handlers may run on the alternate stack that a thread has of the library: one that needs more than that meets a page without
 * access, not what lies below. */
#include <signal.h>
#include "trap.h"

static uintptr_t handler_sp;

static void handler(int signal_no)
{
    (void)signal_no;
    handler_sp = (uintptr_t)__builtin_frame_address(0);
}

/* The mapping that contains addr has one without permissions right below it. */
static bool has_guard(uintptr_t addr)
{
    char line[512], permissions[8];
    uintptr_t lo, hi, last_hi = 0;
    bool is_guard = false, result = false;
    FILE *f = fopen("/proc/self/maps", "r");
    TEST_CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        TEST_CHECK(sscanf(line, "%lx-%lx %7s", &lo, &hi, permissions) == 3);
        if (addr >= lo && addr < hi)
            result = is_guard && last_hi == lo;
        is_guard = strncmp(permissions, "---", 3) == 0;
        last_hi = hi;
    }
    fclose(f);
    return result;
}

static void *body(void *arg)
{
    char *here = __builtin_frame_address(0);
    TEST_CHECK(raise(SIGUSR1) == 0 && handler_sp != 0);
    if (handler_sp < (uintptr_t)here && (uintptr_t)here - handler_sp < 65536)
        return arg; /* on this very stack */
    if (!has_guard(handler_sp))
        TEST_FAIL("no guard below the handler's stack at %#lx", (unsigned long)handler_sp);
    return NULL;
}

int main(void)
{
    pthread_t id;
    void *is_on_own_stack = NULL;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    TEST_CHECK(pthread_create(&id, NULL, body, &action) == 0 && pthread_join(id, &is_on_own_stack) == 0);
    if (is_on_own_stack != NULL && !trap_is_peer() && !trap_is_emulated())
        TEST_FAIL("the handler did not run on an alternate stack");
    return 0;
}
