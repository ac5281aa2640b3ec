/* A library to be preloaded beside ours, which takes poll and read as tracers and proxies do: it allocates before and after
 * the call, keeps what it allocated on its stack alone, and looks whether that is still whole. */
#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { N_BLOCKS = 16, N_OTHERS = 600, BLOCK_BYTES = 208 };

static void check(const unsigned char *block, int byte)
{
    for (int i = 0; i < BLOCK_BYTES; i++)
        if (block[i] != byte)
            abort();
}

/* Blocks that nobody else knows, made before the call and used after it. */
struct record {
    unsigned char *volatile blocks[N_BLOCKS];
};


/* Long enough for a collection; what it takes is handed out again at once. */
static void record_begin(struct record *r)
{
    struct timespec ms = {.tv_nsec = 1000000};
    void *others[N_OTHERS];
    for (int i = 0; i < N_BLOCKS; i++)
        memset(r->blocks[i] = malloc(BLOCK_BYTES), i + 1, BLOCK_BYTES);
    syscall(SYS_nanosleep, &ms, NULL);
    for (int i = 0; i < N_OTHERS; i++)
        memset(others[i] = malloc(BLOCK_BYTES), 0xee, BLOCK_BYTES);
    for (int i = 0; i < N_OTHERS; i++)
        free(others[i]);
}

static void record_end(struct record *r)
{
    for (int i = 0; i < N_BLOCKS; i++) {
        check(r->blocks[i], i + 1);
        free(r->blocks[i]);
    }
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    int (*next)(struct pollfd *, nfds_t, int) = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
    struct record r;
    record_begin(&r);
    int result = next(fds, n, timeout_ms);
    record_end(&r);
    return result;
}

ssize_t read(int fd, void *buf, size_t n)
{
    ssize_t (*next)(int, void *, size_t) = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    struct record r;
    record_begin(&r);
    ssize_t result = next(fd, buf, n);
    record_end(&r);
    return result;
}
