/* gc_set_profile_rate, gc_profile_write and gc_leaks_write from within a program that is linked with the library.
 *
 * usage: profile_api [FILE] : where to leave the profile of what is unreachable, 150 blocks or a few less
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gcmalloc.h"

#define CHECK(c) ((c) ? (void)0 : (printf("line %d: %s\n", __LINE__, #c), exit(1)))
#define PLACE __attribute__((noinline))

enum { N_BLOCKS = 400, BLOCK_BYTES = 1000 };

static char directory[] = "/tmp/gcm-profile-XXXXXX";
static char path[sizeof(directory) + 16];
static void *volatile kept[N_BLOCKS];

struct counts {
    unsigned long n, bytes, n_all, bytes_all, rate;
};

/* The sums in the first line of a profile. */
static struct counts profile(int kind)
{
    struct counts c = {0, 0, 0, 0, 0};
    FILE *f;

    CHECK(gc_profile_write(path, kind) == 0);
    f = fopen(path, "r");
    CHECK(f != NULL);
    CHECK(fscanf(f, "heap profile: %lu: %lu [%lu: %lu] @ heap_v2/%lu", &c.n, &c.bytes, &c.n_all, &c.bytes_all, &c.rate) == 5);
    fclose(f);
    unlink(path);
    return c;
}

PLACE static void allocate(void)
{
    for (int i = 0; i < N_BLOCKS; i++)
        kept[i] = malloc(BLOCK_BYTES);
}

PLACE static void forget_half(void)
{
    for (int i = 0; i < N_BLOCKS; i += 2)
        kept[i] = NULL;
}

static void rates(void)
{
    struct counts c;

    CHECK(profile(GC_PROFILE_LIVE).n_all == 0); /* off by default */
    allocate();
    CHECK(profile(GC_PROFILE_LIVE).n_all == 0);
    CHECK(gc_set_profile_rate(1) == 0);
    allocate();
    CHECK(gc_set_profile_rate(0) == 0);
    for (int i = 0; i < 100; i++)
        free(malloc(BLOCK_BYTES)); /* not seen */
    c = profile(GC_PROFILE_LIVE);
    CHECK(c.rate == 1);
    CHECK(c.n == N_BLOCKS && c.n_all == N_BLOCKS);
    CHECK(c.bytes == N_BLOCKS * BLOCK_BYTES);
    for (int i = 0; i < N_BLOCKS / 4; i++) {
        free(kept[i]); /* seen, though sampling is off */
        kept[i] = NULL;
    }
    c = profile(GC_PROFILE_LIVE);
    CHECK(c.n == N_BLOCKS - N_BLOCKS / 4 && c.n_all == N_BLOCKS);
}

/* Conservative scanning may keep a few. */
static void unreachable(const char *kept_path)
{
    struct counts c;
    unsigned long n_lost = (N_BLOCKS - N_BLOCKS / 4) / 2;

    forget_half();
    CHECK(gc_collect_level(GC_FULL) == 0);
    c = profile(GC_PROFILE_UNREACHABLE);
    CHECK(c.n <= n_lost && c.n >= n_lost - 5);
    CHECK(c.n_all == c.n && c.bytes == c.n * BLOCK_BYTES);
    CHECK(kept_path == NULL || gc_profile_write(kept_path, GC_PROFILE_UNREACHABLE) == 0);
    CHECK(profile(GC_PROFILE_LIVE).n == N_BLOCKS - N_BLOCKS / 4 - c.n);
    CHECK(gc_collect_level(GC_FULL) == 0); /* they were taken, and are not there any more */
    c = profile(GC_PROFILE_UNREACHABLE);
    CHECK(c.n <= 5 && c.n_all >= n_lost - 5);
}

static void leaks(void)
{
    char text[64] = "";
    FILE *f;

    CHECK(gc_leaks_write(path, GC_LEAKS_TEXT) == 0);
    f = fopen(path, "r");
    CHECK(f != NULL && fgets(text, sizeof(text), f) != NULL);
    CHECK(strncmp(text, "libgcmalloc: ", 13) == 0 && atoi(text + 13) >= (N_BLOCKS - N_BLOCKS / 4) / 2 - 5);
    fclose(f);
    CHECK(gc_leaks_write(path, GC_LEAKS_JSON) == 0);
    f = fopen(path, "r");
    CHECK(f != NULL && fgetc(f) == '{');
    fclose(f);
}

static void errors(void)
{
    CHECK(gc_set_profile_rate(SIZE_MAX) == EINVAL);
    CHECK(gc_profile_write(NULL, GC_PROFILE_LIVE) == EINVAL);
    CHECK(gc_profile_write(path, 7) == EINVAL);
    CHECK(gc_profile_write("/no/such/folder/file", GC_PROFILE_LIVE) == ENOENT);
    CHECK(gc_profile_write_fd(-1, GC_PROFILE_LIVE) == EBADF);
    CHECK(gc_leaks_write(path, 2) == EINVAL);
    gc_inhibit();
    CHECK(gc_leaks_write(path, GC_LEAKS_TEXT) == ECANCELED);
    gc_uninhibit();
}

int main(int argc, char **argv)
{
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/report", directory);
    rates();
    unreachable(argc > 1 ? argv[1] : NULL);
    leaks();
    errors();
    unlink(path);
    rmdir(directory);
    puts("ok");
    return 0;
}
