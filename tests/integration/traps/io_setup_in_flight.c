/* Requests of io_submit hold addresses that nobody can list: no cycle reclaims anything while the process has a ring of
 * io_setup, and cycles run again when it is destroyed. One request is under way, its block held by nothing else. */
#include <linux/aio_abi.h>
#include "trap.h"
static int pipe_fds[2];

static __attribute__((noinline)) void submit(aio_context_t ring, uintptr_t hidden, uintptr_t hidden_request)
{
    struct iocb *request = trap_reveal(hidden_request);
    memset(request, 0, sizeof(*request));
    request->aio_fildes = (uint32_t)pipe_fds[0];
    request->aio_lio_opcode = IOCB_CMD_POLL;
    request->aio_buf = 1; /* POLLIN */
    request->aio_data = (uint64_t)(uintptr_t)trap_reveal(hidden);
    long n = syscall(SYS_io_submit, ring, 1, &request);
    if (n != 1)
        TEST_SKIP("io_submit: %s", strerror(errno));
}

int main(void)
{
    aio_context_t ring = 0;
    TEST_CHECK(trap_collect() || trap_is_emulated());
    if (syscall(SYS_io_setup, 8, &ring) != 0)
        TEST_SKIP("no io_setup: %s", strerror(errno));
    TEST_CHECK(pipe(pipe_fds) == 0);
    uintptr_t hidden = trap_new(), hidden_request = trap_new();
    submit(ring, hidden, hidden_request);
    trap_forget(hidden_request); /* its content is the request */
    trap_clear_stack();
    for (int i = 0; i < 5; i++)
        TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    trap_check_targets();
    struct io_event event;
    TEST_CHECK(write(pipe_fds[1], "x", 1) == 1);
    TEST_CHECK(syscall(SYS_io_getevents, ring, 1, 1, &event, NULL) == 1);
    TEST_CHECK(~(uintptr_t)event.data == hidden && ~(uintptr_t)event.obj == hidden_request);
    trap_forget(hidden);
    TEST_CHECK(syscall(SYS_io_destroy, ring) == 0);
    trap_round(TRAP_SIZE, false);
    return 0;
}
