/* See twin.h.
 *
 * The clone writes into one piece of shared memory: for each span in which it found unreachable blocks a record with their bits.
 * Such a span outlives the clone, because a block that nobody reaches is freed by nobody. (Where the program does free one all the
 * same, by a pointer that we cannot see, a block that gets its slot meanwhile is lost with it.)
 */
#include "gc/twin.h"

#include <errno.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/counters.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/roots_doctor.h"
#include "gc/weak.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/os.h"

enum {
    TWIN_MIN_BYTES = 64 << 20, /* of heap in use; below it marking takes some ms, and a clone that is waited for costs more */
    TWIN_EXIT_FAILED = 1,
    TWIN_MEMORY_SHARE = 2, /* of the heap: so much must be available, for pages that are written before the clone ends */
    TWIN_LOOK_NS = 500 * 1000,
    TWIN_MAX_LOST = 3, /* in a row; then none is made any more: whatever ends them lasts, and each is a second marking */
};
#define TWIN_PATIENCE_NS (UINT64_C(5) * 1000 * 1000 * 1000)

struct twin_span {
    uint32_t ref, n_words;
    uint64_t generation;
    uint64_t dead[]; /* n_words */
};

struct twin_result {
    uint64_t is_complete; /* written last */
    uint64_t cpu_ns;
    size_t n_bytes; /* of records */
    _Alignas(8) char records[];
};

static struct {
    enum twin_use use;
    pid_t pid; /* of the clone, 0: none that is not reaped */
    struct twin_result *result; /* NULL: no twin is on its way */
    size_t result_bytes;
    uint32_t n_lost; /* clones in a row, and results that were in doubt */
    uint32_t n_doubts; /* atomic */
    uint32_t n_doubts_before;
} twin;

void twin_enable(enum twin_use use)
{
    twin.use = use;
}

void twin_doubt(void)
{
    __atomic_add_fetch(&twin.n_doubts, 1, __ATOMIC_RELAXED);
}

bool twin_is_on_its_way(void)
{
    return twin.result != NULL;
}

uint64_t twin_cpu_ns(void)
{
    return twin.result->cpu_ns;
}

/* ---- before -------------------------------------------------------------------------------------------------- */

bool twin_is_wanted(enum cycle_cause cause)
{
    size_t n_bytes = heap_mapped_bytes();

    if (LIKELY(twin.use == TWIN_NEVER) || cause == CYCLE_LIMIT || cause == CYCLE_NO_MEMORY || cause == CYCLE_INQUIRY)
        return false;
    return twin.use == TWIN_ALWAYS || (n_bytes >= TWIN_MIN_BYTES && os_vm_available() >= n_bytes / TWIN_MEMORY_SHARE);
}

/* Room for a record of each span, should all have the smallest blocks. */
static size_t twin_room_bytes(void)
{
    size_t n_slices = __atomic_load_n((const uintptr_t *)&heap_map.arena_bytes, __ATOMIC_RELAXED) >> SLICE_SHIFT;
    size_t n_words = SLICE_SIZE / SIZECLASS_ALIGN / 64 + 1;

    return sizeof(struct twin_result) + n_slices * (sizeof(struct twin_span) + n_words * sizeof(uint64_t));
}

/* ---- the clone ----------------------------------------------------------------------------------------------- */

/* A record begins behind the last one, and counts only where something is dead. */
static void twin_export_span(struct span *s, void *ctx)
{
    struct twin_result *result = ctx;
    struct twin_span *record = (struct twin_span *)(result->records + result->n_bytes);
    uint64_t any = 0;

    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t dead = ~s->words[w].free & ~s->words[w].mark & span_valid_mask(s, w);
        any |= dead;
        record->dead[w] = dead;
    }
    if (any == 0)
        return;
    record->ref = meta_ref(s);
    record->n_words = s->n_words;
    record->generation = span_generation(s);
    result->n_bytes += sizeof(*record) + s->n_words * sizeof(uint64_t);
}

static NORETURN void twin_run(pid_t parent, bool (*mark)(void))
{
    bool is_complete;

    os_clone_follow(parent);
    mark_alone();
    /* A hole is memory of a block that clones do not get (MADV_DONTFORK). */
    is_complete = os_vm_is_mapped((void *)heap_map.arena_base, heap_map.arena_bytes) && roots_reopen_in_clone() && mark();
    if (is_complete) {
        heap_walk_spans(twin_export_span, twin.result);
        twin.result->cpu_ns = os_clock_cpu_ns();
        __atomic_store_n(&twin.result->is_complete, 1, __ATOMIC_RELEASE);
    }
    os_exit_group(is_complete ? 0 : TWIN_EXIT_FAILED);
}

/* A weak reference may be read between the stops, and lead to what nothing else leads to. */
bool twin_begin(bool (*mark)(void))
{
    pid_t parent = os_getpid();
    long pid;

    ASSERT(twin.result == NULL && twin.pid == 0);
    if (weak_is_used() || roots_has_userfault() || twin.n_lost >= TWIN_MAX_LOST)
        return false;
    twin.result_bytes = bits_round_up(twin_room_bytes(), os_page_size());
    twin.result = os_vm_map_shared(twin.result_bytes);
    if (twin.result == NULL)
        return false;
    twin.n_doubts_before = __atomic_load_n(&twin.n_doubts, __ATOMIC_RELAXED);
    pid = os_clone_process(false);
    if (pid == 0)
        twin_run(parent, mark);
    twin.pid = pid > 0 ? (pid_t)pid : 0;
    if (pid < 0)
        twin_end();
    counter_add(COUNTER_CLONES, pid > 0);
    return pid > 0;
}

/* ---- after --------------------------------------------------------------------------------------------------- */

/* false: it runs. */
static bool twin_reap(void)
{
    bool is_success;

    if (twin.pid != 0 && os_clone_wait(twin.pid, false, &is_success) != -EAGAIN)
        twin.pid = 0;
    return twin.pid == 0;
}

/* One that gets nothing done, because somebody stopped it, say, is not waited for for ever. */
static void twin_await(void)
{
    uint64_t moved_ns = os_clock_ns(), before_cpu_ns = 0;
    uint32_t nobody = 0;

    while (!twin_reap() && os_clock_ns() - moved_ns < TWIN_PATIENCE_NS) {
        uint64_t cpu_ns = os_clone_cpu_ns(twin.pid);
        if (cpu_ns != before_cpu_ns)
            moved_ns = os_clock_ns();
        before_cpu_ns = cpu_ns;
        os_futex_wait(&nobody, 0, TWIN_LOOK_NS);
    }
    if (twin.pid != 0)
        os_clone_end(twin.pid);
    twin.pid = 0;
}

/* Somebody else may have reaped it, who waits for any child there is: its result tells. */
enum twin_state twin_poll(bool is_awaited)
{
    if (is_awaited)
        twin_await();
    else if (!twin_reap())
        return TWIN_RUNNING;
    if (__atomic_load_n(&twin.result->is_complete, __ATOMIC_ACQUIRE) != 0)
        return TWIN_DONE;
    twin.n_lost++;
    twin_end();
    return TWIN_LOST;
}

static void twin_mark_span(struct span *s, void *ctx)
{
    (void)ctx;
    for (uint32_t w = 0; w < s->n_words; w++)
        s->words[w].mark |= ~s->words[w].free & span_valid_mask(s, w);
}

/* NULL: it is not the span that the clone saw. */
static struct span *twin_span_of(const struct twin_span *record)
{
    struct span *s = span_of_ref(record->ref);

    if (!s->is_ready || s->n_words != record->n_words || span_generation(s) != record->generation)
        return NULL;
    return slice_of(s->start)->span == record->ref ? s : NULL;
}

static void twin_walk(void (*fn)(struct span *s, const struct twin_span *record))
{
    for (size_t at = 0; at < twin.result->n_bytes;) {
        const struct twin_span *record = (const struct twin_span *)(twin.result->records + at);
        struct span *s = twin_span_of(record);
        if (s != NULL)
            fn(s, record);
        at += sizeof(*record) + record->n_words * sizeof(uint64_t);
    }
}

static void twin_unmark(struct span *s, const struct twin_span *record)
{
    for (uint32_t w = 0; w < s->n_words; w++)
        s->words[w].mark &= ~record->dead[w];
}

bool twin_import(void)
{
    if (__atomic_load_n(&twin.n_doubts, __ATOMIC_RELAXED) != twin.n_doubts_before) {
        twin.n_lost++;
        return false;
    }
    twin.n_lost = 0;
    heap_walk_spans(twin_mark_span, NULL);
    twin_walk(twin_unmark);
    return true;
}

/* Two threads may be here, each on its way to an exec. */
void twin_end(void)
{
    struct twin_result *result = __atomic_exchange_n(&twin.result, NULL, __ATOMIC_ACQ_REL);
    pid_t pid = __atomic_exchange_n(&twin.pid, 0, __ATOMIC_ACQ_REL);

    if (pid != 0)
        os_clone_end(pid);
    if (result != NULL)
        os_vm_unmap(result, twin.result_bytes);
}

/* The clone is the parent's. */
void twin_fork_child(void)
{
    twin.pid = 0;
    twin_end();
}
