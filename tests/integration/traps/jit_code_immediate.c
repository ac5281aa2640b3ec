/* Compiled code carries addresses as immediates at odd places: `movabs $address, %rax` at each offset from a
 * word, in pages that are then made executable. HotSpot keeps inline caches so, and nothing else points to
 * their blocks. */
#include <sys/mman.h>
#include "trap.h"
static unsigned char *volatile code;

static __attribute__((noinline)) void emit(size_t at)
{
    void *block = trap_reveal(trap_new());
    code[at] = 0x48; /* the two bytes of the instruction, then the immediate */
    code[at + 1] = 0xb8;
    memcpy((unsigned char *)code + at + 2, &block, sizeof(block));
}

int main(void)
{
    code = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        TEST_SKIP("no writable code pages here");
    for (size_t i = 0; i < 8; i++)
        emit(4096 + i * 101); /* 101 is 5 modulo 8: every offset once */
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(mprotect((void *)code, 65536, PROT_READ | PROT_EXEC) == 0);
    trap_verify();
    return 0;
}
