/* malloc and free in a signal handler that interrupted a slow path of its own thread.
 *
 * What    The trampoline keeps the program's handlers out of slow paths (interpose_signal.c). What is left
 *         are handlers of faults, and handlers installed past libc. They must neither deadlock on a lock that
 *         their own thread holds nor find a structure half changed, so they get blocks from a small static
 *         pool, and what they free waits. The pool is a bump pointer that starts over whenever no block of it
 *         is live.
 * Invariants  pool state is one word, live count << 32 | offset, changed by compare-and-swap.
 *         The pool is ordinary data of this library and so a root: what its blocks point to is kept.
 *         A block that waits to be freed has an entry in the pool, which keeps it. Nothing is written to it: a small part
 *         has no room for a link, and in a block without pointers nobody would see one.
 * Locks   none; async-signal-safe.
 */
#include "api/alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include "base/bits.h"
#include "base/check.h"

enum {
    EMERGENCY_BYTES = 1 << 20, /* untouched pages of it cost nothing */
    EMERGENCY_ALIGN_MAX = 4096,
    EMERGENCY_HEADER = 16, /* the block's size, and padding to 16 */
};

static struct {
    _Atomic uint64_t state;
    _Alignas(EMERGENCY_ALIGN_MAX) char bytes[EMERGENCY_BYTES];
} emergency_pool BULKY;

struct emergency_waiting {
    struct emergency_waiting *next;
    void *block;
};
void *_Atomic emergency_deferred; /* a list of these */

static uint64_t *emergency_header(const void *p)
{
    return (uint64_t *)((uintptr_t)p - EMERGENCY_HEADER);
}

void *emergency_alloc(size_t size_bytes, size_t align)
{
    uint64_t state = atomic_load(&emergency_pool.state), start, end;

    if (align < SIZECLASS_ALIGN)
        align = SIZECLASS_ALIGN;
    if (size_bytes > EMERGENCY_BYTES || align > EMERGENCY_ALIGN_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    do {
        start = bits_round_up((uint32_t)state + EMERGENCY_HEADER, align);
        end = bits_round_up(start + size_bytes, SIZECLASS_ALIGN);
        if (end > EMERGENCY_BYTES) {
            errno = ENOMEM;
            return NULL;
        }
    } while (!atomic_compare_exchange_weak(&emergency_pool.state, &state, (((state >> 32) + 1) << 32) | end));
    void *p = emergency_pool.bytes + start;
    *emergency_header(p) = size_bytes;
    return p;
}

bool emergency_contains(const void *p)
{
    return (uintptr_t)p - (uintptr_t)emergency_pool.bytes < EMERGENCY_BYTES;
}

/* The last free makes the whole pool empty again. */
void emergency_free(void *p)
{
    uint64_t state = atomic_load(&emergency_pool.state), next;

    do {
        uint64_t n_live = state >> 32;
        if (n_live == 0)
            check_misuse(MISUSE_DOUBLE_FREE, (uintptr_t)p);
        next = n_live == 1 ? 0 : ((n_live - 1) << 32) | (uint32_t)state;
    } while (!atomic_compare_exchange_weak(&emergency_pool.state, &state, next));
}

size_t emergency_usable_size(const void *p)
{
    return *emergency_header(p);
}

/* Where the pool has no room the block stays in use, until a collection takes it, if one does. */
void emergency_defer_free(void *p)
{
    int saved_errno = errno;
    struct emergency_waiting *w = emergency_alloc(sizeof(*w), SIZECLASS_ALIGN);
    void *head = atomic_load(&emergency_deferred);

    errno = saved_errno;
    if (w == NULL)
        return;
    w->block = p;
    do {
        w->next = head;
    } while (!atomic_compare_exchange_weak(&emergency_deferred, &head, (void *)w));
}

void emergency_run_deferred(void)
{
    struct emergency_waiting *w = atomic_exchange(&emergency_deferred, NULL);

    while (w != NULL) {
        struct emergency_waiting *next = w->next;
        void *block = w->block;
        w->block = NULL; /* the pool is a root */
        emergency_free(w);
        free_slow(block);
        w = next;
    }
}
