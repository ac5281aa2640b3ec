/* Whatever the program does with a block that was found unreachable is counted, told in the trace with the block's size and
 * the place that did it, and from then on blocks of its size are kept: on probation, judged dead, or with its whole span
 * gone; by its owner or another thread. Each case has a size of its own, for pins stay.
 * usage: probation_sites careful|eager, under GCMALLOC=probation=$1,floor=1M,budget=100,trace=1,trace_file=probation_sites_$1.trace */
#include <dlfcn.h>
#include <malloc.h>
#include "test_counter.h"
#include "trap_growth.h"

enum how { FREE, REALLOC, USABLE };
enum state {
    SUSPECT, /* found unreachable once */
    DEAD,    /* twice, in a span that lives */
    GONE,    /* twice, like all blocks of its span */
};
struct site {
    enum state state;
    enum how how;
    bool is_elsewhere; /* another thread does it */
    size_t size;
    enum kind { MALLOC, GC, TINY } kind;
};
static const char *const kind_names[] = {"malloc", "gc_malloc", "gc_malloc noscan part"};

enum { NEVER_USED = 2128, TINY_SIZE = 8, TINY_BLOCK = 16 }; /* never as a block of malloc */
static const struct site sites[] = {
    {DEAD, FREE, false, NEVER_USED, GC},
    {SUSPECT, FREE, false, TINY_SIZE, TINY},
    {SUSPECT, FREE, false, 432, MALLOC},
    {SUSPECT, REALLOC, false, 496, MALLOC},
    {SUSPECT, USABLE, false, 560, MALLOC},
    {SUSPECT, FREE, true, 624, MALLOC},
    {SUSPECT, REALLOC, true, 688, MALLOC},
    {SUSPECT, USABLE, true, 752, MALLOC},
    {SUSPECT, FREE, false, 280000, MALLOC},
    {SUSPECT, REALLOC, false, 600000, MALLOC},
    {SUSPECT, USABLE, true, 1200000, MALLOC},
    {DEAD, FREE, false, 816, MALLOC},
    {DEAD, REALLOC, false, 880, MALLOC},
    {DEAD, USABLE, false, 944, MALLOC},
    {DEAD, FREE, true, 1008, MALLOC},
    {DEAD, REALLOC, true, 1136, MALLOC},
    {DEAD, USABLE, true, 1264, MALLOC},
    {GONE, FREE, false, 1392, MALLOC},
    {GONE, REALLOC, false, 1520, MALLOC},
    {GONE, USABLE, false, 1648, MALLOC},
    {GONE, FREE, true, 1776, MALLOC},
    {GONE, FREE, false, 2500000, MALLOC},
    {GONE, REALLOC, true, 8370000, MALLOC}, /* its last slice reaches the next power of two */
    {GONE, USABLE, false, 20000000, MALLOC},
};
enum { N_SITES = sizeof(sites) / sizeof(sites[0]), N_SMALL = 200, N_LARGE = 4 };

static const char *trace_name;
static long trace_start; /* what other runs have left in the file is before it */
static void *volatile keepers[N_SMALL];
static uintptr_t hidden[N_SMALL];
static uint64_t block_bytes;
static uintptr_t victim; /* one of them */
static uint32_t victim_seed;

static bool collect_now(void)
{
    gc_uninhibit();
    bool is_done = trap_collect();
    gc_inhibit();
    return is_done;
}

static unsigned n_blocks(size_t size)
{
    return size > 100000 ? N_LARGE : N_SMALL;
}

static void *new_block(size_t size, enum kind kind)
{
    if (kind == MALLOC)
        return malloc(size);
    return gc_malloc(size, kind == TINY ? GC_NOSCAN : 0);
}

/* Lost blocks; where some are to live on, every second one does. */
static __attribute__((noinline)) void lose(size_t size, enum kind kind, bool is_beside_live)
{
    for (unsigned i = 0; i < n_blocks(size); i++) {
        void *block = new_block(size, kind);
        test_fill(block, size, i);
        hidden[i] = ~(uintptr_t)block;
        gc_find_object(block, &block_bytes);
        keepers[i] = is_beside_live ? new_block(size, kind) : NULL;
    }
}

static __attribute__((noinline)) void let_go(void)
{
    for (unsigned i = 0; i < N_SMALL; i++) {
        free(keepers[i]);
        keepers[i] = NULL;
    }
}

static __attribute__((noinline)) unsigned count_blocks(size_t size)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_blocks(size); i++)
        n += gc_find_object(trap_reveal(hidden[i]), NULL) != NULL;
    return n;
}

/* Not the last one, of which a copy may be left somewhere; and none that was kept. */
static __attribute__((noinline)) void choose_victim(const struct site *site)
{
    unsigned i = 1;
    while (site->state != SUSPECT && i + 1 < n_blocks(site->size) && gc_find_object(trap_reveal(hidden[i]), NULL) != NULL)
        i++;
    victim = hidden[i];
    victim_seed = i;
}

static void *use(void *arg)
{
    const struct site *site = arg;
    void *block = trap_reveal(victim);
    if (site->how == FREE) {
        free(block);
    } else if (site->how == USABLE) {
        TEST_CHECK(malloc_usable_size(block) >= site->size);
    } else {
        void *moved = realloc(block, 2 * site->size);
        TEST_CHECK(moved != NULL && (site->state == GONE || test_is_filled(moved, site->size, victim_seed)));
        free(moved);
    }
    return NULL;
}

/* A size that nobody used is no site; eager needs one look, and what growth starts is one. */
static void check_unpinned(bool is_careful)
{
    lose(NEVER_USED, MALLOC, false);
    trap_collect_by_growth();
    unsigned n_left = count_blocks(NEVER_USED);
    TEST_CHECK(is_careful ? n_left == N_SMALL : n_left <= N_SMALL / 10);
    TEST_CHECK(collect_now());
    TEST_CHECK(count_blocks(NEVER_USED) <= N_SMALL / 10);
}

/* Exactly one line since trace_start, of this use, from this program. */
static __attribute__((noinline)) void check_told(const struct site *site)
{
    static const char *const names[] = {"free", "realloc", "malloc_usable_size"};
    static char text[1 << 20], want[128];
    uint64_t told_bytes = site->kind == TINY ? TINY_BLOCK : block_bytes;
    if (site->state == GONE && site->size > 100000)
        told_bytes = (told_bytes + 65535) / 65536 * 65536;
    FILE *f = fopen(trace_name, "r");
    TEST_CHECK(f != NULL && fseek(f, trace_start, SEEK_SET) == 0);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    snprintf(want, sizeof(want), "gc: %s of 0x%lx (%lu bytes, %s) from 0x", names[site->how], ~victim, told_bytes,
             kind_names[site->kind]);
    const char *told = strstr(text, want);
    if (told == NULL)
        TEST_FAIL("not told: %s", want);
    Dl_info caller, self;
    TEST_CHECK(dladdr((void *)strtoul(told + strlen(want), NULL, 16), &caller) != 0 && dladdr((void *)&use, &self) != 0);
    TEST_CHECK(caller.dli_fbase == self.dli_fbase);
    TEST_CHECK(strstr(told + 1, ": it had been found unreachable") != NULL);
    TEST_CHECK(strstr(told + 1, "gc: free of") == NULL && strstr(told + 1, "gc: realloc of") == NULL);
}

static __attribute__((noinline)) void note_trace_end(void)
{
    FILE *f = fopen(trace_name, "r");
    TEST_CHECK(f != NULL && fseek(f, 0, SEEK_END) == 0);
    trace_start = ftell(f);
    fclose(f);
}

static void use_one(const struct site *site)
{
    static const char *const taken_names[] = {"taken_freed", "taken_realloc", "taken_usable"};
    const char *name = site->state == SUSPECT ? "suspects_used" : taken_names[site->how];
    uint64_t n_before = test_counter(name);
    note_trace_end();
    if (site->is_elsewhere) {
        pthread_t id;
        TEST_CHECK(pthread_create(&id, NULL, use, (void *)site) == 0 && pthread_join(id, NULL) == 0);
    } else {
        use((void *)site);
    }
    check_told(site);
    if (site->state == DEAD && !site->is_elsewhere && site->how == USABLE)
        TEST_CHECK(gc_find_object(trap_reveal(victim), NULL) == trap_reveal(victim)); /* it lives again */
    if (site->state == DEAD && site->is_elsewhere && site->how == FREE)
        TEST_CHECK(collect_now()); /* its message is read now */
    if (test_counter(name) != n_before + 1)
        TEST_FAIL("%s: %lu, not %lu", name, test_counter(name), n_before + 1);
}

static void run_site(const struct site *site)
{
    lose(site->size, site->kind, site->state == DEAD);
    trap_clear_stack();
    if (site->state == SUSPECT) {
        trap_collect_by_growth();
        if (count_blocks(site->size) != n_blocks(site->size))
            TEST_FAIL("%zu bytes: found unreachable once, and taken", site->size);
    } else {
        TEST_CHECK(collect_now()); /* an explicit one is enough */
        if (count_blocks(site->size) > n_blocks(site->size) / 4)
            TEST_FAIL("%zu bytes: %u lost blocks are left", site->size, count_blocks(site->size));
    }
    choose_victim(site);
    use_one(site);
    let_go();
    lose(site->size, site->kind, false);
    TEST_CHECK(collect_now() && collect_now());
    if (count_blocks(site->size) != n_blocks(site->size))
        TEST_FAIL("%zu bytes: its size was not pinned", site->size);
}

int main(int argc, char **argv)
{
    static char name[64];
    if (gc_get_counter == NULL)
        TEST_FAIL("the library is not loaded");
    bool is_careful = argc > 1 && strcmp(argv[1], "careful") == 0;
    snprintf(name, sizeof(name), "probation_sites_%s.trace", is_careful ? "careful" : "eager");
    trace_name = name;
    gc_inhibit();
    for (unsigned i = 0; i < N_SITES; i++) {
        fprintf(stderr, "site %u: %zu bytes\n", i, sites[i].size);
        if (is_careful || sites[i].state != SUSPECT)
            run_site(&sites[i]);
        if (i == 0)
            check_unpinned(is_careful);
    }
    return 0;
}
