/* What the cases of misuse share, and those of misuse_threads.c. */
#ifndef ABORT_MISUSE_H
#define ABORT_MISUSE_H

#include <pthread.h>
#include "test_util.h"

#define DOUBLE_FREE "double free"
#define INVALID_FREE "free of an address that is not a block"
#define INVALID_REALLOC "realloc of an address that is not a block"
#define INVALID_USABLE "malloc_usable_size of an address that is not a block"
#define REALLOC_FREED "realloc of a freed block"
#define USABLE_FREED "malloc_usable_size of a freed block"
#define FREE_PINNED "free of a pinned block"
#define WRONG_SIZE "free_sized with a wrong size"

/* The compiler must not know that two pointers are the same, or it warns of the very misuse. */
static inline void *launder(void *block)
{
    __asm__ volatile("" : "+r"(block));
    return block;
}

static inline void *block_new(size_t size)
{
    void *block = malloc(size);
    if (block == NULL)
        TEST_FAIL("malloc(%zu) failed", size);
    memset(block, 0x5a, size);
    return launder(block);
}

static inline void expect(const char *what, const void *addr)
{
    dprintf(1, "libgcmalloc: %s: 0x%lx\n", what, (unsigned long)(uintptr_t)addr);
}

static inline void *thread_free(void *block)
{
    free(block);
    return NULL;
}

static inline void free_in_thread(void *block)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_free, block) != 0)
        TEST_FAIL("pthread_create");
    pthread_join(thread, NULL);
}

/* The second free is told at once or when the message is drained; the allocations and frees make it drain. */
static inline void churn_own_class(size_t size)
{
    for (size_t i = 0; i < 100; i++)
        free(block_new(size));
}

void double_free_first_by_other_thread(void);
void double_free_second_by_other_thread(void);
void double_free_by_two_other_threads(void);
void double_free_of_remembered_after_owner(void);
void double_free_of_remembered_before_owner(void);
void double_free_of_remembered_by_one_thread(void);
void double_free_of_dead_threads_block(void);
void double_free_of_large_by_other_thread(void);

#endif
