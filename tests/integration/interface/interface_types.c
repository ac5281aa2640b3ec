/* gc_new: errors, zeroed objects, and layouts that are believed: an address in a word that is no pointer keeps nothing,
 * one in a word that is keeps its block. */
#include "interface.h"

#include <malloc.h>

struct node {
    struct node *next;
    uintptr_t number;
    void *value;
};

static const struct gc_type *node_type;
static struct node *list;

static void errors_are_told(void)
{
    uint64_t mask = 1;
    struct gc_type_step steps[] = {{1, 1, 4}};
    errno = 0;
    TEST_CHECK(gc_type_create(0, &mask, 1) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_type_create(12, &mask, 1) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_type_create(16, NULL, 1) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_type_create(16, &mask, 0) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_type_create(SIZE_MAX - 7, &mask, 1) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_type_create((size_t)1 << 60, &mask, 1) == NULL && errno == ENOMEM);
    errno = 0;
    TEST_CHECK(gc_type_create_steps(56, steps, 1) == NULL && errno == EINVAL);
    steps[0].n_times = SIZE_MAX / 2 + 2;
    errno = 0;
    TEST_CHECK(gc_type_create_steps(56, steps, 1) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_type_create_steps(56, NULL, 1) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_new_array(node_type, SIZE_MAX / sizeof(struct node) + 1) == NULL && errno == ENOMEM);
    errno = 0;
    TEST_CHECK(gc_new_array(node_type, SIZE_MAX / 2 / sizeof(struct node)) == NULL && errno == ENOMEM);
}

static bool is_zero(const char *p, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* Blocks that were full of old bytes before. */
static void objects_are_zeroed(void)
{
    for (size_t n = 0; n < 3000; n = n * 2 + 1) {
        for (int round = 0; round < 3; round++) {
            char *p = gc_new_array(node_type, n);
            TEST_CHECK(p != NULL && (uintptr_t)p % 16 == 0 && malloc_usable_size(p) >= n * sizeof(struct node));
            TEST_CHECK(is_zero(p, malloc_usable_size(p)));
            memset(p, 0x55, malloc_usable_size(p));
            free(p);
        }
    }
}

static NOINLINE void build(bool is_in_pointer)
{
    list = NULL;
    for (size_t i = 0; i < INTERFACE_N; i++) {
        struct node *n = gc_new(node_type);
        void *target = gc_malloc(64, 0);
        n->next = list;
        if (is_in_pointer)
            n->value = target;
        else
            n->number = (uintptr_t)target;
        list = n;
        interface_hide(i, target);
    }
}

static void only_pointer_words_keep(void)
{
    build(true);
    interface_collect();
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    build(false);
    interface_collect();
    size_t n_alive = interface_n_alive();
    if (n_alive > INTERFACE_N - INTERFACE_NEARLY_ALL)
        TEST_FAIL("%zu of %d blocks are held by words that are no pointers", n_alive, INTERFACE_N);
    list = NULL;
}

/* Objects of 2 to 80 words, each with one pointer, in its last word; bits of neighbours share words of the layout. */
static void **sized[INTERFACE_N];
static NOINLINE void build_sized(bool is_last)
{
    for (size_t i = 0; i < INTERFACE_N; i++) {
        size_t n_words = 2 + i % 79;
        uint64_t mask[2] = {0, 0};
        mask[(n_words - 1) / 64] = UINT64_C(1) << ((n_words - 1) % 64);
        const struct gc_type *type = gc_type_create(n_words * 8, mask, n_words);
        TEST_CHECK(gc_type_size(type) == n_words * 8);
        void *target = gc_malloc(64, 0);
        free(gc_new(type)); /* slots are used again, with other bits around them */
        sized[i] = i % 3 == 0 ? gc_new_sized(type, n_words * 8 + 24) : gc_new(type);
        for (size_t w = 0; w < n_words; w++)
            TEST_CHECK(sized[i][w] == NULL);
        sized[i][is_last ? n_words - 1 : i % (n_words - 1)] = target;
        interface_hide(i, target);
    }
}

static void objects_of_all_sizes(void)
{
    errno = 0;
    TEST_CHECK(gc_new_sized(node_type, 16) == NULL && errno == EINVAL);
    build_sized(true);
    interface_collect();
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    build_sized(false);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
    memset(sized, 0, sizeof(sized));
}

/* An array of objects of 1000 words, pointers in every tenth and in the last ten. */
enum { WIDE_WORDS = 1000, WIDE_OBJECTS = 50, WIDE_STEP = WIDE_OBJECTS * WIDE_WORDS / INTERFACE_N };
static void **wide;

static NOINLINE void build_wide(size_t shift)
{
    const struct gc_type_step steps[] = {{9, 1, 99}, {0, 10, 1}};
    const struct gc_type *type = gc_type_create_steps(WIDE_WORDS * 8, steps, 2);
    wide = gc_new_array(type, WIDE_OBJECTS);
    for (size_t i = 0; i < INTERFACE_N; i++) {
        void *target = gc_malloc(64, 0);
        wide[i * WIDE_STEP + shift] = target;
        interface_hide(i, target);
    }
}

static void steps_describe_large_objects(void)
{
    build_wide(9);
    interface_collect();
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    build_wide(94);
    interface_collect();
    size_t n_alive = interface_n_alive(); /* one of 10 lies in the last ten words of an object */
    TEST_CHECK(n_alive >= WIDE_OBJECTS);
    TEST_CHECK(n_alive <= WIDE_OBJECTS + INTERFACE_N - INTERFACE_NEARLY_ALL);
    wide = NULL;
}

/* Steps that cover nothing, and none at all: no pointers. */
static void steps_may_be_empty(void)
{
    const struct gc_type_step steps[] = {{0, 0, SIZE_MAX}, {SIZE_MAX, 1, 0}, {0, 1, 1}};
    const struct gc_type *second = gc_type_create_steps(16, steps, 3), *none = gc_type_create_steps(16, NULL, 0);
    TEST_CHECK(second != NULL && none != NULL && gc_new(second) != NULL && gc_new(none) != NULL);
}

/* realloc: in the copy every word counts, because nobody said what is in it. */
static NOINLINE void grow_all(size_t more)
{
    list = NULL;
    for (size_t i = 0; i < INTERFACE_N; i++) {
        struct node *n = gc_new(node_type);
        void *target = gc_malloc(64, 0);
        n->number = (uintptr_t)target;
        n = realloc(n, sizeof(*n) + more);
        TEST_CHECK(n->number == (uintptr_t)target);
        if (more == sizeof(void *)) { /* the block had room for one word more */
            n->number = 0;
            ((void **)(n + 1))[0] = target;
        }
        n->next = list;
        list = n;
        interface_hide(i, target);
    }
}

static void resized_objects_are_searched_whole(void)
{
    const size_t more[] = {200, sizeof(void *)};
    for (int i = 0; i < 2; i++) {
        grow_all(more[i]);
        interface_collect();
        TEST_CHECK(interface_n_alive() == INTERFACE_N);
    }
    list = NULL;
}

int main(void)
{
    const uint64_t mask = 1 << 0 | 1 << 2;
    node_type = gc_type_create(sizeof(struct node), &mask, 3);
    TEST_CHECK(node_type != NULL);
    errors_are_told();
    objects_are_zeroed();
    only_pointer_words_keep();
    objects_of_all_sizes();
    steps_describe_large_objects();
    steps_may_be_empty();
    resized_objects_are_searched_whole();
    return 0;
}
