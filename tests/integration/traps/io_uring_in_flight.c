/* Requests in an io_uring hold addresses that nobody can list: no cycle reclaims anything while the process has one,
 * and cycles run again when it is closed. */
#include <linux/io_uring.h>
#include "trap.h"
int main(void)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof(params));
    TEST_CHECK(trap_collect());
    int fd = (int)syscall(SYS_io_uring_setup, 8, &params);
    if (fd < 0)
        TEST_SKIP("no io_uring: %s", strerror(errno));
    uintptr_t hidden = trap_new();
    for (int i = 0; i < 5; i++)
        TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    trap_check_targets();
    trap_forget(hidden);
    close(fd);
    trap_verify();
    trap_round(TRAP_SIZE, false);
    return 0;
}
