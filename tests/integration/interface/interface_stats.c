/* Figures: the same truth from gc_get_stats, classes, a walk, mallinfo2, malloc_info and malloc_stats; sizes of older and newer
 * callers; counters by name. */
#include "interface.h"

#include <malloc.h>

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
    *(size_t *)arg += block->size_bytes;
    return 0;
}

static size_t bytes_of_classes(void)
{
    static struct gc_class_stats classes[600];
    size_t n = gc_get_classes(classes, 600), bytes = 0;
    TEST_CHECK(n > 0 && n <= 600 && gc_get_classes(NULL, 0) == n);
    for (size_t i = 0; i < n; i++) {
        TEST_CHECK(classes[i].size_bytes == 0 || classes[i].used_bytes == classes[i].n_used * classes[i].size_bytes);
        bytes += classes[i].used_bytes;
    }
    return bytes;
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
    size_t used = stats().heap_used_bytes, walked = 0;
    TEST_CHECK(used > before + 3000u * 3000 / 2 * 20);
    TEST_CHECK(gc_heap_walk(add_block, &walked) == 0);
    TEST_CHECK(is_near(walked, used));
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

static uint64_t counter(const char *wanted)
{
    const char *name;
    uint64_t value;
    for (unsigned i = 0; gc_get_counter(i, &name, &value) == 0; i++)
        if (strcmp(name, wanted) == 0)
            return value;
    TEST_FAIL("there is no counter %s", wanted);
}

static void counters_count(void)
{
    const char *name;
    uint64_t value, explicit_before = counter("cycles_explicit"), skips_before = counter("skip_inhibited");
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
    TEST_CHECK(counter("cycles_explicit") == explicit_before + 1 && counter("skip_inhibited") >= skips_before + 1);
    TEST_CHECK(after.n_cycles >= before.n_cycles + 1 && after.n_cycles_skipped >= before.n_cycles_skipped + 1);
    TEST_CHECK(after.n_cycles_explicit == before.n_cycles_explicit + 1);
    TEST_CHECK(after.pause_ns_total > before.pause_ns_total && after.pause_ns_max > 0);
    TEST_CHECK(number_of_pauses(&after) - number_of_pauses(&before) >= after.n_cycles - before.n_cycles);
    TEST_CHECK(after.n_bytes_marked > before.n_bytes_marked && after.n_blocks_marked > before.n_blocks_marked);
}

int main(void)
{
    versions_go_by_size();
    all_say_the_same();
    counters_count();
    return 0;
}
