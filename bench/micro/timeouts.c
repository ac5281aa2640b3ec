/* Do calls that wait for a time end when they should, while another thread collects a hundred times a second? The worst
 * error of several calls and of the time that nanosleep says is left when a signal of the program's own interrupts it, in
 * percent of the time asked for. Without a collector: the machine's own error. */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "bench.h"

void gc_collect(void) __attribute__((weak));

enum { WAIT_MS = 300, N_ROUNDS = 3, COLLECT_EVERY_US = 10000, INTERRUPT_AFTER_MS = 100 };
#define NS_A_MS 1000000ll

static volatile sig_atomic_t is_over;
static pthread_t waiter;

static long long now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct timespec in_ms(clockid_t clock, int ms)
{
    long long ns = now_ns(clock) + ms * NS_A_MS;
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void *collect_all_the_time(void *arg)
{
    (void)arg;
    while (!is_over) {
        if (gc_collect != NULL)
            gc_collect();
        usleep(COLLECT_EVERY_US);
    }
    return NULL;
}

static void wait_by(unsigned call)
{
    static sem_t never;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    struct timespec relative = {0, WAIT_MS * NS_A_MS}, until = in_ms(CLOCK_REALTIME, WAIT_MS);
    struct timeval tv = {0, WAIT_MS * 1000};
    struct epoll_event event;
    switch (call) {
    case 0:
        poll(NULL, 0, WAIT_MS);
        break;
    case 1:
        nanosleep(&relative, NULL);
        break;
    case 2:
        select(0, NULL, NULL, NULL, &tv);
        break;
    case 3: {
        int fd = epoll_create1(EPOLL_CLOEXEC);
        epoll_wait(fd, &event, 1, WAIT_MS);
        close(fd);
        break;
    }
    case 4:
        sem_init(&never, 0, 0);
        sem_timedwait(&never, &until);
        break;
    default:
        pthread_mutex_lock(&mutex);
        while (pthread_cond_timedwait(&cond, &mutex, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&mutex);
    }
}

static double percent_off(long long got_ns, long long wanted_ns)
{
    double off = (double)(got_ns - wanted_ns) * 100 / (double)(WAIT_MS * NS_A_MS);
    return off < 0 ? -off : off;
}

static double worst_timeout(void)
{
    double worst = 0;
    for (unsigned i = 0; i < 6 * N_ROUNDS; i++) {
        long long begin_ns = now_ns(CLOCK_MONOTONIC);
        wait_by(i % 6);
        double off = percent_off(now_ns(CLOCK_MONOTONIC) - begin_ns, WAIT_MS * NS_A_MS);
        worst = off > worst ? off : worst;
    }
    return worst;
}

static void on_signal(int signal_no)
{
    (void)signal_no;
}

static void *interrupt(void *arg)
{
    (void)arg;
    struct timespec t = {0, INTERRUPT_AFTER_MS * NS_A_MS};
    nanosleep(&t, NULL);
    pthread_kill(waiter, SIGUSR1);
    return NULL;
}

static double worst_remaining(void)
{
    double worst = 0;
    for (unsigned i = 0; i < 2 * N_ROUNDS; i++) {
        struct timespec wanted = {0, WAIT_MS * NS_A_MS}, left = {0, 0};
        pthread_t thread = bench_thread_start(interrupt, NULL);
        long long begin_ns = now_ns(CLOCK_MONOTONIC);
        bool was_interrupted = nanosleep(&wanted, &left) != 0;
        long long slept_ns = now_ns(CLOCK_MONOTONIC) - begin_ns, left_ns = left.tv_sec * 1000000000ll + left.tv_nsec;
        double off = was_interrupted ? percent_off(slept_ns + left_ns, WAIT_MS * NS_A_MS) : 100;
        worst = off > worst ? off : worst;
        pthread_join(thread, NULL);
    }
    return worst;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    bench_scale(argc, argv);
    sigaction(SIGUSR1, &action, NULL);
    waiter = pthread_self();
    pthread_t collector = bench_thread_start(collect_all_the_time, NULL);
    double timeout = worst_timeout(), remaining = worst_remaining();
    is_over = 1;
    pthread_join(collector, NULL);
    bench_print_metric("timeout-worst-error-%", timeout);
    bench_print_metric("remaining-worst-error-%", remaining);
    bench_print_checksum(N_ROUNDS);
    return 0;
}
