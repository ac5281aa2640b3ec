/* What each trap program needs: targets whose only reference lies in one odd place, garbage beside them, a
 * collection, and a check that the targets are whole and the garbage is gone.
 *
 * Walk    trap_new makes a target and returns its address hidden (complemented: not an address of the arena).
 * The trap reveals it into the place under test, and nowhere else. trap_verify makes garbage of the same
 * size, clears dead stack, collects, and counts the garbage that is no block any more: at least 90 %. Then it
 * hands out and overwrites slots of that size, and requires every target to be a block still, with its
 * content. So a trap fails when its target was taken, and also when nothing was: a skipped cycle proves
 * nothing. trap_verify_kept is for places where the library may decline to collect; it says so in the
 * program.
 *
 * Peers   under GCM_TRAP_PEER=1 the same programs run on another allocator: nothing is asked of it but that targets keep
 * their content, and a collection is whatever the other collector has.
 */
#ifndef TESTS_SUPPORT_TRAP_H
#define TESTS_SUPPORT_TRAP_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include "test_util.h"

void gc_collect(void) __attribute__((weak));
int gc_collect_level(int level) __attribute__((weak));
void *gc_find_object(const void *address, size_t *size_bytes) __attribute__((weak));
void GC_gcollect(void) __attribute__((weak)); /* another collector's */

enum {
    TRAP_SIZE = 208, /* of a target, unless the trap chooses: a size that libc hardly uses */
    TRAP_GARBAGE = 1000,
    TRAP_MAX_TARGETS = 6000,
    TRAP_GC_FULL = 1,
    TRAP_STACK_CLEARED = 48 * 1024,
    TRAP_TRIES = 200,
};

struct trap_block {
    uintptr_t hidden;
    uint32_t size, seed;
};
static struct trap_block trap_targets[TRAP_MAX_TARGETS];
static unsigned trap_n_targets;
static uintptr_t trap_garbage[TRAP_GARBAGE]; /* hidden */

static inline __attribute__((always_inline)) void *trap_reveal(uintptr_t hidden)
{
    return (void *)~hidden;
}

static bool trap_is_peer(void)
{
    return gc_collect_level == NULL && getenv("GCM_TRAP_PEER") != NULL;
}

/* A collection. 0, or ECANCELED: it was skipped. */
static __attribute__((unused)) int trap_gc(int level)
{
    if (gc_collect_level != NULL)
        return gc_collect_level(level);
    if (!trap_is_peer())
        TEST_FAIL("the library is not loaded");
    if (GC_gcollect != NULL)
        GC_gcollect();
    return 0;
}

/* The block that contains the address; a peer is believed. */
static __attribute__((unused)) void *trap_find(void *address)
{
    return trap_is_peer() ? address : gc_find_object(address, NULL);
}

/* What returned functions left in registers that no callee need keep: a thread that only waits would hold it for ever. */
static inline void trap_clear_registers(void)
{
#ifdef __x86_64__
    __asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\txor %%esi, %%esi\n\t"
                     "xor %%edi, %%edi\n\txor %%r8d, %%r8d\n\txor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\t"
                     "xor %%r11d, %%r11d\n\t"
                     "pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\t"
                     "pxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\tpxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\t"
                     "pxor %%xmm8, %%xmm8\n\tpxor %%xmm9, %%xmm9\n\tpxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
                     "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\tpxor %%xmm14, %%xmm14\n\tpxor %%xmm15, %%xmm15"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
                       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");
#endif
}

/* Overwrite what returned functions left below, and in registers. Its own frame is the memory to clear. */
static __attribute__((noinline, unused)) void trap_clear_stack(void)
{
    volatile char dead[TRAP_STACK_CLEARED];
    for (size_t i = 0; i < sizeof(dead); i++)
        dead[i] = 0;
    __asm__ volatile("" ::: "memory");
    trap_clear_registers();
}

static __attribute__((noinline)) uintptr_t trap_new_inner(size_t size)
{
    if (trap_n_targets == TRAP_MAX_TARGETS)
        TEST_FAIL("too many targets");
    struct trap_block *t = &trap_targets[trap_n_targets];
    void *block = malloc(size);
    if (block == NULL)
        TEST_FAIL("malloc(%zu) failed", size);
    *t = (struct trap_block){.hidden = ~(uintptr_t)block, .size = (uint32_t)size, .seed = trap_n_targets + 1};
    test_fill(block, size, t->seed);
    trap_n_targets++;
    return t->hidden;
}

/* A target; its address, hidden. */
static __attribute__((noinline, unused)) uintptr_t trap_new_sized(size_t size)
{
    uintptr_t hidden = trap_new_inner(size);
    trap_clear_stack();
    return hidden;
}

static __attribute__((unused)) uintptr_t trap_new(void)
{
    return trap_new_sized(TRAP_SIZE);
}

static __attribute__((noinline)) void trap_make_garbage(size_t size)
{
    for (unsigned i = 0; i < TRAP_GARBAGE; i++) {
        void *block = malloc(size);
        if (block == NULL)
            TEST_FAIL("malloc(%zu) failed", size);
        test_fill(block, size, 777);
        trap_garbage[i] = ~(uintptr_t)block;
    }
}

/* How many of the garbage blocks are no block any more. */
static __attribute__((noinline)) unsigned trap_count_reclaimed(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < TRAP_GARBAGE; i++)
        n += trap_is_peer() || trap_find(trap_reveal(trap_garbage[i])) == NULL;
    return n;
}

/* Hand out slots of that size and fill them. */
static __attribute__((noinline)) void trap_overwrite(size_t size)
{
    enum { N = TRAP_GARBAGE * 4 };
    static void *volatile held[N];
    for (unsigned i = 0; i < N; i++) {
        held[i] = malloc(size);
        if (held[i] == NULL)
            TEST_FAIL("malloc(%zu) failed", size);
        memset(held[i], 0xee, size);
    }
    for (unsigned i = 0; i < N; i++) {
        free(held[i]);
        held[i] = NULL;
    }
}

/* Under qemu-user a thread of its own cannot be stopped, so every cycle is skipped: what remains to be seen there is that
 * programs do not notice. */
static bool trap_is_emulated(void)
{
    return getenv("GCM_EMULATED") != NULL;
}

/* A full cycle that was not skipped; false: each try was. */
static __attribute__((noinline, unused)) bool trap_collect(void)
{
    int n_tries = trap_is_emulated() ? 1 : TRAP_TRIES;
    for (int i = 0; i < n_tries; i++) {
        trap_clear_stack();
        int result = trap_gc(TRAP_GC_FULL);
        if (result == 0)
            return true;
        if (result != ECANCELED)
            TEST_FAIL("gc_collect_level returned %d", result);
        usleep(500);
    }
    return false;
}

static __attribute__((unused)) void trap_check_targets(void)
{
    for (unsigned i = 0; i < trap_n_targets; i++) {
        const struct trap_block *t = &trap_targets[i];
        if (t->hidden == 0)
            continue;
        if (trap_find(trap_reveal(t->hidden)) != trap_reveal(t->hidden))
            TEST_FAIL("target %u was reclaimed", i);
        if (!test_is_filled(trap_reveal(t->hidden), t->size, t->seed))
            TEST_FAIL("target %u was reclaimed and its memory handed out", i);
    }
}

/* A target that the trap has freed, or no longer expects. */
static __attribute__((unused)) void trap_forget(uintptr_t hidden)
{
    for (unsigned i = 0; i < trap_n_targets; i++)
        if (trap_targets[i].hidden == hidden)
            trap_targets[i].hidden = 0;
}

static void trap_round(size_t size, bool may_skip)
{
    may_skip = may_skip || trap_is_emulated();
    trap_make_garbage(size);
    bool is_done = trap_collect();
    if (!is_done && !may_skip)
        TEST_FAIL("every cycle was skipped");
    unsigned n_reclaimed = trap_count_reclaimed();
    trap_overwrite(size);
    trap_check_targets();
    if (!may_skip && n_reclaimed < TRAP_GARBAGE * 9 / 10)
        TEST_FAIL("only %u of %u garbage blocks were reclaimed", n_reclaimed, (unsigned)TRAP_GARBAGE);
}

/* The targets' sizes, one round each. */
static __attribute__((noinline)) void trap_verify_each(bool may_skip)
{
    for (unsigned i = 0; i < trap_n_targets; i++) {
        bool is_seen = false;
        for (unsigned j = 0; j < i; j++)
            is_seen = is_seen || trap_targets[j].size == trap_targets[i].size;
        if (!is_seen)
            trap_round(trap_targets[i].size, may_skip);
    }
}

static __attribute__((unused)) void trap_verify(void)
{
    trap_verify_each(false);
}

static __attribute__((unused)) void trap_verify_kept(void)
{
    trap_verify_each(true);
}

/* ---- threads
 * ------------------------------------------------------------------------------------------------- */

/* Raw, so that waiting for another thread is never itself what the trap tests. */
static __attribute__((unused)) void trap_wait(_Atomic int *flag)
{
    while (atomic_load(flag) == 0)
        syscall(SYS_sched_yield);
}

struct trap_thread {
    pthread_t id;
    _Atomic int ready, release;
    uintptr_t hidden; /* the thread's target, if it has one */
};

/* What a thread does that holds its target on its stack, and sleeps. */
static __attribute__((unused)) void *trap_thread_holding(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        usleep(1000);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

static __attribute__((unused)) void trap_thread_start(struct trap_thread *t, void *(*body)(void *))
{
    if (pthread_create(&t->id, NULL, body, t) != 0)
        TEST_FAIL("pthread_create");
    trap_wait(&t->ready);
}

static __attribute__((unused)) void trap_thread_end(struct trap_thread *t)
{
    atomic_store(&t->release, 1);
    if (pthread_join(t->id, NULL) != 0)
        TEST_FAIL("pthread_join");
}

static _Atomic int trap_collector_stop;

static void *trap_collector_body(void *arg)
{
    (void)arg;
    while (!atomic_load(&trap_collector_stop)) {
        trap_gc(TRAP_GC_FULL);
        usleep(200);
    }
    return NULL;
}

/* A thread that collects all the time. */
static __attribute__((unused)) pthread_t trap_collector_start(void)
{
    pthread_t id;
    atomic_store(&trap_collector_stop, 0);
    if (pthread_create(&id, NULL, trap_collector_body, NULL) != 0)
        TEST_FAIL("pthread_create");
    return id;
}

static __attribute__((unused)) void trap_collector_end(pthread_t id)
{
    atomic_store(&trap_collector_stop, 1);
    pthread_join(id, NULL);
}

#endif
