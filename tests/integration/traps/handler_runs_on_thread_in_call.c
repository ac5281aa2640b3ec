/* The program's own signals interrupt threads in blocking calls while others collect: the handlers run, allocate, keep
 * what they allocated on their own stack alone for the time of a collection, and the calls return EINTR as often as there
 * were such signals, not more. */
#include <poll.h>
#include <signal.h>
#include <time.h>
#include "trap.h"
static _Atomic int n_handled;
static void *volatile from_handler;

enum { N_OTHERS = 600, SIZE = 432 };
static _Atomic unsigned n_collected;
static _Atomic int collector_stop;

static void *collects(void *arg)
{
    while (!atomic_load(&collector_stop)) {
        if (trap_gc(TRAP_GC_FULL) == 0)
            atomic_fetch_add(&n_collected, 1);
        usleep(200);
    }
    return arg;
}

/* What was taken meanwhile is handed out again at once. */
static __attribute__((noinline)) void hold_over_collection(void)
{
    void *others[N_OTHERS];
    unsigned char *volatile held = malloc(SIZE);
    unsigned seen = atomic_load(&n_collected);
    memset(held, 0x22, SIZE);
    for (int i = 0; i < 1000 && atomic_load(&n_collected) < seen + 2 && !trap_is_emulated(); i++)
        syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 100000}, NULL);
    for (int i = 0; i < N_OTHERS; i++)
        memset(others[i] = malloc(SIZE), 0xee, SIZE);
    for (int i = 0; i < SIZE; i++)
        if (held[i] != 0x22)
            TEST_FAIL("a block on the handler's stack was taken");
    for (int i = 0; i < N_OTHERS; i++)
        free(others[i]);
    free(held);
}

static void handler(int signo)
{
    (void)signo;
    int error = errno;
    hold_over_collection();
    void *block = malloc(300);
    memset(block, 0x11, 300);
    free((void *)from_handler);
    from_handler = block;
    atomic_fetch_add(&n_handled, 1);
    errno = error;
}

static _Atomic int n_interrupted, has_ended;
static void *volatile after_the_thread; /* the target outlives the stack that held it */

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release)) {
        int result = poll(NULL, 0, 20000);
        if (result == -1 && errno == EINTR)
            atomic_fetch_add(&n_interrupted, 1);
        else
            TEST_FAIL("poll returned %d", result);
    }
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    after_the_thread = block;
    atomic_store(&has_ended, 1);
    return NULL;
}

/* It may meet the thread outside the call, which then waits for the next one. */
static void interrupt(pthread_t id)
{
    int before = atomic_load(&n_handled);
    usleep(2000);
    TEST_CHECK(pthread_kill(id, SIGUSR1) == 0);
    for (int k = 0; k < 100000 && atomic_load(&n_handled) == before && !atomic_load(&has_ended); k++)
        usleep(100);
    TEST_CHECK(atomic_load(&n_handled) == before + 1 || atomic_load(&has_ended));
}

int main(void)
{
    enum { N = 60 };
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    pthread_t collector;
    TEST_CHECK(pthread_create(&collector, NULL, collects, NULL) == 0);
    while (atomic_load(&n_interrupted) < N)
        interrupt(t.id);
    atomic_store(&t.release, 1);
    while (!atomic_load(&has_ended))
        interrupt(t.id);
    pthread_join(t.id, NULL);
    atomic_store(&collector_stop, 1);
    pthread_join(collector, NULL);
    if (atomic_load(&n_interrupted) > atomic_load(&n_handled))
        TEST_FAIL("%d signals, %d interrupted calls", atomic_load(&n_handled), atomic_load(&n_interrupted));
    trap_check_targets();
    return 0;
}
