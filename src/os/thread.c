/* This thread's state and the registry of threads.
 *
 * What    Records of registered threads in chunks of their own.
 * Owns    os_tls, the registry list, the free list, the chunks.
 * Invariants  a record is never unmapped; records are recycled. The list and the
 *         chain of chunks change by one store each, so that a fork child finds
 *         them whole; it derives the free list from the chunks.
 * Locks and callers  REGISTRY for all writes; reading the list: REGISTRY or a
 *         stopped world.
 * Not here  the gate word's protocol: gate.c.
 */
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/bits.h"
#include "base/check.h"
#include "os/critical_inl.h"
#include "os/kernel.h"

#define THREAD_CHUNK_BYTES 65536u
#define THREAD_N_FIRST 4u
#define THREAD_MAIN_STACK_BYTES ((uintptr_t)8 << 20)
#define THREAD_SPARE_ALTSTACKS 16u /* each is two mappings, which every cycle would read */

struct thread_chunk {
    struct thread_chunk *next;
    size_t n_records;
    struct os_thread records[];
};

__thread struct os_tls os_tls __attribute__((visibility("hidden"), tls_model("initial-exec"))) = {.mark = OS_TLS_MARK};
struct os_lock os_thread_registry_lock = OS_LOCK_INIT(OS_RANK_REGISTRY);

static struct {
    struct os_thread *first;     /* REGISTRY */
    struct os_thread *free;      /* REGISTRY */
    struct thread_chunk *chunks; /* REGISTRY; grows only */
    size_t n_fresh;              /* REGISTRY: records of the first chunk, from its end, that were never used */
    size_t n_spare_altstacks;    /* REGISTRY: of free records */
} thread_state;

/* The first few threads' lie beside what every program touches. */
static struct thread_chunk thread_first_chunk = {.records = {[THREAD_N_FIRST - 1] = {.next = NULL}}};

static struct thread_chunk *thread_map_chunk(void)
{
    long got = os_syscall(SYS_mmap, 0, THREAD_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return kernel_is_error(got) ? NULL : (struct thread_chunk *)got;
}

static bool thread_add_chunk_locked(void)
{
    bool is_first = thread_state.chunks == NULL;
    struct thread_chunk *chunk = is_first ? &thread_first_chunk : thread_map_chunk();

    if (chunk == NULL)
        return false;
    chunk->n_records = is_first ? THREAD_N_FIRST : (THREAD_CHUNK_BYTES - sizeof(*chunk)) / sizeof(chunk->records[0]);
    chunk->next = thread_state.chunks;
    STORE_ONCE(thread_state.chunks, chunk);
    thread_state.n_fresh = chunk->n_records;
    return true;
}

/* Fresh records are not linked before they are needed: a process of one thread touches one page of them. */
static struct os_thread *thread_take_record_locked(void)
{
    struct os_thread *t = thread_state.free;

    if (t != NULL) {
        thread_state.free = t->next;
        thread_state.n_spare_altstacks -= t->altstack != NULL;
        return t;
    }
    if (thread_state.n_fresh == 0 && !thread_add_chunk_locked())
        return NULL;
    return &thread_state.chunks->records[thread_state.chunks->n_records - thread_state.n_fresh--];
}

static void thread_clear(struct os_thread *t)
{
    *t = (struct os_thread){.altstack = t->altstack};
}

static struct os_thread *thread_take_locked(void)
{
    struct os_thread *t;

    os_lock_assert_held(&os_thread_registry_lock);
    t = thread_take_record_locked();
    if (t == NULL)
        return NULL;
    thread_clear(t);
    t->tid = os_tls.tid;
    t->next = thread_state.first;
    __atomic_store_n(&thread_state.first, t, __ATOMIC_RELEASE);
    return t;
}

struct os_thread *os_thread_register(void)
{
    struct os_thread *t = os_tls.thread;

    if (t != NULL)
        return t;
    STORE_ONCE(os_tls.tid, os_gettid());
    SIGNAL_FENCE(); /* the critical section is this thread's: a stop that comes in it reads the tid */
    os_critical_enter();
    os_lock(&os_thread_registry_lock);
    t = thread_take_locked();
    os_tls.thread = t;
    os_unlock(&os_thread_registry_lock);
    os_critical_leave();
    return t;
}

static void thread_unlink_locked(struct os_thread *t)
{
    struct os_thread **link = &thread_state.first;

    os_lock_assert_held(&os_thread_registry_lock);
    while (*link != t)
        link = &(*link)->next;
    STORE_ONCE(*link, t->next);
}

static void thread_recycle(struct os_thread *t)
{
    thread_clear(t);
    t->next = thread_state.free;
    thread_state.free = t;
    thread_state.n_spare_altstacks += t->altstack != NULL;
}

/* What is not kept for the next thread. One that the thread is on, in a handler that ends it, is left to it for ever. */
static void *thread_excess_altstack_locked(struct os_thread *t, bool is_taken_back)
{
    void *altstack = t->altstack;

    if (is_taken_back && thread_state.n_spare_altstacks < THREAD_SPARE_ALTSTACKS)
        return NULL;
    t->altstack = NULL;
    return is_taken_back ? altstack : NULL;
}

void os_thread_unregister(void)
{
    struct os_thread *t = os_tls.thread;
    void *excess;
    bool is_taken_back;

    if (t == NULL)
        return;
    is_taken_back = os_altstack_take_back(t);
    os_critical_enter();
    os_lock(&os_thread_registry_lock);
    os_tls.thread = NULL;
    thread_unlink_locked(t);
    excess = thread_excess_altstack_locked(t, is_taken_back);
    thread_recycle(t);
    os_unlock(&os_thread_registry_lock);
    if (excess != NULL)
        os_altstack_unmap(excess);
    os_critical_leave();
}

struct os_thread *os_thread_first(void)
{
    return __atomic_load_n(&thread_state.first, __ATOMIC_ACQUIRE);
}

struct os_thread *os_thread_first_free(void)
{
    return thread_state.free;
}

/* A handler of a vanished thread may have been on its altstack: like its stack, that is forgotten, and so a root. */
static void thread_fork_child_chunk(struct thread_chunk *chunk)
{
    for (size_t i = 0; i < chunk->n_records; i++) {
        if (&chunk->records[i] != os_tls.thread) {
            chunk->records[i].altstack = NULL;
            thread_recycle(&chunk->records[i]);
        }
    }
}

/* The thread that forked holds no lock and is the only one: nothing is read of what others may have left half
 * done. */
void os_thread_fork_child(void)
{
    struct os_thread *self = os_tls.thread;

    os_tls.tid = os_gettid();
    os_lock_reset(&os_thread_registry_lock);
    thread_state.free = NULL;
    thread_state.n_fresh = 0;
    thread_state.n_spare_altstacks = 0;
    for (struct thread_chunk *chunk = thread_state.chunks; chunk != NULL; chunk = chunk->next)
        thread_fork_child_chunk(chunk);
    if (self != NULL) {
        self->next = NULL;
        self->tid = os_tls.tid;
        self->gate = OS_GATE_RUNNING;
    }
    thread_state.first = self;
}

/* The kernel puts the name of the program last, so its end is in the last page of the main thread's stack. Below, it
 * keeps at least this much room free for it. libc would read all of /proc/self/maps to say the same. */
static bool thread_record_main_stack(struct os_thread *t)
{
    const char *name = (const char *)os_auxval(AT_EXECFN);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), end;

    if (name == NULL)
        return false;
    end = bits_round_up((uintptr_t)name + strlen(name) + 1, OS_PAGE_SIZE_MIN);
    if (here >= end || end - here > THREAD_MAIN_STACK_BYTES || t->tid != os_getpid()) /* last: other threads need not ask */
        return false;
    t->stack_lo = end - THREAD_MAIN_STACK_BYTES;
    t->stack_hi = end;
    return true;
}

/* Never smaller: where such a stack was is then read whole when the stack pointer comes by, which keeps more, not less. */
void os_thread_note_inner_stack(uintptr_t lo, size_t size_bytes)
{
    struct os_thread *t = os_tls.thread;

    if (t == NULL || lo < t->stack_lo || lo >= t->stack_hi)
        return;
    if (t->inner_hi == 0 || lo < t->inner_lo)
        STORE_ONCE(t->inner_lo, lo);
    if (lo + size_bytes > t->inner_hi)
        STORE_ONCE(t->inner_hi, lo + size_bytes);
}

void os_thread_record_stack(struct os_thread *t)
{
    pthread_attr_t attr;
    void *lo;
    size_t size;

    if (thread_record_main_stack(t))
        return;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    if (pthread_attr_getstack(&attr, &lo, &size) == 0) {
        t->stack_lo = (uintptr_t)lo;
        t->stack_hi = (uintptr_t)lo + size;
    }
    pthread_attr_destroy(&attr);
}
