/* A coroutine on a stack of one page, most of it in use, with a page behind it that may not be touched: being stopped there
 * must not overflow it, in threads that the library saw begin and in the main thread; and the block that only the coroutine
 * knows is kept. The program set no alternate signal stack, so it is told of none, and its handlers run where they
 * would run without the library, though they ask for one. */
#include <signal.h>
#include <sys/mman.h>
#include "trap_asm.h"
#if TRAP_HAS_ASM
enum { PAGE = 4096, IN_USE = 2048, N_CYCLES = 50 };

TRAP_DEFINE_SWITCH

struct coroutine {
    struct trap_thread t;
    void *caller_sp, *own_sp;
};
static __thread struct coroutine *self;
static __thread volatile int was_near;

static void coroutine(void)
{
    volatile char in_use[IN_USE];
    in_use[0] = in_use[IN_USE - 1] = 1;
    uintptr_t hidden = TRAP_SPIN(&self->t, "mov %%rax, %%r12", "mov %%r12, %%rax", "r12");
    TEST_CHECK(hidden == self->t.hidden && in_use[0] + in_use[IN_USE - 1] == 2);
    trap_switch(&self->own_sp, self->caller_sp);
    abort();
}

static void run(struct coroutine *c)
{
    char *lo = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(lo != MAP_FAILED && mprotect(lo, PAGE, PROT_NONE) == 0);
    void **top = (void **)(lo + 2 * PAGE - 16);
    *--top = NULL;
    *--top = (void *)coroutine;
    for (int k = 0; k < 6; k++)
        *--top = NULL;
    self = c;
    trap_switch(&c->caller_sp, top);
}

static void handler(int signo)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), normal = (uintptr_t)self;
    (void)signo;
    was_near = normal > here && normal - here < 64 * 1024;
}

/* self is an object in the caller's frame. */
static __attribute__((noinline)) void check_signals(void)
{
    stack_t now = {0}, raw = {0};
    TEST_CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE && now.ss_sp == NULL && now.ss_size == 0);
    TEST_CHECK(syscall(SYS_sigaltstack, NULL, &raw) == 0 && raw.ss_flags == SS_DISABLE);
    was_near = 0;
    raise(SIGUSR1);
    TEST_CHECK(was_near);
}

static void *body(void *arg)
{
    struct coroutine on_stack;
    self = &on_stack;
    check_signals();
    run(arg);
    self = &on_stack;
    check_signals();
    return NULL;
}

static void *collect(void *arg)
{
    struct trap_thread *t = arg;
    trap_wait(&t->ready);
    for (int i = 0; i < N_CYCLES; i++)
        TEST_CHECK(trap_collect());
    trap_verify();
    atomic_store(&t->release, 1);
    return NULL;
}

/* A program that does set one is served as ever: its handler runs there, and when it has gone, in its old place. */
static void check_own_alternate_stack(void)
{
    struct coroutine on_stack;
    enum { BYTES = 64 * 1024 };
    char *bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t own = {.ss_sp = bytes, .ss_size = BYTES}, none = {.ss_flags = SS_DISABLE}, now;
    self = &on_stack;
    TEST_CHECK(sigaltstack(&own, &now) == 0 && now.ss_flags == SS_DISABLE);
    self = (struct coroutine *)(bytes + BYTES); /* what lies right below is near */
    was_near = 0;
    raise(SIGUSR1);
    TEST_CHECK(was_near);
    TEST_CHECK(sigaltstack(&none, &now) == 0 && now.ss_sp == bytes && now.ss_size == BYTES);
    TEST_CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE);
}

int main(void)
{
    static struct coroutine coroutines[2];
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, now;
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    TEST_CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && (now.sa_flags & (SA_ONSTACK | SA_RESTART | SA_SIGINFO)) == action.sa_flags);
    coroutines[0].t.hidden = trap_new();
    pthread_t id, collector;
    TEST_CHECK(pthread_create(&id, NULL, body, &coroutines[0]) == 0);
    collect(&coroutines[0].t);
    TEST_CHECK(pthread_join(id, NULL) == 0);
    trap_forget(coroutines[0].t.hidden);
    coroutines[1].t.hidden = trap_new();
    TEST_CHECK(pthread_create(&collector, NULL, collect, &coroutines[1].t) == 0);
    body(&coroutines[1]);
    TEST_CHECK(pthread_join(collector, NULL) == 0);
    action.sa_flags |= SA_ONSTACK;
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    check_own_alternate_stack();
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("not on this machine");
}
#endif
