/* A program excludes the stacks that it gives its threads from the roots: the argument of a thread that has not read it
 * yet is kept all the same. */
#include <sys/mman.h>
#include "trap.h"
int gc_exclude_roots(void *start, size_t size_bytes) __attribute__((weak));
int gc_remove_roots(void *start, size_t size_bytes) __attribute__((weak));
enum { STACK_BYTES = 256 * 1024, N_ROUNDS = 400 };
static char *stack;
static _Atomic int has_read;

static void *body(void *arg)
{
    uint32_t *m = arg;
    if (!test_is_filled(m + 1, TRAP_SIZE - sizeof(*m), *m))
        TEST_FAIL("the argument of a new thread was reclaimed");
    atomic_store(&has_read, 1);
    return NULL;
}

static __attribute__((noinline)) pthread_t start(uint32_t seed)
{
    pthread_attr_t attr;
    pthread_t id;
    uint32_t *m = malloc(TRAP_SIZE);
    *m = seed;
    test_fill(m + 1, TRAP_SIZE - sizeof(*m), seed);
    pthread_attr_init(&attr);
    TEST_CHECK(pthread_attr_setstack(&attr, stack, STACK_BYTES) == 0);
    TEST_CHECK(pthread_create(&id, &attr, body, m) == 0);
    pthread_attr_destroy(&attr);
    return id;
}

int main(void)
{
    if (gc_exclude_roots == NULL)
        TEST_SKIP("a function of ours");
    stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(stack != MAP_FAILED && gc_exclude_roots(stack, STACK_BYTES) == 0);
    pthread_t collector = trap_collector_start();
    for (uint32_t i = 0; i < N_ROUNDS; i++) {
        atomic_store(&has_read, 0);
        pthread_t id = start(i);
        trap_clear_stack();
        while (!atomic_load(&has_read))
            memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE); /* left for the collector */
        pthread_join(id, NULL);
    }
    trap_collector_end(collector);
    return 0;
}
