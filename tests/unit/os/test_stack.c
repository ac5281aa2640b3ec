/* Running on a stack of ours: arguments, alignment, registers of the caller, unwinding across. */
#include "os_harness.h"

#include <unwind.h>

enum { STACK_PAGES = 16, MAGIC = 0x5ca1ab1e };

struct call {
    char *stack;
    uintptr_t caller_sp, local_addr, aligned_addr;
    unsigned n_frames;
    bool has_register, has_found_main;
};

static bool has_word(uintptr_t lo, uintptr_t hi, uintptr_t word)
{
    for (; lo < hi; lo += sizeof(uintptr_t)) {
        if (*(uintptr_t *)lo == word)
            return true;
    }
    return false;
}

static void look_around(void *arg, uintptr_t caller_sp)
{
    struct call *c = arg;
    _Alignas(16) volatile char aligned[16] = {0};

    c->caller_sp = caller_sp;
    c->local_addr = (uintptr_t)&aligned;
    c->aligned_addr = (uintptr_t)&aligned;
    c->has_register = has_word(caller_sp, caller_sp + 256, MAGIC);
    __asm__ volatile("" : : : "memory");
}

static __attribute__((noinline)) uintptr_t call_with_register(struct call *c)
{
#if defined(__x86_64__)
    register uintptr_t kept __asm__("r12") = MAGIC;
#else
    register uintptr_t kept __asm__("x22") = MAGIC;
#endif

    __asm__ volatile("" : "+r"(kept));
    os_call_on_stack(look_around, c, c->stack + STACK_PAGES * os_page_size());
    __asm__ volatile("" : "+r"(kept));
    return kept;
}

static void runs_there_and_comes_back(void **state)
{
    struct call c = {.stack = map_pages(STACK_PAGES)};
    uintptr_t lo = (uintptr_t)c.stack, hi = lo + STACK_PAGES * os_page_size();

    (void)state;
    assert_int_equal(call_with_register(&c),
                     MAGIC); /* what is called may use the register, and must give it back */
    assert_true(c.local_addr >= lo && c.local_addr < hi);
    assert_int_equal(c.aligned_addr % 16, 0);
    assert_true(c.caller_sp < (uintptr_t)__builtin_frame_address(0) + 4096 &&
                c.caller_sp > (uintptr_t)&c - 4096);
    assert_true(c.has_register);
    munmap(c.stack, STACK_PAGES * os_page_size());
}

static void an_odd_end_is_aligned(void **state)
{
    struct call c = {.stack = map_pages(STACK_PAGES)};

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        os_call_on_stack(look_around, &c, c.stack + STACK_PAGES * os_page_size() - i);
        assert_int_equal(c.aligned_addr % 16, 0);
    }
    munmap(c.stack, STACK_PAGES * os_page_size());
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
    struct call *c = arg;
    uintptr_t cfa = _Unwind_GetCFA(context);

    c->n_frames++;
    c->has_found_main |= cfa > c->caller_sp;
    return c->n_frames < 50 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void unwind(void *arg, uintptr_t caller_sp)
{
    ((struct call *)arg)->caller_sp = caller_sp;
    _Unwind_Backtrace(count_frame, arg);
}

/* Profilers and debuggers see through the change of stacks. */
static void unwinding_goes_across(void **state)
{
    struct call c = {.stack = map_pages(STACK_PAGES)};

    (void)state;
    os_call_on_stack(unwind, &c, c.stack + STACK_PAGES * os_page_size());
    assert_true(c.n_frames >= 3 && c.has_found_main);
    munmap(c.stack, STACK_PAGES * os_page_size());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_there_and_comes_back),
        cmocka_unit_test(an_odd_end_is_aligned),
        cmocka_unit_test(unwinding_goes_across),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
