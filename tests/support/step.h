/* A thread that is stopped by SIGTRAP behind each of its instructions. x86-64, where that is a flag. */
#ifndef TESTS_STEP_H
#define TESTS_STEP_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#ifdef __x86_64__
enum { STEP_PLACE_BITS = 18, STEP_FLAG = 0x100 };

/* In the handler: no step led here before. Loops are long. */
static inline bool step_is_new_place(void *context)
{
    static uint8_t is_place_known[1 << STEP_PLACE_BITS];
    uint64_t pc = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    uint8_t *is_known = &is_place_known[pc * UINT64_C(0x9E3779B97F4A7C15) >> (64 - STEP_PLACE_BITS)];
    bool is_new = *is_known == 0;
    *is_known = 1;
    return is_new;
}

/* Below the red zone. */
static inline __attribute__((always_inline)) void step_each_instruction(bool is_on)
{
    uint64_t flag = is_on ? STEP_FLAG : 0;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq %[keep], (%%rsp)\n\torq %[flag], (%%rsp)\n\tpopfq\n\t"
                     "lea 128(%%rsp), %%rsp"
                     :
                     : [flag] "r"(flag), [keep] "r"(~(uint64_t)STEP_FLAG)
                     : "memory", "cc");
}
#endif

#endif
