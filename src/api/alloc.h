/* The slow halves of the malloc family, and what all of api shares.
 *
 * Rules   every exported slow function ends with api_exit_slow, outside critical sections: what had to wait
 *         for the end of a critical section (signals, frees of a nested handler) is done there.
 *         errno changes only where an allocation fails.
 * Locks   none of ours is held when a function here is entered or left.
 */
#ifndef API_ALLOC_H
#define API_ALLOC_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"
#include "gc/cycle.h"
#include "heap/heap.h"

/* ---- this thread ---- */
struct api_tls {
    uint64_t deferred_mask;    /* the program's signal mask, while has_deferred */
    uintptr_t deferred_return; /* true return address of the fast path that a signal interrupted; 0: none */
    uintptr_t *deferred_slot;  /* where it belongs */
    void *altstack; /* our replacement for the alternate signal stack that the program gave, or NULL */
    stack_t altstack_given; /* what the program gave: the kernel may hold the only other reference to it */
    uint32_t in_cycle;      /* inside cycle_run: signals wait; or in a call of libc: what is allocated comes from emergency.c */
    uint32_t n_handled;     /* handlers of the program's that began in this thread */
    uint8_t was_asked;      /* a request from outside came in: see block.h */
    uint8_t has_deferred;   /* a signal waits, blocked, for the end of the slow path */
    uint8_t is_retired;     /* the cache was given up: the thread is in its last throes */
    uint8_t exit_rounds;    /* rounds of key destructors seen */
};
extern __thread struct api_tls api_tls __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* ---- the process ---- */
struct api_state {
    bool is_initialised; /* the constructor ran */
    bool is_passthrough; /* malloc's names belong to somebody else in this process: ours hand on to libc */
};
extern struct api_state api_state;

/* ---- alloc_slow.c ---- */
void *alloc_slow(size_t size_bytes);     /* malloc, all of it */
void *alloc_slow_new(size_t size_bytes); /* operator new: new handler, bad_alloc; cxx.c */
/* A pointer one past the end of an object is legal C, and may be the only one that a program keeps: php keeps
 * argument lists that way, in heap memory, where a word that equals the start of the next block cannot keep
 * the one before it without keeping half the garbage. So blocks of the malloc family are a byte longer than
 * asked, and the pointer lies inside. It costs what glibc's header costs. Not for gc_malloc, whose header
 * says what keeps a block, nor where the program asks for more than the ordinary alignment: the next size
 * would often be the double. */
enum { ALLOC_PAST_END_BYTES = 1 };
static inline size_t alloc_padded(size_t size_bytes, size_t align, unsigned flavor)
{
    return flavor == FLAVOR_MALLOC && align <= SIZECLASS_ALIGN ? size_bytes + ALLOC_PAST_END_BYTES
                                                               : size_bytes;
}

/* A block of a flavor. align: power of two. *is_zero (may be NULL): the block is known to read as zero.
 * NULL with errno ENOMEM. Never passes through. */
void *alloc_block(size_t size_bytes, size_t align, unsigned flavor, bool *is_zero);
/* First slow path of this thread or process: heap, fork repair, thread record. False: there is no heap. */
bool api_enter_slow(void);
bool api_heap_init(const struct heap_config *config); /* idempotent; the first one's config counts */
enum cycle_skip api_collect(enum cycle_cause cause);  /* cycle_run with errno kept and signals held back, and cycle_tell */
/* The same; where another thread collects just now, once more after it: what was unreachable at the call is found. */
enum cycle_skip api_collect_after_others(enum cycle_cause cause);

/* ---- free_slow.c ---- */
void free_slow(void *p); /* free, all of it */
COLD void free_moved(void *p); /* the same of a block whose content realloc has copied */
void free_foreign(void *p);
/* An exit from the library: see the rules. */
COLD void api_exit_pending(void);
/* unseen.c: the trace is told that the program used the block p, which had been found unreachable, and what is known of it:
 * size 0 where nothing is. p: in the heap */
struct unseen_site {
    size_t size_bytes;
    unsigned flavor;
};
COLD struct unseen_site unseen_find(void *p);
COLD void unseen_tell(const char *what, void *p, struct unseen_site site, const void *caller);
/* emergency.c: frees made by handlers that interrupted a slow path */
extern void *_Atomic emergency_deferred;
ALWAYS_INLINE void api_exit_slow(void)
{
    if (UNLIKELY(api_tls.has_deferred ||
                 atomic_load_explicit(&emergency_deferred, memory_order_relaxed) != NULL))
        api_exit_pending();
}

/* ---- emergency.c: a handler that interrupted a slow path of its own thread ---- */
void *emergency_alloc(size_t size_bytes, size_t align); /* NULL, ENOMEM */
bool emergency_contains(const void *p);
void emergency_free(void *p);
size_t emergency_usable_size(const void *p);
void emergency_defer_free(void *p); /* p: a block of the heap */
void emergency_run_deferred(void);

/* ---- realloc.c ---- */
void *realloc_block(void *p, size_t size_bytes); /* pre: p is not NULL, size_bytes > 0 */
/* Usable size of a block of ours or of libc. */
size_t usable_size(void *p);

/* ---- malloc_info.c ---- */
struct mallinfo malloc_info_clipped(void); /* mallinfo, whose fields are too small for what they count */

/* ---- passthrough.c: the other allocator ---- */
void *passthrough_malloc(size_t size_bytes);
typedef void *(*passthrough_calloc_fn)(size_t n, size_t size_bytes);
passthrough_calloc_fn passthrough_calloc(void); /* NULL: it has none */
void *passthrough_memalign(size_t align, size_t size_bytes);
struct symtab_list;
void passthrough_find(const struct symtab_list *libraries); /* constructor */
void *passthrough_realloc(void *p, size_t size_bytes);
void passthrough_free(void *p);

/* ---- thread.c, fork.c, signal_defer.c ---- */
void api_thread_adopt(void);        /* this thread has no record: it gets one, without locks of libc */
void api_thread_retire(void);
void api_fork_install(void);        /* constructor */
void api_fork_repair(void);         /* in a child that no atfork handler prepared */
void signal_release_deferred(void); /* pre: api_tls.has_deferred, not in a critical section */

#endif
