/* A second implementation of os/os.h for unit tests, with failures on demand.
 *
 * What    Address space, locks, clocks, entropy, threads and critical sections; not
 *         stopping threads, maps and pages. Link os_fake.c in place of storey os.
 *         Address space is real memory; clocks stand still until they are moved;
 *         entropy is a counted sequence.
 * Use     os_fake_fail(OS_FAKE_MAP, 3, 1, -ENOMEM): the 3rd os_vm_map_at from now on
 *         fails, once. os_fake_reset() before each test.
 */
#ifndef SUPPORT_OS_FAKE_H
#define SUPPORT_OS_FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include "os/os.h"

enum os_fake_call {
    OS_FAKE_MAP,   /* os_vm_map_at: returns the error */
    OS_FAKE_UNMAP, /* os_vm_unmap: returns the error, the mapping stays */
    OS_FAKE_PURGE, /* os_vm_purge: zeroes by hand and returns 1, whatever the error */
    OS_FAKE_HUGE,  /* os_vm_hugepages: returns the error */
    OS_FAKE_MOVE, /* os_vm_move: returns the error, both ranges as they were; -ENOTRECOVERABLE: `to` becomes a
                     hole */
    OS_FAKE_REGISTER, /* os_thread_register: returns NULL */
    OS_FAKE_SYSCALL,  /* os_syscall: returns the error */
    OS_FAKE_N_CALLS
};

void os_fake_reset(void); /* no failures, counters 0, clocks 0, entropy from its beginning */
/* The nth call from now on (1: the next) and the count - 1 after it fail with error (negative errno). nth 0:
 * none does. */
void os_fake_fail(enum os_fake_call which, unsigned nth, unsigned count, int error);
unsigned os_fake_count(enum os_fake_call which); /* calls since the reset, failed ones included */
void os_fake_advance_clock(uint64_t ns);         /* all three clocks */
void os_fake_set_entropy(
    uint64_t next); /* what os_entropy returns next; after it the sequence goes on from there */
void os_fake_set_memory(size_t available, size_t cgroup_limit, size_t resident);
void os_fake_set_seccomp(bool is_on);
void os_fake_set_world_stopped(bool is_stopped);
unsigned os_fake_n_polls(void); /* os_stop_poll_pending calls since the reset */

#endif
