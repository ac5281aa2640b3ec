/* Huge pages are asked for by advice once the heap is large, and what lies before was written: for small blocks all that is there, for
 * large ones other large ones; never for a small heap, never with hugepages=no. What is given back to the kernel afterwards, page by page,
 * splits none of which most has to stay, but those that are nearly free. Starts itself again without them. */
#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "trap.h"

void gc_inhibit(void) __attribute__((weak)); /* ours only */

enum { LARGE = 16 << 20, N_LARGE = 18, BLOCK = 2000, N_BLOCKS = 32000, N_FIRST_BLOCKS = 20000, SPARSE = 30000, N_SPARSE = 1000, KEEP_FIRST = 2, KEEP_LAST = 50 };

/* Sums of lines of /proc/self/smaps. Read into a static buffer, so that nothing is allocated meanwhile. */
struct sums {
    long advised_kib, huge_kib;
};

static struct sums look(void)
{
    static char text[8 << 20];
    struct sums sums = {0, 0};
    size_t n = 0;
    int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fd);
    text[n] = '\0';
    long size = 0;
    for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        if (strncmp(line, "Size:", 5) == 0)
            size = strtol(line + 5, NULL, 10);
        else if (strncmp(line, "AnonHugePages:", 14) == 0)
            sums.huge_kib += strtol(line + 14, NULL, 10);
        else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg") != NULL)
            sums.advised_kib += size;
        if (end != NULL)
            *end = '\n';
    }
    return sums;
}

/* Without writing them addresses only: no page of these is touched. */
static void make_larger(int n, bool is_written)
{
    static void *volatile large[N_LARGE];
    static int n_made;
    for (; n > 0; n--) {
        TEST_CHECK((large[n_made++] = malloc(LARGE)) != NULL);
        if (is_written)
            memset(large[n_made - 1], 1, LARGE);
    }
}

/* Of a page in eight of these anything is written, by malloc itself. Nothing is collected: the pages that marking reads
 * are the kernel's zero page then, and count as present. */
static void make_sparse_blocks(void)
{
    static void *volatile blocks[N_SPARSE];
    for (int i = 0; i < N_SPARSE; i++)
        TEST_CHECK((blocks[i] = malloc(SPARSE)) != NULL);
}

static void make_first_blocks(void)
{
    static void *volatile blocks[N_FIRST_BLOCKS];
    for (int i = 0; i < N_FIRST_BLOCKS; i++) {
        TEST_CHECK((blocks[i] = malloc(BLOCK)) != NULL);
        memset(blocks[i], 1, BLOCK);
    }
}

static char *blocks[N_BLOCKS];

/* The sums after all but every n-th block is freed. */
static struct sums keep_every(int n)
{
    for (int i = 0; i < N_BLOCKS; i++)
        if (i % n != 0 && blocks[i] != NULL) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    for (int i = 0; i < 3; i++)
        malloc_trim(0);
    for (int i = 0; i < N_BLOCKS; i += n)
        TEST_CHECK(blocks[i] == NULL || (blocks[i][0] == 1 && blocks[i][BLOCK - 1] == 1));
    return look();
}

static void give_single_pages_back(void)
{
    for (int i = 0; i < N_BLOCKS; i++)
        memset(blocks[i] = malloc(BLOCK), 1, BLOCK);
    struct sums before = look();
    if (before.huge_kib == 0) /* none to be had, or THP is off */
        TEST_SKIP("advised %ld KiB, and got no huge page", before.advised_kib);
    struct sums after = keep_every(KEEP_FIRST);
    long last_kib = 2048; /* the last one may be less than half in use */
    if (after.huge_kib < before.huge_kib - last_kib || after.advised_kib < before.advised_kib - last_kib)
        TEST_FAIL("of %ld KiB in huge pages %ld are left, of %ld advised %ld", before.huge_kib, after.huge_kib, before.advised_kib,
                  after.advised_kib);
    after = keep_every(KEEP_LAST);
    if (after.huge_kib > before.huge_kib - N_BLOCKS / 2 * (BLOCK / 1024.0))
        TEST_FAIL("of %ld KiB in huge pages %ld are left where hardly anything is in use", before.huge_kib, after.huge_kib);
    if (after.advised_kib > before.advised_kib - N_BLOCKS / 2 * (BLOCK / 1024.0)) /* the kernel's thread would make them whole again */
        TEST_FAIL("of %ld KiB advised %ld still are, where hardly anything is in use", before.advised_kib, after.advised_kib);
}

static void again(char *how, const char *options)
{
    char *arguments[] = {(char *)"again", how, NULL};
    setenv("GCMALLOC", options, 1);
    execv("/proc/self/exe", arguments);
    _exit(127);
}

int main(int argc, char **argv)
{
    char with[] = "with", without[] = "without";
    if (argc == 1)
        again(with, "hugepages=always"); /* by default what they cost just now is asked */
    bool is_without = strcmp(argv[1], without) == 0;
    if (gc_inhibit != NULL)
        gc_inhibit();
    make_larger(N_LARGE / 3, false);
    make_sparse_blocks();
    TEST_CHECK(look().advised_kib == 0);
    make_first_blocks();
    long advised_kib = look().advised_kib;
    make_larger(N_LARGE / 3, false);
    TEST_CHECK(look().advised_kib == advised_kib);
    make_larger(N_LARGE / 3, true);
    if (is_without) {
        TEST_CHECK(look().advised_kib == 0);
        return 0;
    }
    pid_t child = fork();
    if (child == 0)
        again(without, "hugepages=no");
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child && status == 0);
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        TEST_SKIP("a kernel without huge pages");
    TEST_CHECK(advised_kib > 0 && look().advised_kib > advised_kib);
    give_single_pages_back();
    return 0;
}
