/* Memory that was mapped, moved and shared by every means but libc's: raw calls, mremap, System V segments. */
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include "trap.h"
enum { BYTES = 1 << 16 };

static void **map_raw(void)
{
    long p = syscall(SYS_mmap, NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(p != -1);
    return (void **)p;
}

static void **move(void **from)
{
    void *to = mmap(NULL, 2 * BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(to != MAP_FAILED);
    void **p = mremap(from, BYTES, 2 * BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    TEST_CHECK(p != MAP_FAILED);
    return p;
}

static void **map_segment(void)
{
    int id = shmget(IPC_PRIVATE, BYTES, 0600 | IPC_CREAT);
    if (id < 0)
        return map_raw();
    void **p = shmat(id, NULL, 0);
    TEST_CHECK(p != (void *)-1);
    shmctl(id, IPC_RMID, NULL);
    return p;
}

static __attribute__((noinline)) void store(void **where, uintptr_t hidden)
{
    where[BYTES / sizeof(void *) / 2] = trap_reveal(hidden);
}

int main(void)
{
    enum { N = 4 };
    void **maps[N] = {map_raw(), map_raw(), map_segment(),
                      mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0)};
    uintptr_t hidden[N];
    TEST_CHECK(maps[3] != MAP_FAILED);
    for (int i = 0; i < N; i++) {
        hidden[i] = trap_new();
        store(maps[i], hidden[i]);
    }
    maps[1] = move(maps[1]);
    trap_clear_stack();
    trap_verify();
    maps[0] = move(maps[0]);
    trap_clear_stack();
    trap_verify();
    for (int i = 0; i < N; i++)
        TEST_CHECK(~(uintptr_t)maps[i][BYTES / sizeof(void *) / 2] == hidden[i]);
    return 0;
}
