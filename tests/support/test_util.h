/* Small things that the test programs share: failing with a line, a random number, peak memory, a pattern.
 *
 * Header only, so that each test program is one file. Nothing here allocates by malloc: a test decides itself
 * which blocks exist. The pattern of a block is a function of its seed, so a block verifies itself.
 */
#ifndef TESTS_SUPPORT_TEST_UTIL_H
#define TESTS_SUPPORT_TEST_UTIL_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_EXIT_SKIPPED 77

/* One line on stderr and status 1. Works in any thread and in fork children. */
#define TEST_FAIL(...)                                                                                       \
    do {                                                                                                     \
        dprintf(2, "%s:%d: ", __FILE__, __LINE__);                                                           \
        dprintf(2, __VA_ARGS__);                                                                             \
        dprintf(2, "\n");                                                                                    \
        _exit(1);                                                                                            \
    } while (0)
#define TEST_CHECK(c)                                                                                        \
    do {                                                                                                     \
        if (!(c))                                                                                            \
            TEST_FAIL("not true: %s", #c);                                                                   \
    } while (0)
#define TEST_SKIP(...)                                                                                       \
    do {                                                                                                     \
        dprintf(2, "skipped: ");                                                                             \
        dprintf(2, __VA_ARGS__);                                                                             \
        dprintf(2, "\n");                                                                                    \
        _exit(TEST_EXIT_SKIPPED);                                                                            \
    } while (0)

/* splitmix64: any seed is a good one. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Pattern bytes are odd multiples of a seed, kept below 2^40 per word: never an address of the arena. */
static inline void test_fill(void *block, size_t size_bytes, uint32_t seed)
{
    unsigned char *bytes = (unsigned char *)block;
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (i & 7) >= 5 ? 0 : (unsigned char)(seed * 31 + i * 7 + 1);
}

static inline int test_is_filled(const void *block, size_t size_bytes, uint32_t seed)
{
    const unsigned char *bytes = (const unsigned char *)block;
    for (size_t i = 0; i < size_bytes; i++)
        if (bytes[i] != ((i & 7) >= 5 ? 0 : (unsigned char)(seed * 31 + i * 7 + 1)))
            return 0;
    return 1;
}

/* The number behind `key` in /proc/self/status (kB for memory), or -1. Raw reads: no allocation, no stdio. */
static inline long test_proc_status(const char *key)
{
    static char text[8192];
    int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return -1;
    text[n] = 0;
    const char *at = strstr(text, key);
    if (at == NULL || at[strlen(key)] != ':')
        return -1;
    return strtol(at + strlen(key) + 1, NULL, 10);
}

/* Peak resident memory. Not getrusage: its maximum counts what ran in this process before exec. */
static inline long test_peak_rss_mb(void)
{
    return test_proc_status("VmHWM") / 1024;
}

/* Environment number, or the default. */
static inline unsigned long test_env_number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != 0 ? strtoul(text, NULL, 0) : otherwise;
}

#endif
