/* Under RLIMIT_AS nearly everything must be usable, by blocks of any size, again and again; and a refusal is a clean NULL.
 * Each in a child, because a limit is for ever. */
#include <sys/resource.h>

#include "heap_harness.h"

#define MiB ((size_t)1 << 20)
enum { LIMIT_MIB = 200, USABLE_PERCENT = 90, N_TIMES = 3 };

static size_t address_space_bytes(void)
{
    return (size_t)test_proc_status("VmSize") * 1024;
}

/* Blocks linked through their first words. Returns how many bytes could be had, large blocks counted by slices. */
static size_t exhaust(size_t size_bytes, void **first)
{
    size_t got = 0, each = size_bytes > SIZECLASS_MAX_SMALL ? bits_round_up(size_bytes, SLICE_SIZE) : size_bytes;
    for (*first = NULL;;) {
        void *p = harness_alloc(size_bytes);
        if (p == NULL)
            return got;
        *(void **)p = *first;
        *first = p;
        got += each;
    }
}

static void give_back(void *first)
{
    for (void *next; first != NULL; first = next) {
        next = *(void **)first;
        harness_free(first);
    }
    harness_retire();
    os_critical_enter();
    central_release_empty();
    os_critical_leave();
}

static int in_child(size_t size_bytes)
{
    struct rlimit limit = {address_space_bytes() + LIMIT_MIB * MiB, RLIM_INFINITY};
    size_t least = LIMIT_MIB * MiB / 100 * USABLE_PERCENT;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 2;
    for (int i = 0; i < N_TIMES; i++) {
        void *first;
        size_t got = exhaust(size_bytes, &first);
        if (got < least) {
            dprintf(2, "%zu MiB of %d in blocks of %zu bytes, time %d\n", got / MiB, LIMIT_MIB, size_bytes, i + 1);
            return 3;
        }
        harness_check();
        give_back(first);
        harness_check();
    }
    return 42;
}

static void nearly_all_of_a_limit_is_usable(void **state)
{
    (void)state;
    static const size_t sizes[] = {64, 1000, 5000, 32768, 65536, 300000, MiB, 5 * MiB, 19 * MiB};
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            _exit(in_child(sizes[i]));
        }
        int status;
        waitpid(pid, &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 42);
    }
}

/* That nobody can have so much is no sign that addresses run out. */
static void absurd_sizes_change_nothing(void **state)
{
    (void)state;
    bool is_zero;
    harness_free(harness_alloc(100000));
    os_critical_enter();
    for (unsigned bit = 43; bit < 63; bit++)
        assert_null(heap_large_alloc((size_t)1 << bit, 16, FLAVOR_MALLOC, &is_zero));
    assert_false(arena_is_short());
    os_critical_leave();
    harness_check();
}

static int growing_child(void)
{
    struct rlimit limit = {address_space_bytes() + LIMIT_MIB * MiB, RLIM_INFINITY};
    size_t size = 100000;
    char *p = harness_alloc(size);
    setrlimit(RLIMIT_AS, &limit);
    for (;;) { /* by a tenth, in place or by moving, until there is no more */
        os_critical_enter();
        char *q = heap_large_resize(harness_span(p), size + size / 10);
        os_critical_leave();
        if (q == NULL)
            break;
        p = q;
        size += size / 10;
        p[size - 1] = 1;
    }
    harness_check();
    harness_free(p);
    return size > LIMIT_MIB * MiB / 3 ? 42 : 3; /* the last move needs both places */
}

static void one_block_may_grow_to_a_good_part_of_the_limit(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(growing_child());
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* Purges claim free slices for a moment; that must not look like the end of memory. */
static _Atomic bool must_end;

static void *purge_all_the_time(void *arg)
{
    (void)arg;
    while (!must_end) {
        os_critical_enter();
        arena_purge(true);
        os_critical_leave();
    }
    return NULL;
}

static int purging_child(void)
{
    struct rlimit limit;
    pthread_t thread;
    void *first;
    pthread_create(&thread, NULL, purge_all_the_time, NULL);
    limit = (struct rlimit){address_space_bytes() + 50 * MiB, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    size_t least = exhaust(MiB, &first);
    give_back(first);
    for (int i = 0; i < 300; i++) {
        size_t got = exhaust(MiB, &first);
        if (got < least)
            return 3;
        for (void *p = first; p != NULL; p = *(void **)p)
            memset((char *)p + sizeof(void *), 1, MiB - sizeof(void *));
        give_back(first);
    }
    must_end = true;
    pthread_join(thread, NULL);
    harness_check();
    return 42;
}

static void a_purge_is_not_the_end_of_memory(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(purging_child());
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absurd_sizes_change_nothing),
        cmocka_unit_test(nearly_all_of_a_limit_is_usable),
        cmocka_unit_test(one_block_may_grow_to_a_good_part_of_the_limit),
        cmocka_unit_test(a_purge_is_not_the_end_of_memory),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
