/* A block's only pointer lies in a mapping that was made by other means than anonymous private mmap: the system call itself, a
 * device, shared memory by name, with its name gone, in huge pages, in pages that the kernel itself cannot read, over a part of
 * the program's own data. What the machine does not offer is left out. */
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include "trap.h"
enum { BYTES = 1 << 16, HUGE_BYTES = 2 << 20, PAGE = 4096, PROT = PROT_READ | PROT_WRITE };
static char own_data[4 * PAGE] __attribute__((aligned(PAGE)));

static void *map_raw(void)
{
    return (void *)syscall(SYS_mmap, NULL, BYTES, PROT, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void *map_file(int fd, int flags)
{
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, BYTES, PROT, flags, fd, 0);
    if (fd >= 0)
        close(fd);
    return p;
}

static int sized(int fd)
{
    return fd >= 0 && ftruncate(fd, BYTES) == 0 ? fd : -1;
}

static void *map_zero_private(void)
{
    return map_file(open("/dev/zero", O_RDWR | O_CLOEXEC), MAP_PRIVATE);
}

static void *map_zero_shared(void)
{
    return map_file(open("/dev/zero", O_RDWR | O_CLOEXEC), MAP_SHARED);
}

static void *map_shm(void)
{
    char name[64];
    snprintf(name, sizeof(name), "/trap-any-kind-%d", (int)getpid());
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    void *p = map_file(sized(fd), MAP_SHARED);
    shm_unlink(name);
    return p;
}

static void *map_segment(void)
{
    int id = shmget(IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
    void *p = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    return p;
}

static void *map_deleted_file(void)
{
    char path[] = "/tmp/trap-any-kind-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    return map_file(sized(fd), MAP_SHARED);
}

static void *map_written_copy(void)
{
    return map_file(sized(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)), MAP_PRIVATE);
}

static void *map_huge_private(void)
{
    return mmap(NULL, HUGE_BYTES, PROT, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
}

static void *map_huge_shared(void)
{
    return mmap(NULL, HUGE_BYTES, PROT, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
}

/* No other process, and no system call, reads such pages. */
static void *map_secret(void)
{
    return map_file(sized((int)syscall(447, 0)), MAP_SHARED);
}

static void *map_over_own_data(void)
{
    return mmap(own_data + PAGE, 2 * PAGE, PROT, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void *map_growing_down(void)
{
    return mmap(NULL, BYTES, PROT, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, -1, 0);
}

static __attribute__((noinline)) void store(void **where, uintptr_t hidden)
{
    where[PAGE / sizeof(void *) + 5] = trap_reveal(hidden);
}

int main(void)
{
    static const struct {
        const char *name;
        void *(*map)(void);
    } kinds[] = {{"raw", map_raw},
                 {"zero_private", map_zero_private},
                 {"zero_shared", map_zero_shared},
                 {"shm", map_shm},
                 {"segment", map_segment},
                 {"deleted_file", map_deleted_file},
                 {"written_copy", map_written_copy},
                 {"huge_private", map_huge_private},
                 {"huge_shared", map_huge_shared},
                 {"secret", map_secret},
                 {"over_own_data", map_over_own_data},
                 {"growing_down", map_growing_down}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        void **p = kinds[i].map();
        if (p == MAP_FAILED) {
            printf("no mapping of kind %s here\n", kinds[i].name);
            continue;
        }
        uintptr_t hidden = trap_new();
        store(p, hidden);
        trap_clear_stack();
        trap_verify();
        TEST_CHECK(~(uintptr_t)p[PAGE / sizeof(void *) + 5] == hidden);
        trap_forget(hidden);
        printf("%s\n", kinds[i].name);
    }
    return 0;
}
