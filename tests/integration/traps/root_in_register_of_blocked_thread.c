/* Threads wait in calls of libc and of the kernel while the registers that the call must keep, and they alone, hold blocks. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

static int pipe_fds[2], socket_fds[2];
static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static struct timespec long_time = {.tv_sec = 1, .tv_nsec = 500000000};
static struct pollfd poll_fd;
static char buffer[8], other_buffer[8];

struct call {
    void *fn;
    long a, b, c, d;
};

enum { N_CALLS = 9, IN_PAUSE = 8 };
static struct call calls[N_CALLS];
static struct trap_thread threads[N_CALLS];
static uintptr_t hidden[N_CALLS][TRAP_N_KEPT];

static void wake(int sig)
{
    (void)sig;
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    struct call *c = &calls[t - threads];
    uintptr_t kept[TRAP_N_KEPT];
    memcpy(kept, hidden[t - threads], sizeof(kept));
    if (c->fn == (void *)pthread_cond_wait)
        pthread_mutex_lock(&mutex);
    atomic_store(&t->ready, 1);
    trap_call_holding(kept, c->fn, c->a, c->b, c->c, c->d);
    TEST_CHECK(memcmp(kept, hidden[t - threads], sizeof(kept)) == 0);
    if (c->fn == (void *)pthread_cond_wait)
        pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(void)
{
    TEST_CHECK(pipe(pipe_fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds) == 0 &&
               sem_init(&semaphore, 0, 0) == 0);
    poll_fd = (struct pollfd){.fd = pipe_fds[0], .events = POLLPRI};
    pthread_mutex_lock(&held);
    calls[0] = (struct call){(void *)read, pipe_fds[0], (long)buffer, 1, 0};
    calls[1] = (struct call){(void *)poll, (long)&poll_fd, 1, 1500, 0};
    calls[2] = (struct call){(void *)nanosleep, (long)&long_time, 0, 0, 0};
    calls[3] = (struct call){(void *)sem_wait, (long)&semaphore, 0, 0, 0};
    calls[4] = (struct call){(void *)pthread_cond_wait, (long)&condition, (long)&mutex, 0, 0};
    calls[5] = (struct call){(void *)recv, socket_fds[0], (long)other_buffer, 1, 0};
    calls[6] = (struct call){(void *)pthread_mutex_lock, (long)&held, 0, 0, 0};
    calls[7] = (struct call){(void *)syscall, SYS_nanosleep, (long)&long_time, 0, 0};
    calls[IN_PAUSE] = (struct call){.fn = (void *)pause};
    signal(SIGUSR1, wake);
    for (int i = 0; i < N_CALLS; i++) {
        for (int k = 0; k < TRAP_N_KEPT; k++)
            hidden[i][k] = trap_new();
        trap_thread_start(&threads[i], body);
    }
    usleep(50000); /* into the calls */
    trap_verify();
    TEST_CHECK(write(pipe_fds[1], "x", 1) == 1 && write(socket_fds[1], "x", 1) == 1 &&
               sem_post(&semaphore) == 0);
    pthread_mutex_lock(&mutex);
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_unlock(&held);
    pthread_kill(threads[IN_PAUSE].id, SIGUSR1);
    for (int i = 0; i < N_CALLS; i++)
        pthread_join(threads[i].id, NULL);
    trap_check_targets();
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
