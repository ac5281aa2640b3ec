/* Coroutines that hold blocks on their stacks only: with the hints of gc_stack_suspend and without, on stacks that are mapped
 * and on such from malloc, moved between threads. */
#include "interface.h"

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { N_COROUTINES = 40, STACK_BYTES = 65536, N_ROUNDS = 8, N_NODES = 30 };

struct node {
    struct node *next;
    uintptr_t number;
};
struct coroutine {
    ucontext_t context, caller;
    char *stack, *sp;
    uintptr_t seed;
    int n_rounds;
};
static struct coroutine coroutines[N_COROUTINES];
static bool has_hints, is_mapped;

static NOINLINE void yield(struct coroutine *c)
{
    char here;
    c->sp = &here;
    swapcontext(&c->context, &c->caller);
}

static NOINLINE struct node *list_new(uintptr_t seed)
{
    struct node *list = NULL;
    for (uintptr_t i = 0; i < N_NODES; i++) {
        struct node *n = malloc(sizeof(*n));
        *n = (struct node){list, seed * 1000 + i};
        list = n;
    }
    return list;
}

static NOINLINE void list_check(const struct node *list, uintptr_t seed)
{
    for (uintptr_t i = N_NODES; i-- > 0; list = list->next)
        TEST_CHECK(list != NULL && list->number == seed * 1000 + i);
    TEST_CHECK(list == NULL);
}

/* Each level holds a list of its own; where it comes to rest changes from round to round. */
static NOINLINE void descend(struct coroutine *c, uintptr_t depth)
{
    volatile char frame[700];
    struct node *volatile list = list_new(c->seed + depth);
    frame[0] = frame[699] = (char)depth;
    yield(c);
    if (depth != 0)
        descend(c, depth - 1);
    list_check(list, c->seed + depth);
    TEST_CHECK(frame[0] == (char)depth);
}

static void run(unsigned i)
{
    struct coroutine *c = &coroutines[i];
    for (c->n_rounds = 0; c->n_rounds < N_ROUNDS; c->n_rounds++)
        descend(c, (c->seed + (uintptr_t)c->n_rounds) % 30);
    for (;;)
        yield(c);
}

static void resume(struct coroutine *c)
{
    if (has_hints && c->sp != NULL)
        TEST_CHECK(gc_stack_resume(c->stack, c->sp) == 0);
    swapcontext(&c->caller, &c->context);
    if (has_hints)
        TEST_CHECK(gc_stack_suspend(c->stack, c->sp) == 0);
}

static void create(unsigned i)
{
    struct coroutine *c = &coroutines[i];
    *c = (struct coroutine){.seed = i * 100};
    c->stack = is_mapped ? mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                         : malloc(STACK_BYTES);
    getcontext(&c->context);
    c->context.uc_stack.ss_sp = c->stack;
    c->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&c->context, (void (*)(void))run, 1, i);
}

static void destroy(struct coroutine *c)
{
    if (has_hints)
        TEST_CHECK(gc_stack_resume(c->stack, c->sp) == 0);
    if (is_mapped)
        munmap(c->stack, STACK_BYTES);
    else
        free(c->stack);
    memset(c, 0, sizeof(*c));
}

static bool all_done(void)
{
    for (int i = 0; i < N_COROUTINES; i++)
        if (coroutines[i].n_rounds < N_ROUNDS)
            return false;
    return true;
}

static void *run_until_done(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (unsigned n = 0; !all_done(); n++) {
        resume(&coroutines[test_random(&random) % N_COROUTINES]);
        if (n % 500 == 0)
            gc_collect();
    }
    return NULL;
}

/* The second half of the work is another thread's. */
static void run_all(void)
{
    pthread_t thread;
    for (unsigned i = 0; i < N_COROUTINES; i++)
        create(i);
    for (int n = 0; n < 1000; n++) {
        resume(&coroutines[n * 7 % N_COROUTINES]);
        if (n % 100 == 0)
            gc_collect();
    }
    TEST_CHECK(pthread_create(&thread, NULL, run_until_done, (void *)1) == 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < N_COROUTINES; i++)
        destroy(&coroutines[i]);
}

/* Less than a page to leave out: nothing to do, and nothing to take back. */
static void full_stacks_need_no_hint(void)
{
    static char stack[8192];
    TEST_CHECK(gc_stack_suspend(stack, stack + 4000) == 0 && gc_stack_resume(stack, stack + 4000) == 0);
    TEST_CHECK(gc_stack_suspend(NULL, stack) == EINVAL);
    TEST_CHECK(gc_stack_resume(stack, stack + 8000) == EINVAL);
}

int main(void)
{
    full_stacks_need_no_hint();
    for (int i = 0; i < 4; i++) {
        has_hints = i % 2 != 0;
        is_mapped = i / 2 != 0;
        run_all();
    }
    return 0;
}
