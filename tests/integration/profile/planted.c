/* Loses blocks in known ways: planted KIND [ROUNDS]. The places have names, which the tests look for.
 *
 *     direct    3 blocks, 100 bytes each
 *     indirect  a list of 1 + 4 blocks, 32 bytes each
 *     cyclic    a ring of 3 blocks, 48 bytes each
 *     none      blocks held by a static variable, by each other, and freed ones
 *     freed     what direct does, and then frees it: no leak
 *     handed    the same, freed by another thread: no leak
 *     grown     a block that realloc moved, 70000 bytes in the end, lost
 *     thread    2 blocks, 24 bytes each, by a thread that has ended
 *     sites     many live blocks from two places, for profiles
 *     wait      direct, then sleeps until it is killed
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE __attribute__((noinline))

static void *volatile held;
static volatile uintptr_t hidden[3];

PLACE static void *plant(size_t size)
{
    char *volatile p = malloc(size);

    memset(p, 1, size);
    return p;
}

/* What a register or a dead frame still holds is no leak to a collector that does not guess. */
PLACE static void forget(void)
{
    volatile char room[8192];

    memset((char *)room, 0, sizeof(room));
    __asm__ volatile("" : : "r"(room) : "memory");
}

PLACE static void plant_direct(void)
{
    for (int i = 0; i < 3; i++)
        hidden[i] = ~(uintptr_t)plant(100);
}

PLACE static void plant_indirect(void)
{
    void **first = plant(32), **last = first;

    for (int i = 0; i < 4; i++) {
        *last = plant(32);
        last = *last;
    }
    *last = NULL;
    hidden[0] = ~(uintptr_t)first;
}

PLACE static void plant_cyclic(void)
{
    void **a = plant(48), **b = plant(48), **c = plant(48);

    *a = b;
    *b = c;
    *c = a;
}

PLACE static void plant_none(void)
{
    void **first = plant(32);

    *first = plant(32);
    *(void **)*first = NULL;
    held = first;
    for (int i = 0; i < 1000; i++)
        free(plant(40));
}

PLACE static void plant_freed(void)
{
    plant_direct();
    for (int i = 0; i < 3; i++)
        free((void *)~hidden[i]);
}

static void *free_in_thread(void *arg)
{
    for (int i = 0; i < 3; i++)
        free((void *)~hidden[i]);
    return arg;
}

PLACE static void plant_handed(void)
{
    pthread_t id;

    plant_direct();
    if (pthread_create(&id, NULL, free_in_thread, NULL) != 0)
        exit(3);
    pthread_join(id, NULL);
}

PLACE static void plant_grown(void)
{
    char *p = plant(10);

    for (size_t size = 20; size <= 70000; size += 1000)
        p = realloc(p, size);
    p = realloc(p, 70000);
    hidden[0] = ~(uintptr_t)p;
}

static void *plant_in_thread(void *arg)
{
    plant(24);
    plant(24);
    forget(); /* the stack stays mapped for the next thread */
    return arg;
}

PLACE static void plant_thread(void)
{
    pthread_t id;

    if (pthread_create(&id, NULL, plant_in_thread, NULL) != 0)
        exit(3);
    pthread_join(id, NULL);
}

PLACE static void *site_large_share(void)
{
    return plant(300);
}

PLACE static void *site_small_share(void)
{
    return plant(100);
}

/* 3 bytes in 4 in use come from site_large_share. */
PLACE static void plant_sites(unsigned n_rounds)
{
    for (unsigned i = 0; i < n_rounds; i++) {
        void **a = site_large_share(), **b = site_small_share();
        *a = held;
        *b = a;
        held = b;
        free(plant(500));
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } kinds[] = {
        {"direct", plant_direct}, {"indirect", plant_indirect}, {"cyclic", plant_cyclic}, {"none", plant_none},
        {"freed", plant_freed},   {"handed", plant_handed},     {"grown", plant_grown},   {"thread", plant_thread},
        {"wait", plant_direct},
    };
    const char *kind = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, kinds[i].name) == 0)
            kinds[i].fn();
    if (strcmp(kind, "sites") == 0)
        plant_sites(argc > 2 ? (unsigned)atoi(argv[2]) : 1000);
    forget();
    puts("planted");
    if (strcmp(kind, "wait") == 0) {
        fflush(stdout);
        for (;;)
            pause();
    }
    return 0;
}
