/* What a conservative collector may keep by mistake, and shapes that are hard to walk.
 *
 * usage: shapes noise|lists|frames|deep|wide THOUSANDS
 * Proves
 *   noise   integers, texts and doubles in one of 100 live words keep at most 1 % of what was dropped
 *   lists   a dropped list is reclaimed whole, built by gc_malloc or by malloc
 *   frames  what returned calls held is reclaimed, but for a few blocks
 *   deep    a list of so many thousand cells stays whole, and marking it takes no memory to speak of: the mark stack
 *           holds at most 1 % of the heap, or the little that it holds in any
 *   wide    the same for an array of so many thousand pointers
 */
#include <stddef.h>
#include "gcmalloc.h"
#include "test_counter.h"
#include "test_util.h"
#include "trap.h"

enum {
    LIVE_BLOCK_WORDS = 512,
    NOISE_EVERY = 100,
    LIST_CELLS = 1000,
    CELL_BYTES = 64,
    PERCENT = 100,
    FRAME_BLOCK_BYTES = 4096,
    FRAMES_KEPT_MAX = 16,
    MARK_SHARE = 100,
    RSS_SLACK_KIB = 4096,
    STACK_SLACK_BYTES = 64 * 4096 /* what the pieces in one marker's queue lead to, whatever the heap */
};

struct cell {
    struct cell *next;
    uint64_t no;
};

static void *volatile keep;

/* Apart from the collection, whose caller's frame must not have room for old pointers. */
static __attribute__((noinline)) size_t used_bytes(void)
{
    struct gc_stats stats;
    TEST_CHECK(gc_get_stats(&stats, sizeof stats) == 0);
    return stats.heap_used_bytes;
}

static __attribute__((noinline)) size_t used_after_collection(void)
{
    trap_clear_stack();
    TEST_CHECK(gc_collect_level(GC_FULL) == 0);
    return used_bytes();
}

/* ---- noise ---- */

static uint64_t noise_integer(uint64_t *rng)
{
    return test_random(rng);
}

static uint64_t noise_small(uint64_t *rng)
{
    return test_random(rng) % 1000000;
}

static uint64_t noise_double(uint64_t *rng)
{
    double number = (double)(test_random(rng) >> 11) / (double)(1 << 20);
    uint64_t word;
    memcpy(&word, &number, sizeof word);
    return word;
}

static uint64_t noise_ascii(uint64_t *rng)
{
    uint64_t word = 0, r = test_random(rng);
    for (int i = 0; i < 8; i++)
        word = word << 8 | (0x20 + (r >> (8 * i) & 0xff) % 0x5f);
    return word;
}

/* Letters of Latin, Greek and Cyrillic. */
static uint64_t noise_utf16(uint64_t *rng)
{
    uint64_t word = 0, r = test_random(rng);
    for (int i = 0; i < 4; i++)
        word = word << 16 | (0x41 + (r >> (16 * i) & 0xffff) % 0x400);
    return word;
}

static __attribute__((noinline)) void live_new(size_t n_blocks, uint64_t (*noise)(uint64_t *), uint64_t *rng)
{
    uint64_t **blocks = malloc(n_blocks * sizeof *blocks);
    for (size_t b = 0; b < n_blocks; b++) {
        blocks[b] = calloc(LIVE_BLOCK_WORDS, sizeof **blocks);
        for (size_t w = test_random(rng) % NOISE_EVERY; w < LIVE_BLOCK_WORDS; w += NOISE_EVERY)
            blocks[b][w] = noise(rng);
    }
    keep = blocks;
}

/* It has a result so that the register of results does not hold the last cell: clang fills up the next function's frame
 * with that register. */
static __attribute__((noinline)) size_t list_drop(size_t n_cells, size_t size, int by_malloc)
{
    struct cell *first = NULL;
    for (size_t i = 0; i < n_cells; i++) {
        struct cell *c = by_malloc ? malloc(size) : gc_malloc(size, 0);
        TEST_CHECK(c != NULL);
        *c = (struct cell){first, i};
        first = c;
    }
    TEST_CHECK(first->no == n_cells - 1);
    return n_cells;
}

static void noise_check(const char *name, uint64_t (*noise)(uint64_t *), size_t n_cells, uint64_t *rng)
{
    size_t dropped = n_cells * CELL_BYTES;
    live_new(dropped / (LIVE_BLOCK_WORDS * sizeof(uint64_t)), noise, rng);
    size_t live = used_after_collection();
    for (size_t n = 0; n < n_cells; n += LIST_CELLS)
        TEST_CHECK(list_drop(LIST_CELLS, CELL_BYTES, 0) != 0);
    size_t used = used_after_collection();
    if (used > live + dropped / PERCENT)
        TEST_FAIL("%s: %zu of %zu bytes kept", name, used - live, dropped);
}

static void noise_run(size_t n)
{
    uint64_t rng = test_env_number("TEST_SEED", (unsigned long)getpid());
    dprintf(2, "TEST_SEED=%lu\n", (unsigned long)rng);
    noise_check("integers", noise_integer, n, &rng);
    noise_check("small integers", noise_small, n, &rng);
    noise_check("doubles", noise_double, n, &rng);
    noise_check("ascii", noise_ascii, n, &rng);
    noise_check("utf-16", noise_utf16, n, &rng);
}

/* ---- lists, frames ---- */

static void lists_run(size_t n)
{
    size_t before = used_after_collection();
    for (int round = 0; round < 6; round++) {
        TEST_CHECK(list_drop(n, 16 + 16 * (size_t)round, round % 2) != 0);
        size_t used = used_after_collection();
        if (used > before + n * sizeof(struct cell) / PERCENT)
            TEST_FAIL("round %d: %zu bytes kept", round, used - before);
    }
}

static __attribute__((noinline)) size_t frame_hold(size_t depth)
{
    void *volatile block = gc_malloc(FRAME_BLOCK_BYTES, 0);
    *(void *volatile *)block = block;
    return depth == 0 ? 1 : frame_hold(depth - 1) + (block != NULL);
}

static void frames_run(size_t n)
{
    size_t before = used_after_collection();
    TEST_CHECK(frame_hold(n) == n + 1);
    gc_collect(); /* directly: the frames that held the blocks are just below */
    size_t used = used_bytes();
    if (used > before + FRAMES_KEPT_MAX * FRAME_BLOCK_BYTES)
        TEST_FAIL("%zu bytes kept", used - before);
}

/* ---- deep and wide ---- */

static void collect_within(size_t heap_bytes)
{
    size_t most_kib = heap_bytes / 1024 / MARK_SHARE;
    long before_kib = test_proc_status("VmRSS");
    TEST_CHECK(gc_collect_level(GC_FULL) == 0);
    long grown_kib = test_proc_status("VmHWM") - before_kib;
    if (grown_kib > (long)most_kib + RSS_SLACK_KIB)
        TEST_FAIL("marking took %ld KiB, allowed %zu", grown_kib, most_kib + RSS_SLACK_KIB);
    size_t stack_bytes = test_counter("mark_stack_max");
    printf("mark stack: %zu bytes of %zu\n", stack_bytes, heap_bytes);
    if (stack_bytes == 0 || stack_bytes > heap_bytes / MARK_SHARE + STACK_SLACK_BYTES)
        TEST_FAIL("the mark stack held %zu bytes of %zu", stack_bytes, heap_bytes);
}

static void deep_run(size_t n)
{
    struct cell *first = NULL;
    gc_set_percent(-1);
    for (size_t i = 0; i < n; i++) {
        struct cell *c = gc_malloc(sizeof *c, GC_NOZERO);
        TEST_CHECK(c != NULL);
        *c = (struct cell){first, i};
        first = c;
    }
    collect_within(n * sizeof *first);
    for (size_t i = n; i-- > 0; first = first->next)
        TEST_CHECK(first->no == i);
}

static void wide_run(size_t n)
{
    gc_set_percent(-1);
    uint64_t **array = gc_malloc(n * sizeof *array, 0);
    for (size_t i = 0; i < n; i++) {
        array[i] = gc_malloc(sizeof **array, GC_NOZERO); /* to be searched: each goes over the stack */
        *array[i] = i;
    }
    collect_within(n * (sizeof *array + 16));
    for (size_t i = 0; i < n; i++)
        TEST_CHECK(*array[i] == i);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t n);
    } shapes[] = {
        {"noise", noise_run}, {"lists", lists_run}, {"frames", frames_run}, {"deep", deep_run}, {"wide", wide_run}};
    TEST_CHECK(argc == 3);
    size_t n = strtoul(argv[2], NULL, 10) * 1000;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].name, argv[1]) == 0) {
            shapes[i].run(n);
            return 0;
        }
    TEST_FAIL("no shape %s", argv[1]);
}
