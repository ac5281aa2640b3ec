/* A program for libgc: an index of words. Everything is allocated, nothing freed; lists, a growing array, typed records,
 * atomic text, uncollectable memory, and threads. It prints only what does not depend on the collector. */
#define GC_THREADS
#include <gc.h>
#include <gc/gc_typed.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct posting {
    struct posting *next;
    unsigned long place;
};
struct word {
    struct word *next;
    char *text;
    struct posting *postings;
    unsigned n;
};

enum { N_BUCKETS = 1024, N_ROUNDS = 60, N_WORDS = 20000 };
static struct word **buckets;
static GC_descr posting_descr;

static unsigned long next_random(unsigned long *state)
{
    *state = *state * 6364136223846793005ul + 1442695040888963407ul;
    return *state >> 33;
}

static struct posting *posting_new(struct posting *next, unsigned long place)
{
    struct posting *p = GC_MALLOC_EXPLICITLY_TYPED(sizeof *p, posting_descr);
    p->next = next;
    p->place = place;
    return p;
}

static void index_add(const char *text, unsigned long place)
{
    unsigned hash = 0;
    struct word *w;
    for (const char *c = text; *c; c++)
        hash = hash * 31 + (unsigned char)*c;
    for (w = buckets[hash % N_BUCKETS]; w && strcmp(w->text, text); w = w->next)
        ;
    if (!w) {
        w = GC_NEW(struct word);
        w->text = GC_STRDUP(text);
        w->next = buckets[hash % N_BUCKETS];
        buckets[hash % N_BUCKETS] = w;
    }
    w->postings = posting_new(w->postings, place);
    w->n++;
}

static unsigned long index_sum(void)
{
    unsigned long sum = 0;
    for (unsigned b = 0; b < N_BUCKETS; b++)
        for (struct word *w = buckets[b]; w; w = w->next) {
            unsigned n = 0;
            for (struct posting *p = w->postings; p; p = p->next, n++)
                sum = sum * 3 + p->place;
            if (n != w->n)
                printf("%s: %u postings, not %u\n", w->text, n, w->n);
        }
    return sum;
}

static unsigned long round_run(unsigned long seed)
{
    buckets = GC_MALLOC(N_BUCKETS * sizeof *buckets);
    for (unsigned long i = 0; i < N_WORDS; i++) {
        char text[32];
        snprintf(text, sizeof text, "w%lu", next_random(&seed) % 3000);
        index_add(text, i);
    }
    return index_sum();
}

static int is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return 0;
    return 1;
}

static void arrays(void)
{
    size_t n = 1, zero = 1;
    uintptr_t *numbers = GC_MALLOC(n * sizeof *numbers);
    for (; n < 100000; n *= 2) {
        for (size_t i = n / 2; i < n; i++)
            numbers[i] = i * i;
        numbers = GC_REALLOC(numbers, 2 * n * sizeof *numbers);
        zero = zero && is_zero((char *)(numbers + n), n * sizeof *numbers);
    }
    size_t n_wrong = 0;
    for (size_t i = 0; i < n / 2; i++)
        n_wrong += numbers[i] != i * i;
    printf("array: %zu wrong, new part zero: %zu\n", n_wrong, zero);
    printf("base: %d, size: %d, heap pointer: %d %d\n", GC_base((char *)numbers + 1000) == numbers,
           GC_size(numbers) >= n * sizeof *numbers, GC_is_heap_ptr(numbers), GC_is_heap_ptr(&n));
    GC_FREE(numbers);
    printf("realloc: %d %d\n", GC_REALLOC(NULL, 10) != NULL, GC_REALLOC(GC_MALLOC(10), 0) == NULL);
}

static void *thread_run(void *arg)
{
    unsigned long seed = (uintptr_t)arg, sum = 0;
    for (int round = 0; round < 200; round++) {
        struct posting *list = NULL;
        for (int i = 0; i < 500; i++)
            list = posting_new(list, next_random(&seed));
        char *text = GC_MALLOC_ATOMIC(100);
        memset(text, round, 100);
        for (; list; list = list->next)
            sum = sum * 7 + list->place;
        sum += (unsigned char)text[99];
    }
    return (void *)sum;
}

static void threads(void)
{
    pthread_t id[3];
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&id[i], NULL, thread_run, (void *)(i + 1));
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(id[i], &result);
        printf("thread %d: %lx\n", i, (unsigned long)result);
    }
}

static void others(void)
{
    uintptr_t *hidden = GC_MALLOC_UNCOLLECTABLE(sizeof *hidden);
    void *list = GC_malloc_many(48);
    int n = 0, aligned = 1;
    *hidden = GC_HIDE_POINTER(GC_MALLOC_UNCOLLECTABLE(64));
    memset(GC_REVEAL_POINTER(*hidden), 7, 64);
    for (int i = 1; i < 50; i++)
        aligned = aligned && (uintptr_t)GC_MALLOC_ATOMIC((size_t)i) % 16 == 0;
    GC_gcollect();
    printf("uncollectable: %d\n", ((char *)GC_REVEAL_POINTER(*hidden))[63]);
    GC_FREE(GC_REVEAL_POINTER(*hidden));
    GC_FREE(hidden);
    for (; list; list = GC_NEXT(list))
        n++;
    printf("many: %d, aligned: %d, strings: %s %s\n", n > 0, aligned, GC_STRDUP("one"), GC_STRNDUP("twofold", 3));
    void *p = GC_memalign(256, 100);
    printf("memalign: %d\n", p != NULL && (uintptr_t)p % 256 == 0);
}

int main(void)
{
    GC_word bits[GC_BITMAP_SIZE(struct posting)] = {0};
    unsigned long sum = 0;
    GC_INIT();
    GC_set_bit(bits, GC_WORD_OFFSET(struct posting, next));
    posting_descr = GC_make_descriptor(bits, GC_WORD_LEN(struct posting));
    for (unsigned long i = 0; i < N_ROUNDS; i++)
        sum ^= round_run(i + 1);
    printf("index: %lx\n", sum);
    GC_gcollect();
    printf("the last one again: %lx\n", index_sum());
    arrays();
    threads();
    others();
    printf("collections: %d, heap: %d, in bounds: %d, version: %d\n", GC_get_gc_no() > 0, GC_get_heap_size() > 0,
           GC_get_heap_size() < 200u << 20, GC_get_version() >= GC_VERSION_MAJOR << 16);
    return 0;
}
