/* A thread made by clone itself whose thread-local data are no libc's: it is stopped, and nothing is read from there or written
 * to it as if they were. */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include "trap.h"
enum { STACK_BYTES = 64 * 1024, DATA_BYTES = 256 * 1024, SELF_OFFSET = 16 };
static void *volatile held;
static _Atomic int ready, release, alive = 1;

static int body(void *arg)
{
    (void)arg;
    atomic_store(&ready, 1);
    while (atomic_load(&release) == 0)
        continue;
    return 0;
}

/* What glibc's blocks have on x86-64, too: their own address. */
static void clear(char *data, char *block)
{
    memset(data, 0, DATA_BYTES);
    memcpy(block + SELF_OFFSET, &block, sizeof(block));
}

int main(void)
{
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID |
                CLONE_SETTLS;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *data = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *expected = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *block = data + DATA_BYTES / 2;
    clear(data, block);
    memcpy(expected, data, DATA_BYTES);
    TEST_CHECK(clone(body, stack + STACK_BYTES, flags, NULL, NULL, block, &alive) > 0);
    while (atomic_load(&ready) == 0)
        usleep(1000);
    held = trap_reveal(trap_new());
    trap_verify();
    TEST_CHECK(memcmp(data, expected, DATA_BYTES) == 0);
    atomic_store(&release, 1);
    while (atomic_load(&alive) != 0)
        usleep(1000);
    return 0;
}
