/* See event.h. */
#include "gc/event.h"

#include <errno.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "gc/finalizer_table.h"
#include "os/critical_inl.h"

struct event_listener {
    event_fn fn;
    void *arg;
    unsigned events;
    unsigned due; /* atomic: raised since it listens, and not told yet */
};

/* Filled from the front; each slot changes by one store of events, which is 0 in a free one (fork). */
static struct event_listener listeners[EVENT_MAX_LISTENERS];
static unsigned n_listeners;   /* atomic */
static unsigned events_pending; /* atomic: of all listeners */

/* Of the calling thread. */
static __thread struct {
    bool is_here;    /* between event_begin_here and event_end_here */
    bool is_telling; /* a function of the program runs: what that collects is not told, or it could go on for ever */
    unsigned events; /* raised meanwhile */
} event_own __attribute__((tls_model("initial-exec")));

static int event_listen_locked(unsigned events, event_fn fn, void *arg)
{
    for (size_t i = 0; i < EVENT_MAX_LISTENERS; i++) {
        if (listeners[i].events != 0)
            continue;
        listeners[i].fn = fn;
        listeners[i].arg = arg;
        __atomic_store_n(&listeners[i].due, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&listeners[i].events, events, __ATOMIC_RELEASE);
        __atomic_add_fetch(&n_listeners, 1, __ATOMIC_RELAXED);
        return 0;
    }
    return ENOMEM;
}

static int event_unlisten_locked(event_fn fn, const void *arg)
{
    for (size_t i = 0; i < EVENT_MAX_LISTENERS; i++) {
        if (listeners[i].events == 0 || listeners[i].fn != fn || listeners[i].arg != arg)
            continue;
        __atomic_store_n(&listeners[i].events, 0, __ATOMIC_RELEASE);
        listeners[i].arg = NULL;
        __atomic_sub_fetch(&n_listeners, 1, __ATOMIC_RELAXED);
        return 0;
    }
    return EINVAL;
}

static void event_lock_enter(void)
{
    os_critical_enter();
    os_lock(&finalizer_lock);
}

static void event_unlock_leave(void)
{
    os_unlock(&finalizer_lock);
    os_critical_leave();
}

int event_listen(unsigned events, event_fn fn, void *arg)
{
    if (fn == NULL || events == 0 || (events & ~(unsigned)EVENT_ALL) != 0)
        return EINVAL;
    event_lock_enter();
    int error = event_listen_locked(events, fn, arg);
    event_unlock_leave();
    return error;
}

int event_unlisten(event_fn fn, void *arg)
{
    event_lock_enter();
    int error = event_unlisten_locked(fn, arg);
    event_unlock_leave();
    return error;
}

bool event_is_wanted(void)
{
    return __atomic_load_n(&n_listeners, __ATOMIC_RELAXED) != 0;
}

void event_raise(unsigned events)
{
    if (event_own.is_here) {
        event_own.events |= events;
        return;
    }
    if (!event_is_wanted())
        return;
    for (size_t i = 0; i < EVENT_MAX_LISTENERS; i++)
        __atomic_fetch_or(&listeners[i].due, events & __atomic_load_n(&listeners[i].events, __ATOMIC_ACQUIRE),
                          __ATOMIC_RELAXED);
    __atomic_fetch_or(&events_pending, events, __ATOMIC_RELEASE);
}

bool event_is_pending(void)
{
    return __atomic_load_n(&events_pending, __ATOMIC_RELAXED) != 0;
}

/* A copy, because no lock may be held while a function runs, and a function may add and remove. Where what is pending is told,
 * each hears only what was raised since it listens. */
static void event_copy(struct event_listener *copy, bool is_pending)
{
    event_lock_enter();
    for (size_t i = 0; i < EVENT_MAX_LISTENERS; i++) {
        const struct event_listener *l = &listeners[i];
        unsigned heard = is_pending ? __atomic_exchange_n(&listeners[i].due, 0, __ATOMIC_RELAXED) : EVENT_ALL;
        copy[i] = (struct event_listener){l->fn, l->arg, l->events & heard, 0};
    }
    event_unlock_leave();
}

struct event_call {
    struct event_listener listener;
    int event;
};

static void event_call(void *arg)
{
    const struct event_call *call = arg;
    call->listener.fn(call->event, call->listener.arg);
}

static void event_threw(void *arg)
{
    check_misuse(MISUSE_CALLBACK_THREW, (uintptr_t)((const struct event_call *)arg)->listener.fn);
}

static void event_tell(const struct event_listener *listener, unsigned event)
{
    struct event_call call = {*listener, (int)event};
    if ((listener->events & event) != 0)
        os_call_nothrow(event_call, &call, event_threw);
}

static void event_run(unsigned events, bool is_pending)
{
    struct event_listener copy[EVENT_MAX_LISTENERS];
    if (events == 0 || event_own.is_telling || !event_is_wanted())
        return;
    event_copy(copy, is_pending);
    event_own.is_telling = true;
    for (unsigned event = 1; event <= EVENT_ALL; event *= 2)
        for (size_t i = 0; (events & event) != 0 && i < EVENT_MAX_LISTENERS; i++)
            event_tell(&copy[i], event);
    event_own.is_telling = false;
}

void event_begin_here(void)
{
    event_run(EVENT_BEGIN, false);
    event_own.events = 0;
    event_own.is_here = true;
}

void event_end_here(void)
{
    event_own.is_here = false;
    event_run((event_own.events | EVENT_END) & ~(unsigned)EVENT_BEGIN, false);
}

size_t event_run_pending(void)
{
    if (event_own.is_telling)
        return 0;
    unsigned events = __atomic_exchange_n(&events_pending, 0, __ATOMIC_ACQ_REL);
    event_run(events, true);
    return bits_popcount64(events);
}
