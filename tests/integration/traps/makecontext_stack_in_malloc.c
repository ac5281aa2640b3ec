/* Coroutines on stacks from malloc and from mmap: a block is held by a parked one, then by the one that runs
 * (and collects), while the thread's own stack waits. */
#include <sys/mman.h>
#include <ucontext.h>
#include "trap.h"
enum { STACK_BYTES = 128 * 1024 };

static ucontext_t main_context;
static ucontext_t *coroutine[2]; /* the only references to the contexts, and through uc_stack to the stacks */
static uintptr_t hidden[3];

static void run(int which)
{
    void *volatile block = trap_reveal(hidden[which]);
    swapcontext(coroutine[which], &main_context); /* parked with block on this stack */
    TEST_CHECK(~(uintptr_t)block == hidden[which]);
    trap_verify(); /* collects on this stack; main's locals are on a stack that does not run */
    TEST_CHECK(~(uintptr_t)block == hidden[which]);
    swapcontext(coroutine[which], &main_context);
}

static __attribute__((noinline)) void make(int which, void *stack)
{
    ucontext_t *c = malloc(sizeof(*c));
    coroutine[which] = c;
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = STACK_BYTES;
    makecontext(c, (void (*)(void))run, 1, which);
    swapcontext(&main_context, c);
}

int main(void)
{
    for (int i = 0; i < 3; i++)
        hidden[i] = trap_new();
    void *volatile on_main = trap_reveal(hidden[2]);
    make(0, malloc(STACK_BYTES));
    make(1, mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    trap_verify();
    for (int i = 0; i < 2; i++)
        swapcontext(&main_context, coroutine[i]);
    TEST_CHECK(~(uintptr_t)on_main == hidden[2]);
    trap_verify();
    return 0;
}
