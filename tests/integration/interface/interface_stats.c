/* Figures: the same truth from gc_get_stats, classes, a walk, mallinfo2, malloc_info and malloc_stats; sizes of older and newer
 * callers; counters by name. */
#include "interface.h"

#include <malloc.h>
#include "test_counter.h"

static struct gc_stats stats(void)
{
    struct gc_stats s;
    TEST_CHECK(gc_get_stats(&s, sizeof(s)) == 0);
    return s;
}

static void versions_go_by_size(void)
{
    unsigned char room[sizeof(struct gc_stats) + 64];
    TEST_CHECK(gc_get_stats(NULL, sizeof(struct gc_stats)) == EINVAL);
    TEST_CHECK(gc_get_stats((struct gc_stats *)room, 4) == EINVAL);
    memset(room, 0x55, sizeof(room));
    TEST_CHECK(gc_get_stats((struct gc_stats *)room, 16) == 0); /* an older program */
    TEST_CHECK(room[16] == 0x55 && room[15] != 0x55);
    TEST_CHECK(gc_get_stats((struct gc_stats *)room, sizeof(room)) == 0); /* a newer one */
    for (size_t i = sizeof(struct gc_stats); i < sizeof(room); i++)
        TEST_CHECK(room[i] == 0);
    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", GCMALLOC_VERSION_MAJOR, GCMALLOC_VERSION_MINOR, GCMALLOC_VERSION_PATCH);
    TEST_CHECK(strcmp(gc_version(), version) == 0);
}

static uint64_t number_of_pauses(const struct gc_stats *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < GC_N_PAUSE_LENGTHS; i++)
        n += s->n_pauses[i];
    return n;
}

/* Other parts of the process (stdio) may allocate a little in between. */
static bool is_near(size_t a, size_t b)
{
    return a > b ? a - b < 65536 : b - a < 65536;
}

static int add_block(const struct gc_block *block, void *arg)
{
    struct gc_stats *sum = arg;
    sum->heap_used_bytes += block->size_bytes;
    sum->n_blocks_used++;
    return 0;
}

static size_t bytes_of_classes(void)
{
    static struct gc_class_stats classes[600];
    size_t n = gc_get_classes(classes, sizeof(classes[0]), 600), bytes = 0;
    TEST_CHECK(n > 0 && n <= 600 && gc_get_classes(NULL, sizeof(classes[0]), 0) == n);
    for (size_t i = 0; i < n; i++) {
        TEST_CHECK(classes[i].size_bytes == 0 || classes[i].used_bytes == classes[i].n_used * classes[i].size_bytes);
        bytes += classes[i].used_bytes;
    }
    return bytes;
}

static int n_of_kind(const struct gc_class_stats *classes, size_t n, uint64_t flags)
{
    int n_found = 0;
    for (size_t i = 0; i < n; i++)
        n_found += classes[i].flags == flags && classes[i].n_used > 0;
    return n_found;
}

/* Entries of an older and of a newer program; and what the flags tell. */
static void classes_are_versioned(void)
{
    enum { MORE = 24, ENTRY = sizeof(struct gc_class_stats) + MORE };
    static struct gc_class_stats classes[600];
    static unsigned char room[600][ENTRY];
    static void *kept[6];
    uint64_t sizes[600], mask = 1;
    gc_inhibit();
    kept[0] = malloc(50);
    kept[1] = gc_malloc(50, 0);
    kept[2] = gc_malloc(50, GC_NOSCAN);
    kept[3] = gc_malloc(50, GC_ROOT);
    kept[4] = gc_malloc(8, GC_NOSCAN);
    kept[5] = gc_new(gc_type_create(48, &mask, 6));
    size_t n = gc_get_classes(classes, sizeof(classes[0]), 600);
    memset(room, 0x55, sizeof(room));
    TEST_CHECK(gc_get_classes((struct gc_class_stats *)room, ENTRY, 600) == n);
    TEST_CHECK(gc_get_classes((struct gc_class_stats *)sizes, sizeof(sizes[0]), 600) == n);
    gc_uninhibit();
    for (size_t i = 0; i < n; i++) {
        TEST_CHECK(sizes[i] == classes[i].size_bytes && memcmp(room[i], &classes[i], sizeof(uint64_t)) == 0);
        for (int b = 0; b < MORE; b++)
            TEST_CHECK(room[i][sizeof(classes[0]) + (size_t)b] == 0);
    }
    TEST_CHECK(n_of_kind(classes, n, GC_IS_MALLOC) > 0 && n_of_kind(classes, n, 0) > 0);
    TEST_CHECK(n_of_kind(classes, n, GC_NOSCAN) > 0 && n_of_kind(classes, n, GC_ROOT) > 0);
    TEST_CHECK(n_of_kind(classes, n, GC_IS_TYPED) == 1 && n_of_kind(classes, n, GC_NOSCAN | GC_IS_SHARED) == 1);
    for (int i = 0; i < 6; i++)
        free(kept[i]);
}

static size_t number_behind(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    TEST_CHECK(at != NULL);
    return strtoul(at + strlen(key), NULL, 10);
}

static size_t used_of_malloc_info(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    TEST_CHECK(malloc_info(0, out) == 0);
    fclose(out);
    size_t used = number_behind(text, "type=\"used\" size=\"");
    free(text);
    return used;
}

static size_t used_of_malloc_stats(void)
{
    char text[512] = {0};
    int fds[2], saved = dup(2);
    TEST_CHECK(pipe(fds) == 0 && dup2(fds[1], 2) == 2);
    malloc_stats();
    dup2(saved, 2);
    close(saved);
    TEST_CHECK(read(fds[0], text, sizeof(text) - 1) > 0);
    close(fds[0]);
    close(fds[1]);
    return number_behind(text, "used_bytes=");
}

static void all_say_the_same(void)
{
    static void *kept[3000];
    gc_inhibit();
    size_t before = stats().heap_used_bytes;
    for (int i = 0; i < 3000; i++)
        kept[i] = i % 3 == 0 ? malloc((size_t)i * 30) : gc_malloc((size_t)i * 20, i % 3 == 1 ? GC_NOSCAN : 0);
    struct gc_stats walked = {0}, counted = stats();
    size_t used = counted.heap_used_bytes;
    TEST_CHECK(used > before + 3000u * 3000 / 2 * 20);
    TEST_CHECK(gc_heap_walk(add_block, &walked) == 0);
    TEST_CHECK(is_near(walked.heap_used_bytes, used));
    TEST_CHECK(walked.n_blocks_used >= 3000 && walked.n_blocks_used < counted.n_blocks_used + 100 &&
               counted.n_blocks_used < walked.n_blocks_used + 100);
    TEST_CHECK(is_near(bytes_of_classes(), used));
    TEST_CHECK(is_near(mallinfo2().uordblks, used));
    TEST_CHECK(is_near(used_of_malloc_info(), used));
    TEST_CHECK(is_near(used_of_malloc_stats(), used));
    for (int i = 0; i < 3000; i++)
        free(kept[i]);
    gc_uninhibit();
    struct gc_stats s = stats();
    TEST_CHECK(s.heap_committed_bytes >= s.heap_used_bytes && s.heap_committed_bytes >= s.heap_purged_bytes);
    TEST_CHECK(s.metadata_bytes > 0 && s.goal_bytes > 0);
}

static void counters_count(void)
{
    const char *name;
    uint64_t value, explicit_before = test_counter("cycles_explicit"), skips_before = test_counter("skip_inhibited");
    TEST_CHECK(gc_get_counter(100000, &name, &value) == EINVAL);
    static void *held;
    held = gc_malloc(100, 0);
    struct gc_stats before = stats();
    interface_collect();
    TEST_CHECK(gc_find_object(held, NULL) == held);
    gc_inhibit();
    TEST_CHECK(gc_collect_level(GC_FULL) == ECANCELED);
    gc_uninhibit();
    struct gc_stats after = stats();
    TEST_CHECK(test_counter("cycles_explicit") == explicit_before + 1 && test_counter("skip_inhibited") >= skips_before + 1);
    TEST_CHECK(after.n_cycles >= before.n_cycles + 1 && after.n_cycles_skipped >= before.n_cycles_skipped + 1);
    TEST_CHECK(after.n_cycles_explicit == before.n_cycles_explicit + 1);
    TEST_CHECK(after.pause_ns_total > before.pause_ns_total && after.pause_ns_max > 0);
    TEST_CHECK(number_of_pauses(&after) - number_of_pauses(&before) >= after.n_cycles - before.n_cycles);
    TEST_CHECK(after.n_bytes_marked > before.n_bytes_marked && after.n_blocks_marked > before.n_blocks_marked);
}

/* Beyond 256 MiB what is told is as old as the header says, and never older than the last collection. */
static void large_heaps_are_counted_now_and_then(void)
{
    enum { N = 400 };
    static void *kept[N];
    for (int i = 0; i < N; i++)
        kept[i] = gc_malloc(1 << 20, GC_NOSCAN | GC_NOZERO);
    usleep(20000);
    TEST_CHECK(stats().heap_used_bytes >= (size_t)N << 20);
    for (int i = 0; i < N / 2; i++)
        free(kept[i]);
    usleep(20000);
    TEST_CHECK(stats().heap_used_bytes < (size_t)(N - N / 3) << 20);
    memset(kept, 0, sizeof(kept));
    interface_collect();
    TEST_CHECK(stats().heap_used_bytes < (size_t)(N / 4) << 20);
}

int main(void)
{
    versions_go_by_size();
    classes_are_versioned();
    all_say_the_same();
    counters_count();
    large_heaps_are_counted_now_and_then();
    return 0;
}
