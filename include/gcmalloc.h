/* gcmalloc.h: a malloc that gives back what the program lost.
 *
 * Linked or preloaded, libgcmalloc replaces malloc, free and operator new. The functions below are for
 * programs that know about it. Without them nothing changes for a program but that memory it can no longer
 * reach is reclaimed.
 *
 * Terms  A block is what an allocating function returned; its start is that address. A block is reachable
 *        while an address in it (not only its start) lies in a register, on a stack, in a static or
 *        thread-local variable, in any other private memory of the process, in a range added by gc_add_roots,
 *        or in a reachable block that may hold pointers. A collection takes the blocks that are not
 *        reachable. Pointers stored complemented, compressed, in files or in other processes are not seen:
 *        see gc_pin.
 *
 * Errors An int result is 0, or a positive errno value; errno itself is left alone. A pointer result is NULL
 *        on failure, with errno set, as from malloc. A pointer argument is not NULL unless its comment says so.
 * Threads  Every function may be called from any thread at any time, but not from a signal handler.
 * Callbacks  Functions that the library is given return: neither an exception nor longjmp leaves them. A C++ exception that
 *        does ends the program with a line that says so.
 */
#ifndef GCMALLOC_H
#define GCMALLOC_H

#include <stddef.h>
#include <stdint.h>

#define GCMALLOC_VERSION_MAJOR 0
#define GCMALLOC_VERSION_MINOR 1
#define GCMALLOC_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": the version of the library that runs, which may be newer than this header. Never NULL.
 *     puts(gc_version()); */
const char *gc_version(void);

/* ---- allocating ---------------------------------------------------------------------------------------- */

#define GC_NOSCAN 1u /* the block will hold no pointers: it is never searched for any */
#define GC_NOZERO 2u /* the block need not be zeroed */
#define GC_ROOT 4u   /* the block is reachable until it is freed, and so is what it points to */

/* A block of at least size bytes, aligned to 16 bytes, all zero unless GC_NOZERO is given. flags: any of the
 * above, by |. It may be passed to free, realloc and malloc_usable_size; it need not be freed.
 * Pointers in it are seen at multiples of 8, as C stores them; packed structures that hold pointers belong into malloc's
 * blocks, where multiples of 4 are searched.
 * Up to 12 bytes with GC_NOSCAN (and without GC_ROOT) share 16 with others, and are aligned to 8 from 8 bytes on
 * and to 4 below. Such blocks live and die together: one is reclaimed when all that share are unreachable,
 * and free gives nothing back.
 * NULL: errno is ENOMEM, or EINVAL where flags has other bits.
 *     char *name = gc_malloc(strlen(s) + 1, GC_NOSCAN | GC_NOZERO); */
void *gc_malloc(size_t size, unsigned flags);

/* What objects of one type look like: which of their 8-byte words may hold pointers. Never freed; make each once. */
struct gc_type;

/* A type of size bytes, a multiple of 8. Bit i % 64 of mask[i / 64] says whether word i may hold a pointer, for i below
 * n_bits; then the mask begins again, until the end of the object. The mask is copied.
 * NULL: errno is EINVAL (mask is NULL, n_bits is 0, or no such size) or ENOMEM.
 *     struct list { struct list *next; uint64_t hash; char *text; };
 *     uint64_t mask = 1 << 0 | 1 << 2;
 *     list_type = gc_type_create(sizeof(struct list), &mask, 3); */
const struct gc_type *gc_type_create(size_t size, const uint64_t *mask, size_t n_bits);

/* One step of a program that describes a large type: n_times times n_data words without pointers, then n_pointers
 * words that may be pointers. */
struct gc_type_step {
    size_t n_data, n_pointers, n_times;
};
/* The same by steps, one behind the other; the rest of the object holds no pointers. steps may be NULL where n_steps is 0.
 * NULL: errno is EINVAL (no such size, or the steps are longer than it) or ENOMEM.
 *     const struct gc_type_step steps[] = {{2, 6, 10}};
 *     const struct gc_type *wide = gc_type_create_steps(1024, steps, 1); */
const struct gc_type *gc_type_create_steps(size_t size, const struct gc_type_step *steps, size_t n_steps);

/* One object of the type, or n behind each other; aligned to 16 bytes, all zero. Only the words that the type names are
 * searched for pointers: an address in another word keeps nothing. It may be passed to free and malloc_usable_size;
 * realloc gives a block like that of gc_malloc(size, 0), in which every word counts.
 * NULL: errno is ENOMEM, also where n objects would exceed any memory.
 *     struct list *one = gc_new(list_type), *many = gc_new_array(list_type, 100); */
void *gc_new(const struct gc_type *type);
void *gc_new_array(const struct gc_type *type, size_t n);
/* As gc_new, of size bytes: what follows the object (a flexible array) holds no pointers. In blocks above 32 KiB the
 * type repeats instead. NULL: also EINVAL, size is below the type's.
 *     struct list *named = gc_new_sized(list_type, gc_type_size(list_type) + strlen(s) + 1); */
void *gc_new_sized(const struct gc_type *type, size_t size);
size_t gc_type_size(const struct gc_type *type); /* in bytes, as given */

/* The usable size in bytes of the block that gc_malloc(size, 0) would return, without allocating it; 0 where no block
 * is that large. malloc(size) keeps a byte more for pointers one past the end: its block has gc_good_size(size + 1).
 *     size_t capacity = gc_good_size(n_wanted); */
size_t gc_good_size(size_t size);

/* ---- collecting ---------------------------------------------------------------------------------------- */

/* Collect now. When it returns, finalizers of the blocks found unreachable are queued, not necessarily run.
 * Does nothing where gc_collect_level(GC_FULL) would return an error.
 *     gc_collect(); */
void gc_collect(void);

enum gc_level {
    GC_IF_DUE = 0, /* only if an allocation at this place would collect */
    GC_FULL = 1,   /* now */
    GC_FULL_EAGER = 2 /* now; empty memory is given back to the kernel and queued finalizers have run */
};
/* Collect. 0: done, or not due. ECANCELED: the collection was given up and nothing was reclaimed, because it
 * is inhibited or switched off, or because not everything that the program can reach could be read; the
 * counters in gc_get_stats say how often. EINVAL: no such level. Finalizers of GC_FULL_EAGER run in the
 * calling thread.
 *     if (gc_collect_level(GC_FULL_EAGER) == ECANCELED)
 *         puts("not now"); */
int gc_collect_level(int level);

/* Between gc_inhibit and gc_uninhibit no block is judged unreachable, gc_collect included. Calls nest and may
 * come from different threads; each gc_inhibit needs one gc_uninhibit.
 *     gc_inhibit();
 *     hidden = ~(uintptr_t)one, one = NULL, one = (struct list *)~hidden;
 *     gc_uninhibit(); */
void gc_inhibit(void);
void gc_uninhibit(void);

/* The next collection comes when the heap has grown by percent of what the last one left alive (default 100); in a program that uses
 * gc_malloc earlier where collections take little of its time.
 * Negative: never because of growth. EINVAL: percent above 100000.
 *     gc_set_percent(50); */
int gc_set_percent(int percent);

/* Collect before the heap exceeds this many bytes, if that helps; allocation never fails because of it. 0: no
 * limit.
 *     gc_set_limit((size_t)512 << 20); */
int gc_set_limit(size_t bytes);

enum gc_mode {
    GC_MODE_OFF = 0,      /* never collect */
    GC_MODE_REPORT = 1,   /* find unreachable blocks and count them, but take none */
    GC_MODE_EXPLICIT = 2, /* take only blocks of gc_malloc; all blocks of malloc count as reachable */
    GC_MODE_RECLAIM = 3,  /* take every unreachable block */
    GC_MODE_AUTO = 4      /* GC_MODE_EXPLICIT while a runtime that is known to hide pointers is in the process, else
                           * GC_MODE_RECLAIM; the default */
};
/* EINVAL: no such mode.
 *     gc_set_mode(GC_MODE_REPORT); */
int gc_set_mode(int mode);

/* Give empty memory back to the kernel at once; it goes by itself a little later. Returns how many bytes.
 *     printf("%zu bytes\n", gc_trim()); */
size_t gc_trim(void);

enum gc_event {
    GC_ON_BEGIN = 1, /* a collection is about to begin */
    GC_ON_END = 2,   /* one has ended, or was given up */
    GC_ON_LIMIT = 4  /* one was made because a memory limit was near, or there was no memory */
};
typedef void (*gc_event_fn)(int event, void *arg);

/* Call fn(event, arg) on these events (by |), for pools to drop what they cache. fn runs without any lock of the
 * library and may call every function here.
 * Of gc_collect and gc_collect_level they are told in the calling thread, BEGIN before and END after; of what fn collects
 * itself, nothing is told. An allocation, which may start a collection too, may come from a place where no other code may
 * run. So of all other collections they are told by the thread that runs finalizers, or by gc_run_finalizers: BEGIN when
 * an eighth of the growth up to the next collection is left, which is mostly in time, or else after it; END and LIMIT
 * soon after. Several may be told as one. What was before this call is not told, which may be the BEGIN of a collection
 * whose END is. arg is kept reachable.
 * EINVAL: no fn, no event, or an unknown one. ENOMEM: 16 are in use.
 *     gc_on_event(GC_ON_BEGIN | GC_ON_LIMIT, pool_drop, &pool); */
int gc_on_event(unsigned events, gc_event_fn fn, void *arg);
/* fn is no longer called for what happens from now on; a call that another thread has begun may still run. EINVAL: there
 * is no such fn with this arg.
 *     gc_off_event(pool_drop, &pool); */
int gc_off_event(gc_event_fn fn, void *arg);

/* ---- keeping blocks, and roots ------------------------------------------------------------------------- */

/* The block that starts at obj stays reachable until gc_unpin has been called as often as gc_pin. Freeing a
 * pinned block ends the program. EINVAL: obj is not the start of a block (gc_unpin: not pinned). ENOMEM.
 *     gc_pin(one);
 *     hidden = ~(uintptr_t)one;
 *     gc_unpin(one); */
int gc_pin(void *obj);
int gc_unpin(void *obj);

/* The size_bytes bytes from start are searched for pointers in every collection, until the same range is
 * removed. The memory must stay readable. Needed only for memory that is not searched anyway: mappings of
 * files and devices. EINVAL: an empty or impossible range (gc_remove_roots: not added). ENOMEM.
 *     gc_add_roots(shared, sizeof *shared);
 *     gc_remove_roots(shared, sizeof *shared); */
int gc_add_roots(void *start, size_t size_bytes);
int gc_remove_roots(void *start, size_t size_bytes);
/* The range is never searched: the program promises that nothing in it is the only reference to a block.
 * Errors as above; gc_remove_roots ends it.
 *     gc_exclude_roots(pixels, n_pixels * sizeof *pixels); */
int gc_exclude_roots(void *start, size_t size_bytes);

/* A stack of a coroutine, from lowest up, that does not run now and whose stack pointer is sp: what lies below holds
 * nothing. Optional: coroutines work without, and their stacks are searched whole. gc_stack_resume with the same
 * arguments comes before the coroutine runs on or its stack is freed. 0 or an error of gc_exclude_roots.
 *     gc_stack_suspend(stack, sp);
 *     swapcontext(&scheduler, &coroutine);
 *     gc_stack_resume(stack, sp); */
static inline int gc_stack_suspend(void *lowest, void *sp)
{
    size_t dead = (size_t)((char *)sp - (char *)lowest);
    return dead > 4096 ? gc_exclude_roots(lowest, dead - 256) : 0; /* 128 bytes below sp may be in use */
}
static inline int gc_stack_resume(void *lowest, void *sp)
{
    size_t dead = (size_t)((char *)sp - (char *)lowest);
    return dead > 4096 ? gc_remove_roots(lowest, dead - 256) : 0;
}

/* The start of the block that contains address (any value, NULL too), or NULL where address lies in no block in use. errno
 * stays. *size_bytes, if not NULL, receives the usable size of the block in bytes. Short blocks that share 16 bytes (see
 * gc_malloc) are one block here, as they are to gc_heap_walk and gc_get_classes.
 *     struct list *start = gc_find_object(&one->text, &size); */
void *gc_find_object(const void *address, size_t *size_bytes);

/* ---- finalizers ---------------------------------------------------------------------------------------- */

/* Called once with the block and arg, some time after a collection found the block unreachable; the block,
 * all that it reaches, and arg are kept until it has returned. It may make the block reachable again, but is
 * not called twice. */
typedef void (*gc_finalizer_fn)(void *obj, void *arg);

/* One finalizer for the block that starts at obj. If block A reaches block B and both have one, B's runs only
 * after A is gone; blocks with finalizers that reach themselves never are finalized. fn NULL removes it. arg
 * is kept reachable as long as obj is. Finalizers run one after another in a thread of the library, in
 * gc_run_finalizers, or in gc_collect_level(GC_FULL_EAGER). free drops the finalizer without calling it. It may do
 * whatever the program may: allocate, collect, block, fork, exit, set a finalizer again.
 * EINVAL: obj is not the start of a block. EEXIST: it has one already. ENOMEM.
 *     gc_set_finalizer(one, list_close, NULL); */
int gc_set_finalizer(void *obj, gc_finalizer_fn fn, void *arg);

enum gc_order {
    GC_ORDERED = 0,          /* as gc_set_finalizer */
    GC_ORDERED_BUT_SELF = 1, /* the same, but pointers from the block into itself do not count */
    GC_UNORDERED = 2         /* as soon as the roots do not reach the block, even in a cycle */
};
struct gc_finalizer {
    gc_finalizer_fn fn; /* NULL: none */
    void *arg;
    unsigned order; /* enum gc_order */
};
/* Replace the block's finalizer by *set (NULL: by none) in one step; *old, if not NULL, receives what was there.
 * EINVAL: obj is not the start of a block, or no such order. EEXIST: the old one is about to run. ENOMEM.
 *     gc_exchange_finalizer(one, NULL, &old); */
int gc_exchange_finalizer(void *obj, const struct gc_finalizer *set, struct gc_finalizer *old);

/* fn(arg) is called after the block that starts at obj is gone; any number per block, in no order. arg is
 * kept reachable: it must not reach obj, or obj is never gone. EINVAL: obj is not the start of a block, or fn is NULL.
 * ENOMEM.
 *     gc_add_cleanup(one, count_down, &pool); */
int gc_add_cleanup(void *obj, void (*fn)(void *arg), void *arg);

/* is_on 0: finalizers run in gc_run_finalizers and gc_collect_level(GC_FULL_EAGER) only, from when this has returned and
 * those that run have. Not 0: in a thread of the library again.
 *     gc_set_finalizer_thread(0); */
void gc_set_finalizer_thread(int is_on);

/* Run what is queued now, in this thread. Returns how many finalizers and cleanups were run.
 *     while (gc_run_finalizers() > 0)
 *         continue; */
size_t gc_run_finalizers(void);

/* ---- weak references ----------------------------------------------------------------------------------- */

struct gc_weak;

/* A reference to the block that starts at obj which does not keep it. The reference is a block itself: it is
 * reclaimed when unreachable, or by free.
 * NULL: errno is EINVAL (obj is not the start of a block) or ENOMEM.
 *     struct gc_weak *weak = gc_weak_new(one); */
struct gc_weak *gc_weak_new(void *obj);

/* The block, which the caller now holds; NULL once it was freed, or found unreachable. errno stays.
 *     struct list *strong = gc_weak_get(weak); */
void *gc_weak_get(struct gc_weak *weak);

#define GC_WEAK_LONG 1u /* the link becomes NULL only when the block is gone for good, its finalizer has run */

/* The word at link, a multiple of 8, becomes NULL once the block that starts at obj is found unreachable (and before
 * its finalizer runs, unless flags has GC_WEAK_LONG) or is freed. The word is the program's: it should hold obj, in a
 * block of GC_NOSCAN, in a word of a type that is no pointer, or disguised, or it would keep obj itself; to read
 * it is to hold what it says. A link in a block ends with that block, freed or reclaimed. Any other must be
 * ended by gc_weak_unlink before its memory is unmapped.
 * EINVAL: obj is not the start of a block, link is no multiple of 8, or unknown flags. EEXIST: link is one already.
 * ENOMEM.
 *     void **slots = gc_malloc(64 * sizeof *slots, GC_NOSCAN);
 *     slots[0] = one;
 *     gc_weak_link(&slots[0], one, 0); */
int gc_weak_link(void **link, void *obj, unsigned flags);
/* The word is left as it is. EINVAL: it is no link.
 *     gc_weak_unlink(&slots[0]); */
int gc_weak_unlink(void **link);
/* The link at from is now at to; the program copies the word. EINVAL: from is no link. Else as gc_weak_link.
 *     slots[1] = slots[0];
 *     gc_weak_move(&slots[0], &slots[1]); */
int gc_weak_move(void **from, void **to);

/* ---- looking ------------------------------------------------------------------------------------------- */

enum { GC_N_PAUSE_LENGTHS = 26 };
/* Counters grow from the start of the process. A newer library may know more fields than the caller, and the
 * other way round: both go by size_bytes. Times in nanoseconds. */
struct gc_stats {
    uint64_t heap_used_bytes;      /* in blocks in use. Counted by this call; in a heap beyond 256 MiB not more often than
                                      * each 32 ms for each GiB of it, and after each collection */
    uint64_t heap_committed_bytes; /* taken from the kernel for blocks */
    uint64_t heap_purged_bytes;    /* of these, given back for now */
    uint64_t metadata_bytes;       /* taken from the kernel for the library's own tables */
    uint64_t goal_bytes;           /* the heap size at which the next collection is due */
    uint64_t n_cycles;             /* collections that ran to their end */
    uint64_t n_cycles_skipped;     /* collections given up: nothing was reclaimed */
    uint64_t n_blocks_reclaimed;
    uint64_t n_bytes_reclaimed;
    uint64_t n_blocks_marked; /* found reachable, over all collections */
    uint64_t n_bytes_marked;
    uint64_t n_taken_used; /* blocks that were reclaimed and then still freed or resized by the program */
    uint64_t n_foreign_freed;
    uint64_t n_finalizers_run;
    uint64_t n_finalizers_queued; /* waiting now */
    uint64_t pause_ns_total;      /* the program's threads stood still */
    uint64_t pause_ns_max;
    uint64_t cpu_ns_total; /* CPU time used by collections */
    uint64_t n_cycles_by_growth, n_cycles_by_limit, n_cycles_explicit;
    uint64_t heap_mapped_bytes;      /* address space in use for blocks, room between them included */
    uint64_t n_finalizers_set;       /* ever */
    uint64_t n_finalizers_cyclic;    /* blocks with a finalizer that reach themselves: never finalized */
    uint64_t finalizer_cyclic_first; /* address of the finalizer of the first such block, which tells its type */
    uint64_t n_weak_cleared;
    uint64_t n_bytes_returned; /* to the kernel, ever */
    uint64_t stop_ns_total, mark_ns_total;
    uint64_t n_blocks_used; /* in use, counted with heap_used_bytes */
    /* Pauses by length: [0] less than 1 us, [i] from 2^(i-1) us to less than 2^i us, the last one whatever is longer. */
    uint64_t n_pauses[GC_N_PAUSE_LENGTHS];
};

/* Fill the first size_bytes bytes of *stats; call with sizeof(struct gc_stats). Fields that this library does
 * not know become 0. EINVAL: stats is NULL, or size_bytes is smaller than the first field.
 *     struct gc_stats stats;
 *     gc_get_stats(&stats, sizeof stats); */
int gc_get_stats(struct gc_stats *stats, size_t size_bytes);

/* Write what the roots reach, and by what, to a new file at path (mode 0600, in place of one that is there) in Chrome's
 * .heapsnapshot format, which gcrun --analyze and the browser's developer tools read. A clone of the process writes it:
 * the other threads stand still for a collection and the clone, the caller waits until the file is complete. Any thread;
 * one snapshot at a time.
 * 0. EINVAL: no path, an empty one, or 1024 bytes and more. EEXIST: a device, a pipe, a folder or a symbolic link is there. EAGAIN: another snapshot is being made, or there may be no
 * more processes.
 * ECANCELED: the collection was skipped. EIO: it could not be written. ENOMEM, and the errors of open(2).
 *     gc_snapshot_write("/tmp/now.heapsnapshot"); */
int gc_snapshot_write(const char *path);

/* ---- where blocks come from ----------------------------------------------------------------------------- */

/* From now on, sample one allocation in mean_bytes bytes on average, with its stack: 1 samples every one, 0 none. It stands
 * for option profile, which is better set at the start: what was allocated before is not known, and samples that were taken
 * stay until their blocks are freed. While options leaks or alloctrace are on, every allocation is sampled whatever is set
 * here. EINVAL: more than 2^40. ENOMEM.
 *     gc_set_profile_rate(512 << 10); */
int gc_set_profile_rate(size_t mean_bytes);

enum gc_profile_kind {
    GC_PROFILE_LIVE = 0,       /* samples in use, and all there ever were */
    GC_PROFILE_UNREACHABLE = 1 /* samples that the last collection found unreachable, and that any did */
};
/* Write the heap profile, in the text format that pprof, google-pprof and jeprof read. A file is made, or emptied; %p in
 * its name stands for the process id, %% for a percent sign; where there is no %p, a child of fork adds a dot and its
 * process id. The mode is 0600, and path must not be a symbolic link. EINVAL: path is NULL, or there is no such kind;
 * else the error of opening or writing.
 *     gc_profile_write("/tmp/heap.%p.prof", GC_PROFILE_LIVE);
 *     gc_profile_write_fd(STDERR_FILENO, GC_PROFILE_UNREACHABLE); */
int gc_profile_write(const char *path, int kind);
int gc_profile_write_fd(int fd, int kind);

enum gc_leaks_format { GC_LEAKS_TEXT = 0, GC_LEAKS_JSON = 1 };
/* Collect twice and write which blocks were found unreachable both times, or taken, and never freed, by the places that
 * allocated them. Only blocks that were sampled are known: set option leaks, or the rate 1 early. Blocks of gc_malloc are no
 * leaks. Nothing leaked: the text is empty. Files as above. EINVAL: path is NULL, or there is no such format.
 * ECANCELED: a collection was given up; the report says why. ENOMEM; else the error of opening or writing.
 *     gc_leaks_write("/tmp/leaks.%p.json", GC_LEAKS_JSON);
 *     gc_leaks_write_fd(STDERR_FILENO, GC_LEAKS_TEXT); */
int gc_leaks_write(const char *path, int format);
int gc_leaks_write_fd(int fd, int format);

/* All counters of the library by number, from 0 on, each with its name: cycles by cause, skipped collections by reason
 * (skip_...), what was freed or resized after it had been taken, and more. 0: *name and *value are filled. EINVAL:
 * there is no such number, so the last was the last. Names of one version mean the same in later ones; numbers do not.
 *     for (unsigned i = 0; gc_get_counter(i, &name_of, &value) == 0; i++)
 *         printf("%s %" PRIu64 "\n", name_of, value); */
int gc_get_counter(unsigned number, const char **name, uint64_t *value);

/* What blocks are, beside GC_NOSCAN and GC_ROOT. gc_malloc takes none of these. */
#define GC_IS_MALLOC 0x100u /* of malloc or operator new */
#define GC_IS_TYPED 0x200u  /* of gc_new and its like */
#define GC_IS_SHARED 0x400u /* of gc_malloc, 16 bytes that several short blocks share */

/* Blocks of one size and kind. */
struct gc_class_stats {
    uint64_t size_bytes; /* of one block; 0: all larger ones together */
    uint64_t n_used, used_bytes;
    uint64_t n_free; /* room for so many is there */
    uint64_t flags;
};
/* Fill up to n_max entries of entry_bytes bytes each (sizeof(struct gc_class_stats)), one for each size and kind that has
 * memory; returns how many there are, which may be more. classes may be NULL where n_max is 0. Of an entry, what the
 * caller does not know is left out, and what this library does not know is 0. Entries are a snapshot only where no other
 * thread allocates.
 *     struct gc_class_stats classes[100];
 *     size_t n_classes = gc_get_classes(classes, sizeof classes[0], 100); */
size_t gc_get_classes(struct gc_class_stats *classes, size_t entry_bytes, size_t n_max);

struct gc_block {
    void *start;
    size_t size_bytes; /* usable */
    unsigned flags;
};
typedef int (*gc_walk_fn)(const struct gc_block *block, void *arg);
/* Call fn(block, arg) for each block in use, by address, until it returns something else than 0, which is returned;
 * else 0. *block is there until fn returns. No collection runs meanwhile; other threads do, and what they allocate or free
 * may be told or not. fn may call every function here.
 *     gc_heap_walk(count_block, &n_blocks); */
int gc_heap_walk(gc_walk_fn fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
