/* gc_malloc: flags, sizes, what is zero, and small parts that share a block. */
#include "interface.h"

#include <malloc.h>
#include <pthread.h>

static void errors_are_told(void)
{
    errno = 0;
    TEST_CHECK(gc_malloc(16, 8) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_malloc(5, 16 | GC_NOSCAN) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_malloc((size_t)PTRDIFF_MAX + 1, 0) == NULL && errno == ENOMEM);
    errno = 0;
    TEST_CHECK(gc_malloc((size_t)PTRDIFF_MAX / 2, GC_NOZERO) == NULL && errno == ENOMEM);
    TEST_CHECK(gc_good_size(SIZE_MAX) == 0 && gc_good_size((size_t)PTRDIFF_MAX + 1) == 0);
}

/* No collection makes room for what no address space has. */
static void absurd_sizes_start_no_collection(void)
{
    struct gc_stats before, after;
    TEST_CHECK(gc_get_stats(&before, sizeof(before)) == 0);
    for (int i = 0; i < 10; i++) {
        void *volatile p = malloc((size_t)1 << (47 + i));
        TEST_CHECK(p == NULL && errno == ENOMEM);
    }
    TEST_CHECK(gc_get_stats(&after, sizeof(after)) == 0);
    TEST_CHECK(after.n_cycles == before.n_cycles);
}

static void good_sizes_are_usable_sizes(void)
{
    for (size_t size = 0; size < 100000; size += 1 + size / 7) {
        void *p = gc_malloc(size, 0);
        TEST_CHECK(malloc_usable_size(p) == gc_good_size(size));
        free(p);
    }
}

static void check_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        TEST_CHECK(p[i] == 0);
}

/* Each block was full of old bytes before. */
static void blocks_are_zeroed_and_aligned(void)
{
    for (unsigned flags = 0; flags < 8; flags++) {
        for (size_t size = 0; size < 70000; size += 1 + size / 5) {
            for (int round = 0; round < 3; round++) {
                unsigned char *p = gc_malloc(size, flags);
                size_t align = size <= 12 && (flags & (GC_NOSCAN | GC_ROOT)) == GC_NOSCAN ? (size >= 8 ? 8 : 4) : 16;
                TEST_CHECK(p != NULL && (uintptr_t)p % align == 0 && malloc_usable_size(p) >= size);
                if ((flags & GC_NOZERO) == 0)
                    check_zero(p, size);
                memset(p, 0x77, malloc_usable_size(p));
                free(p);
            }
        }
    }
}

/* What is behind the bytes asked for must keep nothing either. */
static NOINLINE void leave_addresses(size_t size)
{
    for (size_t i = 0; i < INTERFACE_N; i++) {
        void **old = gc_malloc(64, GC_NOZERO);
        void *target = gc_malloc(48, 0);
        for (int w = 0; w < 8; w++)
            old[w] = target;
        free(old);
        interface_hide(i, target);
    }
    static char *kept[INTERFACE_N];
    for (size_t i = 0; i < INTERFACE_N; i++)
        kept[i] = gc_malloc(size, size == 57 ? GC_NOZERO : 0);
    for (size_t i = 0; i < INTERFACE_N; i++)
        memset(kept[i], 0, size);
}

static void the_end_of_a_block_holds_no_old_pointer(void)
{
    leave_addresses(57);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
    leave_addresses(49);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
}

/* ---- small parts ---- */

enum { N_PARTS = 20000 };
static unsigned char *parts[N_PARTS];
static size_t part_sizes[N_PARTS];

static NOINLINE void make_parts(uint64_t random)
{
    for (unsigned i = 0; i < N_PARTS; i++) {
        part_sizes[i] = test_random(&random) % 13;
        parts[i] = gc_malloc(part_sizes[i], GC_NOSCAN);
        check_zero(parts[i], part_sizes[i]);
        test_fill(parts[i], malloc_usable_size(parts[i]), i);
        if (i % 5 == 0) {
            parts[i] = realloc(parts[i], part_sizes[i] * 2 + 1);
            TEST_CHECK(test_is_filled(parts[i], part_sizes[i], i));
            test_fill(parts[i], part_sizes[i] * 2 + 1, i);
        }
        if (i % 7 == 0)
            interface_collect();
        else if (i % 11 == 0)
            free(parts[i / 2]); /* gives nothing back, so its bytes stay */
        if (i > 2000)
            i += 5;
    }
}

static void parts_do_not_overlap(void)
{
    make_parts(42);
    for (unsigned i = 0; i < N_PARTS; i++)
        if (parts[i] != NULL && i % 5 != 0)
            TEST_CHECK(test_is_filled(parts[i], part_sizes[i], i));
}

static size_t used_bytes(void)
{
    struct gc_stats stats;
    TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0);
    return stats.heap_used_bytes;
}

static void parts_share_blocks(void)
{
    enum { N = 30000 };
    static void *kept[N];
    gc_inhibit();
    size_t before = used_bytes();
    for (int i = 0; i < N; i++)
        kept[i] = gc_malloc(8, GC_NOSCAN);
    size_t used = used_bytes() - before;
    gc_uninhibit();
    if (used > N * 9)
        TEST_FAIL("%d parts of 8 bytes use %zu bytes", N, used);
    memset(kept, 0, sizeof(kept));
}

/* Any part keeps all that share; then all go. */
static NOINLINE void make_hidden_parts(void)
{
    for (size_t i = 0; i < INTERFACE_N; i++)
        interface_hide(i, gc_malloc(8, GC_NOSCAN));
}

static void parts_are_reclaimed(void)
{
    make_hidden_parts();
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
}

static int n_finalized;
static void note(void *obj, void *arg)
{
    (void)arg;
    TEST_CHECK(*(uint32_t *)obj == 77);
    n_finalized++;
}

static NOINLINE void finalize_parts(void)
{
    for (size_t i = 0; i < INTERFACE_N; i++) {
        uint32_t *p = gc_malloc(sizeof(*p), GC_NOSCAN);
        *p = 77;
        TEST_CHECK(gc_set_finalizer(p, note, NULL) == 0);
        TEST_CHECK(gc_set_finalizer(p, note, NULL) == EEXIST);
    }
}

static void each_part_may_have_a_finalizer(void)
{
    finalize_parts();
    for (int i = 0; i < 3; i++)
        TEST_CHECK(gc_collect_level(GC_FULL_EAGER) == 0);
    TEST_CHECK(n_finalized >= INTERFACE_NEARLY_ALL);
}

static void *thread_parts(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int round = 0; round < 200; round++) {
        unsigned char *mine[50];
        size_t sizes[50];
        for (unsigned i = 0; i < 50; i++) {
            sizes[i] = test_random(&random) % 40;
            mine[i] = gc_malloc(sizes[i], GC_NOSCAN);
            check_zero(mine[i], sizes[i]);
            test_fill(mine[i], sizes[i], i + (unsigned)(uintptr_t)arg);
        }
        if (round % 20 == 0)
            gc_collect();
        for (unsigned i = 0; i < 50; i++)
            TEST_CHECK(test_is_filled(mine[i], sizes[i], i + (unsigned)(uintptr_t)arg));
        for (unsigned i = 0; i < 50; i++)
            free(mine[i]);
    }
    return NULL;
}

static void threads_have_parts_of_their_own(void)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        TEST_CHECK(pthread_create(&threads[i], NULL, thread_parts, (void *)(i + 1)) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

enum { N_HANDED_OVER = 20000 };
static unsigned char *handed_over[N_HANDED_OVER];

static void *free_first_parts(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < N_HANDED_OVER; i += 2)
        free(handed_over[i]);
    return NULL;
}

/* A part that begins its block is not the block. */
static void parts_outlive_neighbours_that_other_threads_free(void)
{
    pthread_t thread;
    for (size_t i = 0; i < N_HANDED_OVER; i++) {
        handed_over[i] = gc_malloc(8, GC_NOSCAN);
        test_fill(handed_over[i], 8, (unsigned)i);
    }
    TEST_CHECK(pthread_create(&thread, NULL, free_first_parts, NULL) == 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < N_HANDED_OVER; i++)
        memset(gc_malloc(8, GC_NOSCAN), 0xee, 8);
    for (size_t i = 1; i < N_HANDED_OVER; i += 2)
        TEST_CHECK(test_is_filled(handed_over[i], 8, (unsigned)i));
}

static bool is_profiled(void)
{
    const char *settings = getenv("GCMALLOC");
    return settings != NULL && strstr(settings, "profile=") != NULL;
}

int main(void)
{
    errors_are_told();
    absurd_sizes_start_no_collection();
    if (!is_profiled()) /* a sampled block may be moved to pages of its own */
        good_sizes_are_usable_sizes();
    blocks_are_zeroed_and_aligned();
    the_end_of_a_block_holds_no_old_pointer();
    parts_do_not_overlap();
    parts_share_blocks();
    parts_are_reclaimed();
    each_part_may_have_a_finalizer();
    threads_have_parts_of_their_own();
    parts_outlive_neighbours_that_other_threads_free();
    return 0;
}
