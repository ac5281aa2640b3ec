/* A signal's action as the kernel takes it, for programs that install one by the system call itself. */
#ifndef TESTS_TRAPS_RAW_ACTION_H
#define TESTS_TRAPS_RAW_ACTION_H

#include <signal.h>
#include "trap.h"

struct raw_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* HANDLER with nothing blocked. The restorer is libc's, found by asking for the action of a signal that libc installed. */
static struct raw_action raw_action_of(void (*handler)(int))
{
    struct sigaction own = {.sa_handler = handler};
    struct raw_action raw;
    TEST_CHECK(sigaction(SIGUSR2, &own, NULL) == 0);
    TEST_CHECK(syscall(SYS_rt_sigaction, SIGUSR2, NULL, &raw, sizeof(raw.mask)) == 0);
    raw.handler = handler;
    raw.mask = 0;
    return raw;
}

#endif
