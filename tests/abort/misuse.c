/* One misuse of the malloc family per case; each must end the process by SIGABRT with one fixed line on
 * stderr.
 *
 * usage: misuse CASE      (misuse --list prints the cases)
 * What    the case prints on stdout the whole line that it expects on stderr, address included, then does the
 * misuse. run_misuse.sh compares the two word for word. If the misuse is not detected the program ends with
 * status 3, if the library lacks the function with 77.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include "misuse.h"

int gc_pin(void *obj) __attribute__((weak));
void gc_collect(void) __attribute__((weak));
void free_sized(void *block, size_t size) __attribute__((weak));
void free_aligned_sized(void *block, size_t align, size_t size) __attribute__((weak));
void operator_delete(void *block) __asm__("_ZdlPv") __attribute__((weak));

/* Sizes other than the one under test, so that its slot is not handed out again. */
static void allocate_others(void)
{
    for (size_t i = 0; i < 20000; i++) {
        void *block = block_new(16 + i % 48);
        if (i % 3 != 0)
            free(block);
    }
}

static void double_free(void)
{
    void *block = block_new(100);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_with_others_between(void)
{
    void *block = block_new(100), *other = block_new(100);
    free(block);
    free(other);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_of_smallest(void)
{
    void *block = block_new(1);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_of_zero_size(void)
{
    void *block = launder(malloc(0));
    TEST_CHECK(block != NULL);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_of_medium(void)
{
    void *block = block_new(20000);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_of_large(void)
{
    void *block = block_new(3 << 20);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_of_aligned(void)
{
    void *block = launder(aligned_alloc(4096, 8192));
    TEST_CHECK(block != NULL);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_of_calloc(void)
{
    void *block = launder(calloc(50, 50));
    TEST_CHECK(block != NULL);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_after_many_allocations(void)
{
    void *block = block_new(900);
    free(block);
    allocate_others();
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_after_collection(void)
{
    if (gc_collect == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = block_new(900);
    free(block);
    gc_collect();
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

/* The child dies of the misuse; the parent hands its way of dying on. */
static void double_free_in_fork_child(void)
{
    void *block = block_new(100);
    free(block);
    pid_t child = fork();
    if (child == 0) {
        expect(DOUBLE_FREE, block);
        free(launder(block));
        _exit(3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        signal(SIGABRT, SIG_DFL);
        raise(SIGABRT);
    }
}

static void double_free_by_realloc_to_zero(void)
{
    void *block = block_new(100);
    if (realloc(block, 0) != NULL)
        TEST_FAIL("realloc(block, 0) is free in glibc");
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_after_realloc_moved(void)
{
    void *block = block_new(100);
    void *moved = realloc(block, 1 << 20);
    TEST_CHECK(moved != NULL && moved != block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}

static void double_free_by_operator_delete(void)
{
    if (operator_delete == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = block_new(100);
    free(block);
    expect(DOUBLE_FREE, block);
    operator_delete(launder(block));
}

static void free_inside_block(void)
{
    char *block = block_new(256);
    expect(INVALID_FREE, block + 64);
    free(launder(block + 64));
}

static void free_inside_large_block(void)
{
    char *block = block_new(3 << 20);
    expect(INVALID_FREE, block + (1 << 20));
    free(launder(block + (1 << 20)));
}

/* 16 bytes before the block's end: the slot of 1280 bytes holds no block start there. */
static void free_near_end_of_block(void)
{
    char *block = block_new(1280);
    expect(INVALID_FREE, block + malloc_usable_size(block) - 16);
    free(launder(block + malloc_usable_size(block) - 16));
}

static void free_unaligned(void)
{
    char *block = block_new(256);
    expect(INVALID_FREE, block + 1);
    free(launder(block + 1));
}

static void free_one_before(void)
{
    char *block = block_new(256);
    expect(INVALID_FREE, block - 1);
    free(launder(block - 1));
}

/* The slot behind the only block of its class was never handed out: no block, and not a freed one. */
static void free_one_past(void)
{
    char *block = block_new(14000);
    char *past = block + malloc_usable_size(block);
    expect(INVALID_FREE, past);
    expect(DOUBLE_FREE, past); /* told as either: nothing distinguishes a slot never used from one freed */
    free(launder(past));
}

static void realloc_of_interior(void)
{
    char *block = block_new(256);
    expect(INVALID_REALLOC, block + 32);
    block = realloc(launder(block + 32), 512);
}

static void realloc_of_unaligned(void)
{
    char *block = block_new(256);
    expect(INVALID_REALLOC, block + 3);
    block = realloc(launder(block + 3), 100);
}

static void realloc_of_freed(void)
{
    void *block = block_new(256);
    free(block);
    expect(REALLOC_FREED, block);
    block = realloc(launder(block), 512);
}

static void realloc_of_freed_large(void)
{
    void *block = block_new(3 << 20);
    free(block);
    expect(REALLOC_FREED, block);
    block = realloc(launder(block), 512);
}

static void *free_and_stay(void *block)
{
    free(*(void **)block);
    __atomic_store_n((void **)block, NULL, __ATOMIC_RELEASE);
    for (;;)
        pause();
    return NULL;
}

/* The owner does not read the message, as it may where it allocates. */
static void free_in_thread_that_stays(void *block)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_and_stay, &block) != 0)
        TEST_FAIL("pthread_create");
    while (__atomic_load_n(&block, __ATOMIC_ACQUIRE) != NULL)
        continue;
}

/* It could grow where it is. */
static void realloc_of_freed_by_other_thread(void)
{
    void *block = block_new(250);
    expect(REALLOC_FREED, block);
    free_in_thread_that_stays(block);
    block = realloc(launder(block), 255);
}

static void usable_size_of_interior(void)
{
    char *block = block_new(256);
    expect(INVALID_USABLE, block + 16);
    dprintf(2, "%zu\n", malloc_usable_size(launder(block + 16)));
}

static void usable_size_of_freed(void)
{
    void *block = block_new(256);
    free(block);
    expect(USABLE_FREED, block);
    dprintf(2, "%zu\n", malloc_usable_size(launder(block)));
}

static void usable_size_of_freed_by_other_thread(void)
{
    void *block = block_new(256);
    expect(USABLE_FREED, block);
    free_in_thread_that_stays(block);
    dprintf(2, "%zu\n", malloc_usable_size(launder(block)));
}

static void free_of_pinned(void)
{
    if (gc_pin == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = block_new(256);
    TEST_CHECK(gc_pin(block) == 0);
    expect(FREE_PINNED, block);
    free(launder(block));
}

static void free_of_pinned_by_other_thread(void)
{
    if (gc_pin == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = block_new(256);
    TEST_CHECK(gc_pin(block) == 0);
    expect(FREE_PINNED, block);
    free_in_thread(launder(block));
    churn_own_class(256);
}

static void free_sized_wrong(void)
{
    if (free_sized == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = block_new(100);
    expect(WRONG_SIZE, block);
    free_sized(launder(block), 5000);
}

static void free_sized_wrong_aligned(void)
{
    if (free_aligned_sized == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = aligned_alloc(64, 128);
    expect(WRONG_SIZE, block);
    free_aligned_sized(launder(block), 64, 5000);
}

static void free_sized_wrong_large(void)
{
    if (free_sized == NULL)
        _exit(TEST_EXIT_SKIPPED);
    void *block = block_new(200000);
    expect(WRONG_SIZE, block);
    free_sized(launder(block), 300000);
}

static const struct misuse {
    const char *name;
    void (*run)(void);
} misuses[] = {
#define CASE(f)                                                                                              \
    {                                                                                                        \
#f, f                                                                                                \
    }
    CASE(double_free),
    CASE(double_free_with_others_between),
    CASE(double_free_of_smallest),
    CASE(double_free_of_zero_size),
    CASE(double_free_of_medium),
    CASE(double_free_of_large),
    CASE(double_free_of_aligned),
    CASE(double_free_of_calloc),
    CASE(double_free_after_many_allocations),
    CASE(double_free_after_collection),
    CASE(double_free_first_by_other_thread),
    CASE(double_free_second_by_other_thread),
    CASE(double_free_by_two_other_threads),
    CASE(double_free_of_remembered_after_owner),
    CASE(double_free_of_remembered_before_owner),
    CASE(double_free_of_remembered_by_one_thread),
    CASE(double_free_of_dead_threads_block),
    CASE(double_free_of_large_by_other_thread),
    CASE(double_free_in_fork_child),
    CASE(double_free_by_realloc_to_zero),
    CASE(double_free_after_realloc_moved),
    CASE(double_free_by_operator_delete),
    CASE(free_inside_block),
    CASE(free_inside_large_block),
    CASE(free_near_end_of_block),
    CASE(free_unaligned),
    CASE(free_one_before),
    CASE(free_one_past),
    CASE(realloc_of_interior),
    CASE(realloc_of_unaligned),
    CASE(realloc_of_freed),
    CASE(realloc_of_freed_large),
    CASE(realloc_of_freed_by_other_thread),
    CASE(usable_size_of_interior),
    CASE(usable_size_of_freed),
    CASE(usable_size_of_freed_by_other_thread),
    CASE(free_of_pinned),
    CASE(free_of_pinned_by_other_thread),
    CASE(free_sized_wrong),
    CASE(free_sized_wrong_aligned),
    CASE(free_sized_wrong_large),
#undef CASE
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]) && argc == 2; i++) {
        if (strcmp(argv[1], "--list") == 0)
            puts(misuses[i].name);
        if (strcmp(argv[1], misuses[i].name) == 0) {
            misuses[i].run();
            return 3;
        }
    }
    return argc == 2 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
