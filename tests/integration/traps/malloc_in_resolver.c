/* ld.so calls the resolver of an indirect function of the program while it relocates the program, before thread-local data
 * have their first values. What it allocates lives on, may be freed, and the first thread is then a thread like any other. */
#include "trap.h"
enum { N = 40 };
static void *volatile early[N];
static void *volatile early_large, *volatile early_zeroed;
static int was_resolved;

static int answer(void)
{
    return 42;
}

static __attribute__((used)) int (*resolve_answer(void))(void)
{
    for (unsigned i = 0; i < N; i++) {
        char *p = malloc(16 + i * 40);
        for (unsigned k = 0; k < 16 + i * 40; k++)
            p[k] = (char)(i + k);
        early[i] = p;
    }
    early_large = realloc(malloc(100), 5 << 20);
    early_zeroed = calloc(1, 3000);
    free((void *)early[0]);
    early[0] = NULL;
    was_resolved++;
    return answer;
}

int indirect(void) __attribute__((ifunc("resolve_answer")));

/* They come out of one span, as blocks of a thread with a cache do. */
static bool are_neighbours(const void *a, const void *b)
{
    return (uintptr_t)a - (uintptr_t)b < 65536 || (uintptr_t)b - (uintptr_t)a < 65536;
}

static bool is_whole(unsigned i)
{
    const char *p = early[i];
    for (unsigned k = 0; k < 16 + i * 40; k++)
        if (p[k] != (char)(i + k))
            return false;
    return true;
}

int main(void)
{
    static void *volatile root;
    TEST_CHECK(indirect() == 42 && was_resolved == 1);
    static void *volatile two[2];
    two[0] = malloc(100);
    two[1] = malloc(100);
    TEST_CHECK(are_neighbours(two[0], two[1]));
    root = trap_reveal(trap_new());
    trap_verify();
    for (unsigned i = 1; i < N; i++) {
        TEST_CHECK(is_whole(i));
        if (!trap_is_peer())
            TEST_CHECK(gc_find_object(early[i], NULL) == early[i]);
        free(early[i]);
        early[i] = NULL;
    }
    for (unsigned i = 0; i < 3000; i++)
        TEST_CHECK(((char *)early_zeroed)[i] == 0);
    early_large = realloc((void *)early_large, 6 << 20);
    TEST_CHECK(early_large != NULL);
    free((void *)early_large);
    free((void *)early_zeroed);
    TEST_CHECK(root != NULL);
    return 0;
}
