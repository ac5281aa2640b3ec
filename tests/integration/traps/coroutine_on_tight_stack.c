/* A thread runs on a stack of its own making, of which few bytes are left above a page without permissions. It has an alternate
 * signal stack, so it is stopped there. And what lies in the same mapping below its stack pointer is not its dead space: it
 * is the stack of another coroutine, which is parked. */
#include <signal.h>
#include <sys/mman.h>
#include "trap_asm.h"
#if TRAP_HAS_ASM
enum { PAGE = 4096, HALF = 64 * 1024, LEFT = 512 };
static struct trap_thread tight, roomy;
static char *area;

/* Spin on another stack until released; no stack is used meanwhile. */
static __attribute__((noinline)) void spin_on(struct trap_thread *t, void *top)
{
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "mov %[top], %%rsp\n\t"
                     "movl $1, %[ready]\n"
                     "1:\tpause\n\t"
                     "cmpl $0, %[release]\n\t"
                     "je 1b\n\t"
                     "mov %%rbx, %%rsp"
                     : [ready] "=m"(*(volatile int *)&t->ready)
                     : [top] "r"(top), [release] "m"(*(volatile int *)&t->release), "r"(t)
                     : "rbx", "memory", "cc");
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    stack_t alternate = {.ss_size = 64 * 1024};
    alternate.ss_sp = mmap(NULL, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(alternate.ss_sp != MAP_FAILED && sigaltstack(&alternate, NULL) == 0);
    char *base = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(base != MAP_FAILED && mprotect(base, PAGE, PROT_NONE) == 0 && mprotect(base + 2 * PAGE, PAGE, PROT_NONE) == 0);
    spin_on(t, t == &tight ? base + PAGE + LEFT : area + 2 * HALF - 256);
    return NULL;
}

static __attribute__((noinline)) void park(void)
{
    ((void **)area)[HALF / sizeof(void *) - 100] = trap_reveal(trap_new());
    ((void **)area)[2 * HALF / sizeof(void *) - 10] = trap_reveal(trap_new());
}

/* The area is mapped first: the kernel places what comes later below it, threads' stacks too. */
int main(void)
{
    area = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(area != MAP_FAILED);
    park();
    trap_thread_start(&tight, body);
    trap_thread_start(&roomy, body);
    trap_clear_stack();
    for (int i = 0; i < 10; i++)
        trap_verify();
    trap_thread_end(&tight);
    trap_thread_end(&roomy);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("not on this machine");
}
#endif
