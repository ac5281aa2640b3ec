/* Second frees where another thread has a part: it freed first, or second, or it was the owner of the block. */
#include "misuse.h"

void double_free_first_by_other_thread(void)
{
    void *keep = block_new(700), *block = block_new(700);
    free_in_thread(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
    churn_own_class(700);
    free(keep);
}

void double_free_second_by_other_thread(void)
{
    void *keep = block_new(700), *block = block_new(700);
    free(block);
    expect(DOUBLE_FREE, block);
    free_in_thread(launder(block));
    churn_own_class(700);
    free(keep);
}

void double_free_by_two_other_threads(void)
{
    void *keep = block_new(700), *block = block_new(700);
    free_in_thread(block);
    expect(DOUBLE_FREE, block);
    free_in_thread(launder(block));
    churn_own_class(700);
    free(keep);
}

/* A thread that frees what it is sent, and has a cache of its own. */
static int freer_pipes[2][2];

static void *freer_run(void *arg)
{
    void *block;
    free(block_new(700));
    while (read(freer_pipes[0][0], &block, sizeof block) == sizeof block) {
        free(block);
        if (write(freer_pipes[1][1], "", 1) != 1)
            break;
    }
    return arg;
}

static void free_by_freer(void *block)
{
    char done;
    if (write(freer_pipes[0][1], &block, sizeof block) != sizeof block || read(freer_pipes[1][0], &done, 1) != 1)
        TEST_FAIL("pipe");
}

enum { N_REMEMBERED = 200 };

/* The freer has seen since its last message was taken that the blocks beside are handed out. */
static void remember_others(void **blocks)
{
    pthread_t thread;
    if (pipe(freer_pipes[0]) != 0 || pipe(freer_pipes[1]) != 0 || pthread_create(&thread, NULL, freer_run, NULL) != 0)
        TEST_FAIL("freer");
    for (int i = 0; i < N_REMEMBERED; i++)
        blocks[i] = block_new(700);
    free_by_freer(blocks[0]);
    free_by_freer(blocks[1]);
    for (int i = 0; i < 100; i++)
        block_new(700);
    for (int i = 2; i < N_REMEMBERED; i += 8)
        free_by_freer(blocks[i]);
}

void double_free_of_remembered_after_owner(void)
{
    void *blocks[N_REMEMBERED];
    remember_others(blocks);
    free(blocks[11]);
    expect(DOUBLE_FREE, blocks[11]);
    free_by_freer(launder(blocks[11]));
    churn_own_class(700);
}

void double_free_of_remembered_before_owner(void)
{
    void *blocks[N_REMEMBERED];
    remember_others(blocks);
    free_by_freer(blocks[11]);
    expect(DOUBLE_FREE, blocks[11]);
    free(launder(blocks[11]));
    churn_own_class(700);
}

void double_free_of_remembered_by_one_thread(void)
{
    void *blocks[N_REMEMBERED];
    remember_others(blocks);
    free_by_freer(blocks[11]);
    expect(DOUBLE_FREE, blocks[11]);
    free_by_freer(launder(blocks[11]));
    churn_own_class(700);
}

static void *thread_alloc(void *arg)
{
    void **out = arg;
    *out = block_new(700);
    return NULL;
}

void double_free_of_dead_threads_block(void)
{
    void *block = NULL;
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_alloc, &block) != 0)
        TEST_FAIL("pthread_create");
    pthread_join(thread, NULL);
    free(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
    churn_own_class(700);
}

void double_free_of_large_by_other_thread(void)
{
    void *block = block_new(3 << 20);
    free_in_thread(block);
    expect(DOUBLE_FREE, block);
    free(launder(block));
}
