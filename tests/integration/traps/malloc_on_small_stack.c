/* A coroutine on a stack of one page, with pages behind it that may not be touched, allocates until the heap has grown, was collected
 * for nothing, and grows on, and asks for a collection itself: what that takes lies elsewhere. */
#include <sys/mman.h>
#include "trap_asm.h"
#if TRAP_HAS_ASM
enum { PAGE = 4096, GUARD = 16 * PAGE, BLOCK_BYTES = 3000, N_BLOCKS = 50000 };

TRAP_DEFINE_SWITCH

static void *caller_sp, *own_sp;
static void (*body)(void);
static void *volatile held[N_BLOCKS];

static void coroutine(void)
{
    body();
    trap_switch(&own_sp, caller_sp);
    abort();
}

static void on_page(void (*fn)(void))
{
    char *lo = mmap(NULL, GUARD + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(lo != MAP_FAILED && mprotect(lo, GUARD, PROT_NONE) == 0);
    void **top = (void **)(lo + GUARD + PAGE - 16);
    *--top = NULL;
    *--top = (void *)coroutine;
    for (int k = 0; k < 6; k++)
        *--top = NULL;
    body = fn;
    trap_switch(&caller_sp, top);
    TEST_CHECK(munmap(lo, GUARD + PAGE) == 0);
}

static void collect(void)
{
    trap_gc(TRAP_GC_FULL);
}

static void grow(void)
{
    for (int i = 0; i < N_BLOCKS; i++) {
        held[i] = malloc(BLOCK_BYTES);
        *(char *)held[i] = 1;
    }
    for (int i = 0; i < N_BLOCKS; i++)
        free(held[i]);
}

int main(void)
{
    static void *volatile root;
    free(malloc(1)); /* ld.so's finding of functions may take more than a page */
    trap_gc(TRAP_GC_FULL);
    on_page(collect);
    on_page(grow);
    root = trap_reveal(trap_new());
    trap_verify();
    on_page(collect);
    TEST_CHECK(root != NULL);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("no switch between stacks for this machine");
}
#endif
