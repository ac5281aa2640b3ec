/* fontconfig's patterns and character sets refer to their parts by what must be added to their own address: nearly all programs
 * with windows have such blocks. Where its library is mapped (here one of its name, loaded late), these keep their parts; a set also
 * while it grows, when it still refers to an array of leaves or of numbers that realloc has freed, or its last leaf is not counted yet. */
#include <dlfcn.h>
#include "trap.h"

enum { N = 100, N_ROOM = 16, N_LEAVES = 8, N_USED = 5, LEAF_SIZE = 32, VALUE_SIZE = 40, OLD_SIZE = 600 };

struct pattern {
    int n, n_room;
    intptr_t elements;
    int n_users;
};
struct element {
    int object;
    void *values;
};
struct set {
    int n_users, n;
    intptr_t leaves, numbers;
};

static void *volatile heads[2 * N];

static __attribute__((noinline)) void make_pattern(int i)
{
    struct pattern *p = calloc(1, sizeof(*p));
    struct element *elements = calloc(N_ROOM, sizeof(*elements));
    elements[i % N_ROOM].values = trap_reveal(trap_new_sized(VALUE_SIZE));
    p->n = 1;
    p->n_room = N_ROOM;
    p->elements = (intptr_t)elements - (intptr_t)p;
    heads[i] = p;
}

static __attribute__((noinline)) void make_set(int i)
{
    struct set *s = calloc(1, sizeof(*s));
    intptr_t *leaves = calloc(N_LEAVES, sizeof(*leaves));
    s->n_users = 1;
    s->n = N_USED;
    for (int leaf = 0; leaf < N_USED + (i % 4 == 3); leaf++)
        leaves[leaf] = (intptr_t)trap_reveal(trap_new_sized(LEAF_SIZE)) - (intptr_t)leaves;
    s->leaves = (intptr_t)leaves - (intptr_t)s;
    if (i % 4 != 1)
        s->numbers = (intptr_t)trap_reveal(trap_new_sized(N_LEAVES * sizeof(uint16_t))) - (intptr_t)s;
    heads[N + i] = s;
    if (i % 4 == 1)
        s->numbers = (intptr_t)calloc(1, OLD_SIZE) - (intptr_t)s;
}

/* When all are made, so that nothing is allocated where they were. */
static __attribute__((noinline)) void free_an_array(int i)
{
    struct set *s = heads[N + i];
    if (i % 4 == 1)
        free((char *)s + s->numbers);
    if (i % 4 == 2)
        free((char *)s + s->leaves);
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    if (dlopen(argv[1], RTLD_NOW) == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    for (int i = 0; i < N; i++) {
        make_pattern(i);
        make_set(i);
    }
    for (int i = 0; i < N; i++)
        free_an_array(i);
    trap_verify();
    return 0;
}
