/* Coroutines whose stacks, mapped or allocated, are switched by five instructions of the program's own: registers of
 * a parked one are on its stack alone; collections come from one of them, from the thread, and from another thread. */
#include <sys/mman.h>
#include "trap_asm.h"
#if TRAP_HAS_ASM
enum { STACK_BYTES = 256 * 1024, N = 8 };

TRAP_DEFINE_SWITCH

static void *main_sp, *coroutine_sp[N];
static int current;

static long park(void)
{
    trap_switch(&coroutine_sp[current], main_sp);
    return 0;
}

static void coroutine(void)
{
    uintptr_t hidden = trap_targets[current].hidden, out = 0;
    trap_call_with_rbx((void *)park, hidden, 0, 0, 0, 0, &out);
    TEST_CHECK(out == hidden);
    trap_call_with_rbx((void *)trap_verify, hidden, 0, 0, 0, 0, &out);
    trap_call_with_rbx((void *)park, hidden, 0, 0, 0, 0, &out);
    TEST_CHECK(out == hidden);
    park();
    abort();
}

static void *new_stack(int i)
{
    if (i % 2 == 0)
        return malloc(STACK_BYTES);
    void *p = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(p != MAP_FAILED);
    return p;
}

static void prepare(int i)
{
    char *stack = new_stack(i);
    void **top = (void **)(stack + STACK_BYTES - 64);
    trap_new();
    *--top = NULL;
    *--top = (void *)coroutine;
    for (int k = 0; k < 6; k++)
        *--top = NULL;
    coroutine_sp[i] = top;
}

static void resume(int i)
{
    current = i;
    trap_switch(&main_sp, coroutine_sp[i]);
}

int main(void)
{
    for (int i = 0; i < N; i++)
        prepare(i);
    for (int i = 0; i < N; i++)
        resume(i);
    trap_verify();
    pthread_t collector = trap_collector_start();
    for (int i = 0; i < N; i++)
        resume(i);
    trap_collector_end(collector);
    trap_verify();
    for (int i = 0; i < N; i++)
        resume(i);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("not on this machine");
}
#endif
