/* Marking alone: a graph of objects of 48 to 128 bytes with five references each, all of it alive, collected
 * again and again. GRAPH_LOCAL: the references point to objects allocated shortly before, as most programs'
 * do; else anywhere, which is the worst case for a cache. 5 MiB for each unit of the scale: 20, 200 and 800
 * are graphs of 100 MB, 1 GB and 4 GB. Metrics: the first collection's time, the median of later ones (a
 * collector may still be growing its mark stack), objects marked a second then, objects marked in a second of
 * CPU time (of all threads together, at best: the figure for a machine that others use, too), and what the
 * machine itself can do: as many objects' tags read a second, in the order of their allocation or of random
 * numbers, each asked for LOADS_AHEAD loads ahead, by one thread and by two at once. */
#include "alloc.h"

enum {
    OBJECTS_PER_SCALE = 60000,
    N_REFS = 5,
    MAX_EXTRA_WORDS = 10,
    NEAR = 1000,
    N_WARM = 1,
    N_TIMED = 5,
    LOADS_AHEAD = 32
};

struct object {
    struct object *refs[N_REFS];
    uint64_t tag; /* its number */
};

/* 48 to 128 bytes, mean 88; what lies behind the tag is never written. */
static struct object *object_new(struct bench_rng *rng, uint64_t tag)
{
    struct object *object = alloc_new(sizeof *object + 8 * (size_t)bench_rng_below(rng, MAX_EXTRA_WORDS + 1));
    memset(object->refs, 0, sizeof object->refs);
    object->tag = tag;
    return object;
}

static void object_link(struct object **objects, uint32_t i, uint32_t n_objects, struct bench_rng *rng)
{
    for (unsigned r = 0; r < N_REFS; r++) {
        uint32_t to =
            GRAPH_LOCAL ? i - (i < NEAR ? 0 : bench_rng_below(rng, NEAR)) : bench_rng_below(rng, n_objects);
        objects[i]->refs[r] = objects[to];
    }
    /* The chain keeps every object reachable after the table is gone. */
    objects[i]->refs[0] = objects[i > 0 ? i - 1 : n_objects - 1];
}

struct ceiling {
    struct object **objects;
    uint32_t n_objects, first;
};

static void *ceiling_read(void *arg)
{
    const struct ceiling *c = arg;
    struct bench_rng rng = bench_rng_seed(32 + c->first);
    uint32_t ahead[LOADS_AHEAD] = {0};
    uint64_t sum = 0;
    for (uint32_t i = 0, at = c->first; i < c->n_objects; i++, at++) {
        uint32_t next = GRAPH_LOCAL ? at % c->n_objects : bench_rng_below(&rng, c->n_objects);
        sum += c->objects[ahead[i % LOADS_AHEAD]]->tag;
        __builtin_prefetch(c->objects[next]);
        ahead[i % LOADS_AHEAD] = next;
    }
    __asm__ volatile("" : : "r"(sum));
    return NULL;
}

/* Objects read a second by one thread or two that know all addresses in advance, in millions. */
static double ceiling_measure(struct object **objects, uint32_t n_objects, int is_two)
{
    struct ceiling one = {objects, n_objects, 0}, other = {objects, n_objects, n_objects / 2};
    uint64_t start_ns = bench_now_ns();
    pthread_t thread = is_two ? bench_thread_start(ceiling_read, &other) : pthread_self();
    ceiling_read(&one);
    if (is_two)
        pthread_join(thread, NULL);
    return (is_two ? 2e3 : 1e3) * n_objects / (double)(bench_now_ns() - start_ns);
}

static struct object *graph_new(uint32_t n_objects, double *ceiling, double *ceiling_of_two)
{
    struct bench_rng rng = bench_rng_seed(31);
    struct object **objects = alloc_new(n_objects * sizeof *objects);
    for (uint32_t i = 0; i < n_objects; i++)
        objects[i] = object_new(&rng, i);
    for (uint32_t i = 0; i < n_objects; i++)
        object_link(objects, i, n_objects, &rng);
    *ceiling = ceiling_measure(objects, n_objects, 0);
    *ceiling_of_two = ceiling_measure(objects, n_objects, 1);
    struct object *last = objects[n_objects - 1];
    memset(objects, 0, n_objects * sizeof *objects);
    return last;
}

/* Every tag must still be there, or something that lives was reclaimed. */
static uint64_t graph_sum(const struct object *last, uint32_t n_objects)
{
    uint64_t sum = 0;
    const struct object *object = last;
    for (uint32_t i = n_objects; i > 0; i--, object = object->refs[0]) {
        if (object->tag != i - 1)
            bench_die(BENCH_EXIT_DAMAGED, "an object that lives is gone");
        sum = sum * 3 + object->tag;
    }
    return sum;
}

static int ns_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct timing {
    uint64_t first_ns, median_ns, least_cpu_ns;
};

static uint64_t collect_ns(struct timing *timing)
{
    uint64_t start_ns = bench_now_ns(), start_cpu_ns = cpu_now_ns();
    alloc_collect();
    uint64_t cpu_ns = cpu_now_ns() - start_cpu_ns, ns = bench_now_ns() - start_ns;
    if (timing->least_cpu_ns == 0 || cpu_ns < timing->least_cpu_ns)
        timing->least_cpu_ns = cpu_ns;
    return ns;
}

static struct timing collect_timed(void)
{
    struct timing timing = {0};
    uint64_t times_ns[N_TIMED];
    timing.first_ns = collect_ns(&timing);
    for (unsigned n = 0; n < N_WARM; n++)
        alloc_collect();
    for (unsigned n = 0; n < N_TIMED; n++)
        times_ns[n] = collect_ns(&timing);
    qsort(times_ns, N_TIMED, sizeof *times_ns, ns_compare);
    timing.median_ns = times_ns[N_TIMED / 2];
    return timing;
}

static void graph_print_metric(const char *format, double value)
{
    char name[64];
    snprintf(name, sizeof name, format, GRAPH_LOCAL ? "local" : "random");
    bench_print_metric(name, value);
}

int main(int argc, char **argv)
{
    uint32_t n_objects = OBJECTS_PER_SCALE * bench_scale(argc, argv);
    alloc_init();
    double ceiling, ceiling_of_two;
    struct object *graph = graph_new(n_objects, &ceiling, &ceiling_of_two);
    struct timing timing = collect_timed();
    graph_print_metric("first-%s-ms", (double)timing.first_ns / 1e6);
    graph_print_metric("collect-%s-ms", (double)timing.median_ns / 1e6);
    graph_print_metric("mark-%s-Mobjects/s", n_objects * 1e3 / (double)timing.median_ns);
    graph_print_metric("mark-%s-Mobjects/CPU-s", n_objects * 1e3 / (double)timing.least_cpu_ns);
    graph_print_metric("ceiling-%s-Mobjects/s", ceiling);
    graph_print_metric("ceiling-two-%s-Mobjects/s", ceiling_of_two);
    bench_print_checksum(graph_sum(graph, n_objects));
    return 0;
}
