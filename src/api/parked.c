/* See parked.h; and the calls that park a value: sigqueue, pthread_sigqueue, their raw forms, mq_notify.
 *
 * Signals   a ring: who queues more values than it has room for, and lets none be delivered, is seen with the last ones only.
 *           Delivery to a handler and by sigwaitinfo or sigtimedwait takes a value back. What leaves by signalfd, or is
 *           ignored, stays until the ring comes round: held for too long, never for too short a time.
 * Queues    nobody can ask whether a queue has notified, so its value stays until the same descriptor is used again.
 * Not here  timers and epoll, which the kernel lists: gc/roots_kernel.c. The copy of thread attributes that libc's
 *           mq_notify makes for SIGEV_THREAD, which it gives to the kernel, too.
 */
#include "api/parked.h"

#include <errno.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "api/alloc.h"
#include "api/interpose.h"
#include "api/real.h"
#include "os/os.h"

enum { PARKED_N_VALUES = 1024, PARKED_N_QUEUES = 64 };

static struct {
    void *values[PARKED_N_VALUES]; /* atomic; NULL: none */
    uint32_t n_added, n_kept;      /* atomic */
    struct parked_queue {
        int no; /* descriptor + 1, atomic; 0: unused */
        void *value;
    } queues[PARKED_N_QUEUES];
    uint32_t n_queues_replaced; /* atomic */
} parked BULKY;

/* ---- signals ---- */

void parked_add(void *value)
{
    uint32_t no = __atomic_fetch_add(&parked.n_added, 1, __ATOMIC_RELAXED);

    if (value == NULL)
        return;
    if (__atomic_exchange_n(&parked.values[no % PARKED_N_VALUES], value, __ATOMIC_RELAXED) == NULL)
        __atomic_add_fetch(&parked.n_kept, 1, __ATOMIC_RELAXED);
}

/* The youngest first: most signals are delivered at once. */
void parked_take_back(void *value)
{
    uint32_t no = __atomic_load_n(&parked.n_added, __ATOMIC_RELAXED);

    if (value == NULL || __atomic_load_n(&parked.n_kept, __ATOMIC_RELAXED) == 0)
        return;
    for (int i = 0; i < PARKED_N_VALUES; i++) {
        void **place = &parked.values[--no % PARKED_N_VALUES], *found = value;

        if (__atomic_compare_exchange_n(place, &found, NULL, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            __atomic_sub_fetch(&parked.n_kept, 1, __ATOMIC_RELAXED);
            return;
        }
    }
}

void parked_delivered(const siginfo_t *info)
{
    if (info->si_code == SI_QUEUE)
        parked_take_back(info->si_value.sival_ptr);
}

EXPORT int sigqueue(pid_t pid, int sig, const union sigval value)
{
    bool is_own = pid == os_getpid();
    int result;

    if (is_own)
        parked_add(value.sival_ptr);
    result = REAL(sigqueue)(pid, sig, value);
    if (result != 0 && is_own)
        parked_take_back(value.sival_ptr);
    return result;
}

EXPORT int pthread_sigqueue(pthread_t thread, int sig, const union sigval value)
{
    int error;

    parked_add(value.sival_ptr);
    error = REAL(pthread_sigqueue)(thread, sig, value);
    if (error != 0)
        parked_take_back(value.sival_ptr);
    return error;
}

/* rt_sigqueueinfo(pid, sig, info) and rt_tgsigqueueinfo(pid, tid, sig, info). Whether info can be read is known when the
 * kernel has read it; until then it holds the value itself. One that is delivered meanwhile is held for too long. */
long interpose_sigqueueinfo(long nr, long pid, long b, long c, long d)
{
    const siginfo_t *info = (const siginfo_t *)(nr == SYS_rt_sigqueueinfo ? c : d);
    long result = REAL(syscall)(nr, pid, b, c, d);

    if (result == 0 && (pid_t)pid == os_getpid())
        parked_add(info->si_value.sival_ptr);
    return result;
}

/* ---- message queues ---- */

static struct parked_queue *parked_find_queue(int no)
{
    for (int i = 0; i < PARKED_N_QUEUES; i++)
        if (__atomic_load_n(&parked.queues[i].no, __ATOMIC_RELAXED) == no)
            return &parked.queues[i];
    return NULL;
}

/* With all in use, some of descriptors that were closed long ago: the one that was replaced longest ago goes. */
static struct parked_queue *parked_enter_queue(int no)
{
    for (int i = 0; i < PARKED_N_QUEUES; i++) {
        int found = 0;

        if (__atomic_compare_exchange_n(&parked.queues[i].no, &found, no, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return &parked.queues[i];
    }
    return &parked.queues[__atomic_fetch_add(&parked.n_queues_replaced, 1, __ATOMIC_RELAXED) % PARKED_N_QUEUES];
}

void parked_set_queue(int queue, void *value)
{
    struct parked_queue *q = parked_find_queue(queue + 1);

    if (q == NULL && value == NULL)
        return;
    if (q == NULL)
        q = parked_enter_queue(queue + 1);
    __atomic_store_n(&q->no, queue + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&q->value, value, __ATOMIC_RELAXED);
}

EXPORT int mq_notify(mqd_t queue, const struct sigevent *event)
{
    int (*real_notify)(mqd_t, const struct sigevent *) = REAL(mq_notify);
    void *value = event != NULL ? event->sigev_value.sival_ptr : NULL;
    int result;

    if (UNLIKELY(real_notify == NULL)) {
        errno = ENOSYS;
        return -1;
    }
    result = real_notify(queue, event);
    if (result == 0)
        parked_set_queue((int)queue, value);
    return result;
}
