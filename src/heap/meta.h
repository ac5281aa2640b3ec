/* Memory for our own structures.
 *
 * What    zeroed pieces in multiples of 64 bytes, from the meta part of the window; freed pieces are kept by size.
 *         Never in the arena, never a root, addressed by 32 bits (units of 64 bytes).
 * Locks   META, taken inside; the caller is in a critical section. Not during a stop: what a cycle needs it takes before.
 */
#ifndef HEAP_META_H
#define HEAP_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { META_UNIT = 64 };

void meta_init(void);                           /* once the window exists: empty */
void *meta_alloc(size_t size_bytes);            /* zeroed, 64-byte aligned; NULL: no memory */
/* The same, for good and away from the others: what few programs ever write takes no part of the pages that each touches. */
void *meta_alloc_sparse(size_t size_bytes);
void meta_free(void *p, size_t size_bytes);     /* same size as it was asked for */
uint32_t meta_ref(const void *p);               /* compressed address, 0 for NULL-like nil span */
size_t meta_used_bytes(void);
size_t meta_mapped_bytes(void);
void meta_fork_child(void);                     /* resets the lock; what a vanished thread was taking may leak */

/* Scratch: grows in place at fixed addresses, for one cycle's use; content is not zeroed between uses. Each user has
 * its own region. Pages are given back by scratch_release. */
enum meta_scratch {
    SCRATCH_WORLD,
    SCRATCH_MAPS,
    SCRATCH_MARK_STACK,
    SCRATCH_ROOTS,
    SCRATCH_GC_STACK,
    SCRATCH_OTHER,
    SCRATCH_N
};
/* Make at least size_bytes of the region usable; NULL: no memory. The address never changes. */
void *meta_scratch_reserve(enum meta_scratch region, size_t size_bytes);
size_t meta_scratch_size(enum meta_scratch region); /* usable bytes now */
void meta_scratch_release(enum meta_scratch region, size_t keep_bytes); /* purge pages beyond keep_bytes */

#endif
