/* Pages that a thread of the program delivers at the first touch (userfaultfd): whoever reads one waits for that thread, which a
 * collection has stopped. Of private memory only the pages that are there are read; beside shared memory no cycle reclaims. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "trap.h"
enum { PAGE = 4096, BYTES = 64 * PAGE };
static int fd;
static _Atomic int n_delivered;

static void *serve(void *arg)
{
    static char zero[PAGE] __attribute__((aligned(4096)));
    struct uffd_msg message;
    while (read(fd, &message, sizeof(message)) == (ssize_t)sizeof(message)) {
        struct uffdio_copy copy = {.dst = message.arg.pagefault.address & ~(uint64_t)(PAGE - 1),
                                   .src = (uintptr_t)zero,
                                   .len = PAGE};
        if (message.event != UFFD_EVENT_PAGEFAULT)
            break;
        atomic_fetch_add(&n_delivered, 1);
        TEST_CHECK(ioctl(fd, UFFDIO_COPY, &copy) == 0);
    }
    return arg;
}

static void **map_served(int flags)
{
    void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)p, BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    TEST_CHECK(p != MAP_FAILED);
    if (ioctl(fd, UFFDIO_REGISTER, &range) != 0)
        TEST_SKIP("pages cannot be delivered: %s", strerror(errno));
    return p;
}

static __attribute__((noinline)) void store(void **where, uintptr_t hidden)
{
    *where = trap_reveal(hidden);
}

int main(void)
{
    struct uffdio_api api = {.api = UFFD_API};
    pthread_t id;
    fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
        TEST_SKIP("no userfaultfd: %s", strerror(errno));
    TEST_CHECK(pthread_create(&id, NULL, serve, NULL) == 0);
    void **private = map_served(MAP_PRIVATE);
    store(private + 3 * PAGE / sizeof(void *) + 7, trap_new());
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(atomic_load(&n_delivered) == 1);
    void **shared = map_served(MAP_SHARED);
    store(shared + 5 * PAGE / sizeof(void *) + 7, trap_new());
    trap_clear_stack();
    for (int i = 0; i < 5; i++)
        TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    trap_check_targets();
    TEST_CHECK(atomic_load(&n_delivered) == 2);
    TEST_CHECK(munmap(shared, BYTES) == 0);
    trap_forget(trap_targets[1].hidden);
    trap_verify();
    pthread_cancel(id);
    pthread_join(id, NULL);
    return 0;
}
