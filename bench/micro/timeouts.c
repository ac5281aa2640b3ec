/* Do calls that wait for a time end when they should, and say rightly what is left, while another thread collects a hundred times a
 * second? Each call waits in a thread of its own, all at once. Printed: the worst error of the ends, of the remaining times where
 * a signal of the program's own came, and of the number of an interval timer's signals, in percent of what was asked for; and which
 * call had the worst. Without a collector: the machine's own error. (Time-outs of sockets are left out: the kernel itself ends them
 * up to an eighth late.) */
#include <errno.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>

#include "bench.h"

void gc_collect(void) __attribute__((weak));

enum { WAIT_MS = 300, N_ROUNDS = 3, COLLECT_EVERY_US = 10000, INTERRUPT_AFTER_MS = 100, TICK_MS = 5, TICKS_MS = 1000 };
#define NS_A_MS 1000000ll

static volatile sig_atomic_t is_over, n_ticks;

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

/* ---- calls; what each waits for never comes -------------------------------------------------------------------------- */

static int nobody[2];
static mqd_t full_queue = (mqd_t)-1, empty_queue = (mqd_t)-1;
static sem_t never;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, locked = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t locked_rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t lasting;
static const struct timespec relative = {0, WAIT_MS * NS_A_MS};

static struct timespec real_end(void)
{
    return in_ms(CLOCK_REALTIME, WAIT_MS);
}

static struct timespec monotonic_end(void)
{
    return in_ms(CLOCK_MONOTONIC, WAIT_MS);
}

static struct pollfd nobody_pollfd(void)
{
    return (struct pollfd){.fd = nobody[0], .events = POLLIN};
}

static int epoll_of_nobody(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(fd, EPOLL_CTL_ADD, nobody[0], &event);
    return fd;
}

static void wait_semtimedop(void)
{
    struct sembuf down = {0, -1, 0};
    int id = semget(IPC_PRIVATE, 1, 0600);
    semtimedop(id, &down, 1, &relative);
    semctl(id, 0, IPC_RMID);
}

static void wait_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigtimedwait(&set, NULL, &relative);
}

static void wait_cond(int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))
{
    struct timespec end = real_end();
    pthread_mutex_lock(&mutex);
    while (wait(&cond, &mutex, &end) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&mutex);
}

/* Statements, each the body of a function; `end` and `mono` are absolute ends, p a descriptor that is never ready. */
#define CALLS(X)                                                                                                         \
    X(poll, poll(&p, 1, WAIT_MS))                                                                                      \
    X(ppoll, ppoll(&p, 1, &relative, NULL))                                                                            \
    X(select, select(0, NULL, NULL, NULL, &(struct timeval){0, WAIT_MS * 1000}))                                       \
    X(pselect, pselect(0, NULL, NULL, NULL, &relative, NULL))                                                          \
    X(epoll_wait, epoll_wait(epoll, &event, 1, WAIT_MS))                                                               \
    X(epoll_pwait, epoll_pwait(epoll, &event, 1, WAIT_MS, NULL))                                                       \
    X(nanosleep, nanosleep(&relative, NULL))                                                                           \
    X(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &relative, NULL))                                           \
    X(clock_nanosleep_until, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &end, NULL))                               \
    X(usleep, usleep(WAIT_MS * 1000))                                                                                  \
    X(thrd_sleep, thrd_sleep(&relative, NULL))                                                                         \
    X(sem_timedwait, sem_timedwait(&never, &end))                                                                      \
    X(sem_clockwait, sem_clockwait(&never, CLOCK_MONOTONIC, &mono))                                                    \
    X(cond_timedwait, wait_cond(pthread_cond_timedwait))                                                               \
    X(mutex_timedlock, pthread_mutex_timedlock(&locked, &end))                                                         \
    X(mutex_clocklock, pthread_mutex_clocklock(&locked, CLOCK_MONOTONIC, &mono))                                       \
    X(rwlock_timedrdlock, pthread_rwlock_timedrdlock(&locked_rw, &end))                                                \
    X(rwlock_timedwrlock, pthread_rwlock_timedwrlock(&locked_rw, &end))                                                \
    X(timedjoin, pthread_timedjoin_np(lasting, NULL, &end))                                                            \
    X(sigtimedwait, wait_sigtimedwait())                                                                               \
    X(mq_timedreceive, mq_timedreceive(empty_queue, byte, sizeof(byte), NULL, &end))                                   \
    X(mq_timedsend, mq_timedsend(full_queue, byte, 1, 0, &end))                                                        \
    X(semtimedop, wait_semtimedop())                                                                                   \
    X(futex, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &relative, NULL, 0))

#define CALL_FUNCTION(name, statement)                                                                                   \
    static void call_##name(void)                                                                                      \
    {                                                                                                                  \
        struct pollfd p = nobody_pollfd();                                                                             \
        struct timespec end = real_end(), mono = monotonic_end();                                                      \
        struct epoll_event event;                                                                                      \
        char byte[8] = {0};                                                                                            \
        uint32_t word = 0;                                                                                             \
        int epoll = epoll_of_nobody();                                                                                 \
        (void)p, (void)end, (void)mono, (void)event, (void)byte, (void)word;                                           \
        statement;                                                                                                     \
        close(epoll);                                                                                                  \
    }
CALLS(CALL_FUNCTION)

#define CALL_ENTRY(name, statement) {#name, call_##name, 0, 0},
static struct call {
    const char *name;
    void (*wait)(void);
    double worst;
    pthread_t thread;
} calls[] = {CALLS(CALL_ENTRY)};
enum { N_CALLS = sizeof(calls) / sizeof(calls[0]) };

static double percent_off(long long got_ns, long long wanted_ns)
{
    double off = (double)(got_ns - wanted_ns) * 100 / (double)wanted_ns;
    return off < 0 ? -off : off;
}

static void *wait_by(void *arg)
{
    struct call *c = arg;
    for (int i = 0; i < N_ROUNDS; i++) {
        long long begin_ns = now_ns(CLOCK_MONOTONIC);
        c->wait();
        double off = percent_off(now_ns(CLOCK_MONOTONIC) - begin_ns, WAIT_MS * NS_A_MS);
        c->worst = off > c->worst ? off : c->worst;
    }
    return NULL;
}

static struct call *worst_of(struct call *all, size_t n, void *(*body)(void *))
{
    struct call *worst = &all[0];
    for (size_t i = 0; i < n; i++)
        all[i].thread = bench_thread_start(body, &all[i]);
    for (size_t i = 0; i < n; i++)
        pthread_join(all[i].thread, NULL);
    for (size_t i = 0; i < n; i++)
        worst = all[i].worst > worst->worst ? &all[i] : worst;
    return worst;
}

/* ---- what is left ---------------------------------------------------------------------------------------------------- */

static void on_signal(int signal_no)
{
    (void)signal_no;
}

static void *interrupt(void *thread)
{
    struct timespec t = {0, INTERRUPT_AFTER_MS * NS_A_MS};
    nanosleep(&t, NULL);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static long long left_by_nanosleep(void)
{
    struct timespec left = {0, 0};
    nanosleep(&relative, &left);
    return left.tv_sec * 1000000000ll + left.tv_nsec;
}

static long long left_by_clock_nanosleep(void)
{
    struct timespec left = {0, 0};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &relative, &left);
    return left.tv_sec * 1000000000ll + left.tv_nsec;
}

static long long left_by_select(void)
{
    struct timeval left = {0, WAIT_MS * 1000};
    select(0, NULL, NULL, NULL, &left);
    return left.tv_sec * 1000000000ll + left.tv_usec * 1000ll;
}

static double worst_remaining(void)
{
    static long long (*const ways[])(void) = {left_by_nanosleep, left_by_clock_nanosleep, left_by_select};
    double worst = 0;
    for (unsigned i = 0; i < 3 * N_ROUNDS; i++) {
        pthread_t self = pthread_self(), thread = bench_thread_start(interrupt, &self);
        long long begin_ns = now_ns(CLOCK_MONOTONIC), left_ns = ways[i % 3](), slept_ns = now_ns(CLOCK_MONOTONIC) - begin_ns;
        double off = left_ns != 0 ? percent_off(slept_ns + left_ns, WAIT_MS * NS_A_MS) : 100;
        worst = off > worst ? off : worst;
        pthread_join(thread, NULL);
    }
    return worst;
}

static void on_tick(int signal_no)
{
    (void)signal_no;
    n_ticks++;
}

static double ticks_missing(void)
{
    struct itimerval tick = {{0, TICK_MS * 1000}, {0, TICK_MS * 1000}}, none = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    long long begin_ns = now_ns(CLOCK_MONOTONIC);
    setitimer(ITIMER_REAL, &tick, NULL);
    while (now_ns(CLOCK_MONOTONIC) - begin_ns < TICKS_MS * NS_A_MS)
        usleep(1000);
    setitimer(ITIMER_REAL, &none, NULL);
    long long ticks = (now_ns(CLOCK_MONOTONIC) - begin_ns) / (TICK_MS * NS_A_MS);
    return percent_off(n_ticks, ticks);
}

/* ---- ------------------------------------------------------------------------------------------------------------------ */

static void *last(void *arg)
{
    while (!is_over)
        usleep(100000);
    return arg;
}

static mqd_t queue_of(const char *which)
{
    char name[64];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    snprintf(name, sizeof(name), "/bench-timeouts-%s-%d", which, (int)getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
    mq_unlink(name);
    return queue;
}

static void prepare(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    if (pipe(nobody) != 0)
        exit(1);
    full_queue = queue_of("full");
    empty_queue = queue_of("empty");
    mq_send(full_queue, "", 1, 0);
    sem_init(&never, 0, 0);
    pthread_mutex_lock(&locked);
    pthread_rwlock_wrlock(&locked_rw);
    lasting = bench_thread_start(last, NULL);
}

int main(int argc, char **argv)
{
    bench_scale(argc, argv);
    prepare();
    pthread_t collector = bench_thread_start(collect_all_the_time, NULL);
    struct call *worst = worst_of(calls, N_CALLS, wait_by);
    double remaining = worst_remaining(), missing = ticks_missing();
    is_over = 1;
    pthread_join(collector, NULL);
    pthread_join(lasting, NULL);
    fprintf(stderr, "%d calls, worst %s\n", (int)N_CALLS, worst->name);
    bench_print_metric("timeout-worst-error-%", worst->worst);
    bench_print_metric("remaining-worst-error-%", remaining);
    bench_print_metric("timer-signals-missing-%", missing);
    bench_print_checksum(N_ROUNDS);
    return 0;
}
