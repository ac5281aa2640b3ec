/* A thread's life with us: its record, its cache, its end.
 *
 * What    api_thread_adopt    gives a thread that we did not see start a record, at its first slow path.
 *         thread_start_*      the collector's own threads.
 *         At the end the destructor of a thread-specific key gives the cache up. Destructors of others may
 *         still free, so ours re-arms itself until the last round that libc makes. What is freed after that,
 *         by libc itself, takes the way of a thread without a cache.
 * Invariants  once api_tls.is_retired is set, the thread gets neither cache nor record again.
 * Not here  the wrapper of pthread_create: interpose_thread.c.
 */
#include "api/thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include "api/alloc.h"
#include "api/interpose.h"
#include "api/real.h"
#include "gc/finalizer.h"
#include "gc/mark_team.h"
#include "heap/tcache.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    THREAD_KEYS_INLINE =
        32, /* glibc: values of lower keys live in the thread block, so setting one allocates nothing */
    THREAD_HELPER_STACK_BYTES = 256 * 1024,
};

static struct {
    pthread_key_t exit_key;
    bool has_exit_key;
} thread_state;

/* A key beyond the inline ones is set only where allocation is allowed, by threads that we start. */
static void thread_arm_exit(bool may_allocate)
{
    if (thread_state.has_exit_key && (may_allocate || thread_state.exit_key < THREAD_KEYS_INLINE))
        pthread_setspecific(thread_state.exit_key, &thread_state);
}

void api_thread_adopt(void)
{
    if (api_tls.is_retired || os_is_vfork_child())
        return;
    if (os_thread_register() != NULL)
        thread_arm_exit(false);
    if (api_state.is_initialised && !api_state.is_passthrough) /* where malloc is not ours, nobody is stopped */
        os_altstack_lend(os_tls.thread);
}

void api_thread_retire(void)
{
    if (api_tls.is_retired)
        return;
    interpose_altstack_retire();
    os_critical_enter();
    api_tls.is_retired = true;
    tcache_retire();
    os_thread_unregister();
    os_critical_leave();
    api_exit_slow();
}

static void thread_exit(void *value)
{
    if (++api_tls.exit_rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(thread_state.exit_key, value);
    else
        api_thread_retire();
}

/* libc allocates to say where the stack is, and gives all of it back: not worth spans in each thread's cache. */
static void thread_record_stack(struct os_thread *t)
{
    api_tls.in_cycle++;
    SIGNAL_FENCE();
    os_thread_record_stack(t);
    SIGNAL_FENCE();
    api_tls.in_cycle--;
}

void thread_begin(void)
{
    struct os_thread *t = os_thread_register();

    if (t != NULL)
        thread_record_stack(t);
    if (!api_state.is_passthrough)
        os_altstack_lend_new(t);
    thread_arm_exit(true);
    api_exit_slow();
}

void thread_install(void)
{
    thread_state.has_exit_key = pthread_key_create(&thread_state.exit_key, thread_exit) == 0;
    thread_begin();
}

/* libc puts its own handler of the stop signal in place of ours with the first thread. */
void thread_created(void)
{
    static uint32_t n_created;

    if (__atomic_exchange_n(&n_created, 1, __ATOMIC_RELAXED) == 0)
        os_request_listen();
}

/* ---- helpers ---- */
struct thread_helper {
    void *(*fn)(void *);
    void *arg;
    const char *name; /* at most 15 characters */
};

static void *thread_helper_main(void *start)
{
    struct thread_helper h = *(struct thread_helper *)start;

    free_slow(start);
    thread_begin();
    pthread_setname_np(pthread_self(), h.name);
    return h.fn(h.arg);
}

static int thread_create_blocked(const pthread_attr_t *attr, struct thread_helper *h)
{
    sigset_t all, before;
    pthread_t id;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = REAL(pthread_create)(&id, attr, thread_helper_main, h);
    thread_created();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int thread_start(void *(*fn)(void *), void *arg, const char *name)
{
    struct thread_helper *h;
    pthread_attr_t attr;
    int error;

    if (REAL_KNOWN(pthread_create) == NULL) /* the static library in a program without ld.so */
        return ENOSYS;
    h = alloc_block(sizeof(*h), SIZECLASS_ALIGN, FLAVOR_ROOT, NULL);
    if (h == NULL)
        return ENOMEM;
    *h = (struct thread_helper){fn, arg, name};
    error = pthread_attr_init(&attr);
    if (error == 0) {
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attr, THREAD_HELPER_STACK_BYTES);
        error = thread_create_blocked(&attr, h);
        pthread_attr_destroy(&attr);
    }
    if (error != 0)
        free_slow(h);
    return error;
}

int thread_start_finalizer(void *(*fn)(void *), void *arg)
{
    return thread_start(fn, arg, "gc-finalizer");
}

int thread_start_marker(void *(*fn)(void *), void *arg)
{
    return thread_start(fn, arg, "gc-marker");
}

int thread_start_reporter(void *(*fn)(void *), void *arg)
{
    return thread_start(fn, arg, "gc-report");
}

void thread_poke_helpers(void)
{
    if (os_seccomp_is_on() || os_is_vfork_child())
        return;
    finalizer_thread_poke();
    mark_team_poke();
}
