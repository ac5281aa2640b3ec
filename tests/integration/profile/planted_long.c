/* Loses blocks in a function whose name is as long as those that compilers make of types. */
#include <stdlib.h>

#define TEN(x) x x x x x x x x x x
#define NAME "planted_" TEN(TEN(TEN("abcabcabc")))

void *lose(size_t size_bytes) __asm__(NAME);
__attribute__((noinline)) void *lose(size_t size_bytes)
{
    void *volatile lost = malloc(size_bytes);
    return lost != NULL ? NULL : "none";
}

int main(void)
{
    for (int i = 0; i < 10; i++)
        if (lose(100) != NULL)
            return 1;
    return 0;
}
