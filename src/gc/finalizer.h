/* Finalizers, cleanups and pins: tables in meta keyed by block start, the queue, and the thread that runs it.
 *
 * Locks   FIN for the tables; none while a user function runs.
 * Phases  finalizer_mark_roots / _args / _reachable / _split / _end are called by cycle.c in the stopped world.
 */
#ifndef GC_FINALIZER_H
#define GC_FINALIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*finalizer_fn)(void *obj, void *arg);
typedef void (*cleanup_fn)(void *arg);

enum finalizer_order {
    FINALIZER_ORDERED,          /* after those of blocks that reach this one, and never if it reaches itself */
    FINALIZER_ORDERED_BUT_SELF, /* the same, but pointers from the block into itself do not count */
    FINALIZER_UNORDERED,        /* whoever reaches it */
};
struct finalizer_spec {
    finalizer_fn fn; /* NULL: none */
    void *arg;
    enum finalizer_order order;
};

/* Not in a critical section (they enter one). 0 or a positive errno value as the public functions
 * document. */
int finalizer_set(void *obj, finalizer_fn fn, void *arg);
/* In one step; *old (may be NULL) is what was there. EEXIST: the one that was set is on the queue. */
int finalizer_exchange(void *obj, const struct finalizer_spec *spec, struct finalizer_spec *old);
int finalizer_add_cleanup(void *obj, cleanup_fn fn, void *arg);
int finalizer_pin(void *obj);
int finalizer_unpin(void *obj);    /* EINVAL: it is not pinned */
size_t finalizer_run_queued(void); /* in this thread; how many ran */
size_t finalizer_queued(void);
/* Called before a special block is freed by the program: drops finalizer and cleanups, clears weak links,
 * takes the block off the queue. false: the block is pinned. In a critical section. */
bool finalizer_forget(uintptr_t obj);

/* ---- the thread ---- */
void finalizer_thread_enable(bool allowed); /* finalizer_thread= */
/* How a thread is made: the real pthread_create, because the library interposes it. start makes a detached
 * thread with a small stack, all signals blocked (ours cannot be), named "gc-finalizer", that runs fn(arg).
 * 0 or an errno value. */
void finalizer_set_thread_starter(int (*start)(void *(*fn)(void *), void *arg));
/* Starts the thread if something is registered, it is allowed and does not run yet; from wrapped calls and
 * gc_* functions only, never from malloc. Not in a critical section. */
void finalizer_thread_poke(void);
/* The thread ends, and is gone when this returns (or after a second at most: a finalizer may take longer). The next poke
 * starts another. Not in a critical section; nothing happens where the thread itself asks. */
void finalizer_thread_end(void);
void finalizer_wake(void); /* something was queued: wakes the thread, if there is one */
void finalizer_fork_child(void);

/* ---- phases; world stopped, in this order, mark_drain between them as cycle.c does ---- */
/* pinned blocks, arguments of cleanups, the queue and what is being run */
void finalizer_mark_roots(void);
/* arguments of finalizers of marked blocks; drains. false: mark_drain failed */
bool finalizer_mark_args(void);
/* what unmarked blocks with a finalizer hold, but not these themselves */
void finalizer_mark_reachable(void);
struct finalizer_split_result {
    size_t n_queued;     /* finalizers that became due */
    size_t n_cleanups;   /* cleanups of blocks that go now */
    size_t n_cyclic;     /* blocks that only cycles through finalizers hold */
    size_t n_cyclic_new; /* of these, seen for the first time */
};
/* Unmarked blocks with a finalizer are queued and marked. */
struct finalizer_split_result finalizer_split(void);
/* Once all that these reach is marked, by whatever way: cleanups of blocks still unmarked are queued, and the records of
 * these blocks end. */
void finalizer_end(struct finalizer_split_result *result);
/* The finalizer of the first block that was found to reach itself, whose name tells the block's type; NULL: none. */
finalizer_fn finalizer_first_cyclic(void);
void finalizer_note_first_cyclic(finalizer_fn fn);

#endif
