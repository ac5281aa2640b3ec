/* A request of asynchronous input that is under way: its control block and its buffer are known to libc alone. */
#include <aio.h>
#include <signal.h>
#include "trap.h"
enum { BUFFER_BYTES = 5000 };
static int fds[2];
static uintptr_t hidden_block, hidden_buffer;
static _Atomic uintptr_t received;

static void done(union sigval value)
{
    atomic_store(&received, ~(uintptr_t)value.sival_ptr);
}

static __attribute__((noinline)) void submit(void)
{
    struct aiocb *request = malloc(sizeof(*request));
    memset(request, 0, sizeof(*request));
    request->aio_fildes = fds[0];
    request->aio_buf = malloc(BUFFER_BYTES);
    request->aio_nbytes = BUFFER_BYTES;
    request->aio_sigevent.sigev_notify = SIGEV_THREAD;
    request->aio_sigevent.sigev_notify_function = done;
    request->aio_sigevent.sigev_value.sival_ptr = request;
    hidden_block = ~(uintptr_t)request;
    hidden_buffer = ~(uintptr_t)request->aio_buf;
    TEST_CHECK(aio_read(request) == 0);
}

int main(void)
{
    static char text[BUFFER_BYTES];
    TEST_CHECK(pipe(fds) == 0);
    submit();
    trap_clear_stack();
    trap_round(sizeof(struct aiocb), false);
    trap_round(BUFFER_BYTES, false);
    memset(text, 'x', sizeof(text));
    TEST_CHECK(write(fds[1], text, sizeof(text)) == sizeof(text));
    for (int i = 0; i < 5000 && atomic_load(&received) == 0; i++)
        usleep(1000);
    TEST_CHECK(atomic_load(&received) == hidden_block);
    TEST_CHECK(aio_return(trap_reveal(hidden_block)) == BUFFER_BYTES);
    TEST_CHECK(memcmp(trap_reveal(hidden_buffer), text, BUFFER_BYTES) == 0);
    return 0;
}
