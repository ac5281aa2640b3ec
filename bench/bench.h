/* What every bench program shares.
 * What: a seeded generator, blocks with a stamp, time and memory of this process, threads, and the two
 *       kinds of line that a program prints for the launcher (timed.c):
 *           checksum HEX       the same under every allocator, or the run is FAILED
 *           metric NAME VALUE  a figure of the program's own
 * Invariants: work depends on the scale and on fixed seeds only, never on time, addresses or on which thread
 *       came first; so checksums compare. Exit status: 0 fine, 2 usage, 3 no memory, 4 a block was damaged.
 * Not here: choosing libraries and statistics (run, summary.awk). */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_EXIT_USAGE = 2, BENCH_EXIT_NO_MEMORY = 3, BENCH_EXIT_DAMAGED = 4 };

static inline void bench_die(int status, const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    _exit(status);
}

/* The only argument of a program: work grows linearly with it; 1 takes a few milliseconds. */
static inline unsigned bench_scale(int argc, char **argv)
{
    char *end = NULL;
    unsigned long scale = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
    if (scale < 1 || scale > 10000 || *end != '\0')
        bench_die(BENCH_EXIT_USAGE, "usage: PROGRAM SCALE (1..10000)");
    return (unsigned)scale;
}

/* --- chance --- */

struct bench_rng {
    uint64_t state;
};

static inline uint64_t bench_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

static inline struct bench_rng bench_rng_seed(uint64_t seed)
{
    return (struct bench_rng){bench_mix(seed + 0x9e3779b97f4a7c15u)};
}

static inline uint64_t bench_rng_next(struct bench_rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    return bench_mix(rng->state);
}

/* 0 .. n-1. The bias of at most n / 2^32 is far below what a bench can see. */
static inline uint32_t bench_rng_below(struct bench_rng *rng, uint32_t n)
{
    return (uint32_t)(((bench_rng_next(rng) >> 32) * n) >> 32);
}

/* Between 2^low and 2^high, each power of two equally likely: most blocks small, most bytes in large ones. */
static inline size_t bench_rng_size(struct bench_rng *rng, unsigned low, unsigned high)
{
    size_t base = (size_t)1 << (low + bench_rng_below(rng, high - low));
    return base + (bench_rng_next(rng) & (base - 1));
}

/* --- blocks --- */

static inline void *bench_checked(void *block)
{
    if (block == NULL)
        bench_die(BENCH_EXIT_NO_MEMORY, "no memory");
    return block;
}

static inline void *bench_malloc(size_t size_bytes)
{
    return bench_checked(malloc(size_bytes));
}

/* A stamp is a word at the start and a byte at the end; two blocks that overlap destroy each other's.
 * pre: size_bytes >= 16. */
static inline void bench_stamp(void *block, size_t size_bytes, uint64_t tag)
{
    memcpy(block, &tag, sizeof tag);
    ((unsigned char *)block)[size_bytes - 1] = (unsigned char)(tag >> 7);
}

static inline uint64_t bench_stamp_check(const void *block, size_t size_bytes)
{
    uint64_t tag;
    memcpy(&tag, block, sizeof tag);
    if (((const unsigned char *)block)[size_bytes - 1] != (unsigned char)(tag >> 7))
        bench_die(BENCH_EXIT_DAMAGED, "a block was damaged");
    return tag;
}

/* The compiler must believe that what p points to is read and written here. */
static inline void bench_escape(void *p)
{
    __asm__ volatile("" : : "g"(p) : "memory");
}

/* --- this process --- */

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void bench_sleep_ms(unsigned ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* Sum of the fields that begin a line in smaps_rollup, in KiB: exact, where statm lags behind by some pages
 * per core. Reads without stdio, so that nothing is allocated in between. */
static inline size_t bench_smaps_kib(const char *field)
{
    char text[4096];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t n_read = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n_read > 0 ? n_read : 0] = '\0';
    size_t sum = 0;
    for (const char *line = text; (line = strchr(line, '\n')) != NULL;) {
        line++;
        if (strncmp(line, field, strlen(field)) == 0)
            sum += strtoul(strchr(line, ':') + 1, NULL, 10);
    }
    return sum;
}

static inline size_t bench_resident_kib(void)
{
    return bench_smaps_kib("Rss:");
}

/* --- threads --- */

static inline pthread_t bench_thread_start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, fn, arg) != 0)
        bench_die(BENCH_EXIT_NO_MEMORY, "no thread");
    return thread;
}

static inline bool bench_cores_allowed(cpu_set_t *allowed)
{
    return sched_getaffinity(0, sizeof *allowed, allowed) == 0;
}

/* Binds the calling thread to the n-th of the cores that are allowed, if there are so many. */
static inline void bench_core_bind(const cpu_set_t *allowed, unsigned nth)
{
    cpu_set_t chosen;
    CPU_ZERO(&chosen);
    for (unsigned core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, allowed) && nth-- == 0)
            CPU_SET(core, &chosen);
    if (CPU_COUNT(&chosen) == 1)
        sched_setaffinity(0, sizeof chosen, &chosen);
}

/* --- what the launcher reads --- */

static inline void bench_print_checksum(uint64_t sum)
{
    printf("checksum %016" PRIx64 "\n", sum);
}

static inline void bench_print_metric(const char *name, double value)
{
    printf("metric %s %.4g\n", name, value);
}

#endif
