/* Blocks that are held by what is no address of them, as some runtimes do: by one before their start, as in SWI-Prolog's arrays, or
 * by an address times eight, a number in Chez Scheme. */
#ifndef TRAPS_HIDDEN_POINTERS_H
#define TRAPS_HIDDEN_POINTERS_H

#include "trap.h"

enum { HIDDEN_N = 64 };
static uintptr_t hidden_pointers[2 * HIDDEN_N];

static inline void trap_verify_hidden_pointers(void)
{
    for (int i = 0; i < HIDDEN_N; i++) {
        hidden_pointers[2 * i] = (uintptr_t)trap_reveal(trap_new()) - TRAP_SIZE;
        hidden_pointers[2 * i + 1] = (uintptr_t)trap_reveal(trap_new()) << 3;
    }
    trap_clear_stack();
    trap_verify_kept();
}

#endif
