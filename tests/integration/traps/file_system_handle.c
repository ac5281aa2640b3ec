/* A server of a file system (FUSE) gives the kernel a number for each open file, which is where its block lies, and the kernel alone holds it
 * until the next request: no cycle reclaims anything while the process has /dev/fuse, under that name or behind a copy, and
 * cycles run again when it is closed. A socket, a pipe, a folder and a file of a like name are no reason. */
#include <fcntl.h>
#include <sys/socket.h>
#include "trap.h"

static void check_reclaims(int fd)
{
    TEST_CHECK(fd >= 0);
    TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == 0);
    close(fd);
}

int main(void)
{
    int pair[2];
    TEST_CHECK(trap_collect());
    TEST_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    check_reclaims(pair[0]);
    check_reclaims(pair[1]);
    TEST_CHECK(pipe(pair) == 0);
    check_reclaims(pair[0]);
    check_reclaims(pair[1]);
    check_reclaims(open("/dev", O_RDONLY));
    check_reclaims(open("/dev/null", O_RDWR));
    check_reclaims(open("fuse", O_RDWR | O_CREAT, 0600));
    unlink("fuse");
    int fd = open("/dev/fuse", O_RDWR);
    if (fd < 0)
        TEST_SKIP("/dev/fuse: %s", strerror(errno));
    int copy = dup(fd);
    close(fd);
    uintptr_t hidden = trap_new();
    for (int i = 0; i < 5; i++)
        TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    trap_check_targets();
    trap_forget(hidden);
    close(copy);
    trap_verify();
    trap_round(TRAP_SIZE, false);
    return 0;
}
