/* For traps about addresses that a runtime writes in a way of its own: its stand-in (a module named like its library) is loaded, memory
 * is mapped as the runtime would, and blocks that only look-alikes name must not be kept. */
#ifndef TESTS_SUPPORT_TRAP_DISGUISE_H
#define TESTS_SUPPORT_TRAP_DISGUISE_H

#include <dlfcn.h>
#include <sys/mman.h>
#include "trap.h"

enum { DISGUISE_MAP_BYTES = 1 << 20, DISGUISE_N_OTHERS = 200, DISGUISE_OTHER_SIZE = 304 };
static uintptr_t disguise_others[DISGUISE_N_OTHERS]; /* hidden */

/* Loads the module of the command line; memory that the runtime mapped. */
static void *disguise_begin(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    if (dlopen(argv[1], RTLD_NOW) == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    void *mapped = mmap(NULL, DISGUISE_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(mapped != MAP_FAILED);
    return mapped;
}

/* The address of a block that is to go. */
static inline __attribute__((always_inline)) uintptr_t disguise_new_other(int i)
{
    disguise_others[i] = ~(uintptr_t)malloc(DISGUISE_OTHER_SIZE);
    return ~disguise_others[i];
}

static void disguise_verify(void)
{
    trap_verify();
    int n_kept = 0;
    for (int i = 0; i < DISGUISE_N_OTHERS; i++)
        n_kept += trap_find(trap_reveal(disguise_others[i])) != NULL;
    if (!trap_is_peer() && n_kept > DISGUISE_N_OTHERS / 10)
        TEST_FAIL("%d of %d are kept by what is no address", n_kept, DISGUISE_N_OTHERS);
}

#endif
