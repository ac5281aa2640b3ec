/* How a libc call that waits in the kernel is wrapped.
 *
 * A thread inside counts as stopped (os/gate): it is not signalled, so the call is not interrupted, and it
 * must pass the gate before it runs on. So only calls may be wrapped that do nothing but one system call: no
 * allocation, no callback. Its arguments lie in the wrapper's frame or in registers that publishing spilled:
 * what they point to is kept. Leaving by cancellation passes the gate in the wrapper's personality routine,
 * before the program's own cleanups run; leaving by longjmp from a signal handler has passed it in the
 * trampoline.
 *
 * Another library may have taken the name as well, and stand between us and libc: it may do anything, allocate for
 * instance. Then nothing is published, and the thread is stopped by the signal. Where the kernel gives up the call for
 * that, it is called again, as below.
 *
 * A request from outside (control.c) is the one signal of ours that may come in all the same. Where the kernel gives
 * up the call for its sake, and no handler of the program's ran, the wrapper calls again, with what is left of the
 * time-out: the program sees no EINTR that its own signals did not cause. A time-out that is absolute, or that the
 * kernel itself shortens, needs nothing; for the others the clock is read before.
 */
#ifndef API_BLOCK_H
#define API_BLOCK_H

#include <errno.h>
#include <time.h>
#include "api/alloc.h"
#include "api/real.h"
#include "base/compiler.h"
#include "os/os.h"

/* Where libc lacks the call. */
ALWAYS_INLINE int block_missing(void)
{
    errno = ENOSYS;
    return -1;
}

/* Names block_unwind as the personality of the function that it stands in, as a direct, pc-relative reference (0x1b).
 * A cleanup of the compiler's would do the same, but makes every program load libgcc_s at its start. */
#define BLOCK_PERSONALITY __asm__(".cfi_personality 0x1b, block_unwind")

struct block_frame {
    struct os_gate_frame gate;
    uint32_t n_handled; /* api_tls.n_handled when the call began */
};

ALWAYS_INLINE void block_enter(struct block_frame *f, bool is_foreign)
{
    f->n_handled = api_tls.n_handled;
    api_tls.was_asked = false;
    os_tls.was_stopped = false;
    f->gate.is_published = false;
    if (LIKELY(!is_foreign))
        os_gate_publish(&f->gate);
}

/* The call was interrupted. true: by a request or a stop, and by nothing that the program should know of: each of its
 * handlers is counted, unless one was installed by the system call itself. */
static inline bool block_is_only_ours(const struct block_frame *f)
{
    bool is_ours = api_tls.was_asked || (os_tls.was_stopped && os_gate_is_tight());

    if (!is_ours || api_tls.n_handled != f->n_handled)
        return false;
    api_tls.was_asked = false;
    os_tls.was_stopped = false;
    return true;
}

/* ---- time-outs ---- */

#define BLOCK_S_NS UINT64_C(1000000000)
#define BLOCK_MS_NS UINT64_C(1000000)

/* What is left of wait_ns since begin_ns; 0: nothing. */
static inline uint64_t block_left_ns(uint64_t begin_ns, uint64_t wait_ns)
{
    uint64_t spent_ns = os_clock_ns() - begin_ns;

    return spent_ns < wait_ns ? wait_ns - spent_ns : 0;
}

/* Milliseconds, negative: for ever. Rounded up: a call never returns too early. */
static inline int block_left_ms(uint64_t begin_ns, int timeout_ms)
{
    if (timeout_ms < 0)
        return timeout_ms;
    return (int)((block_left_ns(begin_ns, (uint64_t)timeout_ms * BLOCK_MS_NS) + BLOCK_MS_NS - 1) / BLOCK_MS_NS);
}

/* NULL: for ever. More seconds than the clock can count are left as they are. */
static inline const struct timespec *block_left_ts(uint64_t begin_ns, const struct timespec *wanted,
                                                   struct timespec *left)
{
    uint64_t left_ns;

    if (wanted == NULL || wanted->tv_sec < 0 || (uint64_t)wanted->tv_sec >= UINT64_MAX / BLOCK_S_NS - 1)
        return wanted;
    left_ns = block_left_ns(begin_ns, (uint64_t)wanted->tv_sec * BLOCK_S_NS + (uint64_t)wanted->tv_nsec);
    left->tv_sec = (time_t)(left_ns / BLOCK_S_NS);
    left->tv_nsec = (long)(left_ns % BLOCK_S_NS);
    return left;
}

/* ---- wrappers ---- */

/* Begins and ends the exported wrapper `name`. missing: what to return where libc has no such function. The real
 * function is looked up before the gate is published, because that may allocate. */
#define BLOCK_BEGIN(type, name, params, missing)                                                             \
    EXPORT type name params                                                                                  \
    {                                                                                                        \
        __typeof__(&name) block_real = REAL(name);                                                           \
        type block_result;                                                                                   \
        if (UNLIKELY(block_real == NULL))                                                                    \
            return missing;                                                                                  \
        const bool block_is_foreign = real_is_foreign[REAL_##name];                                          \
        BLOCK_PERSONALITY;                                                                                   \
        struct block_frame frame;
#define BLOCK_END BLOCK_END_THEN((void)0)
/* then: what is to be done when the thread no longer counts as stopped. */
#define BLOCK_END_THEN(then)                                                                                 \
    os_gate_leave(&frame.gate);                                                                              \
    then;                                                                                                    \
    return block_result;                                                                                     \
    }

/* interrupted: whether block_result says so. */
#define BLOCK(type, name, params, args, missing, interrupted)                                                \
    BLOCK_BEGIN(type, name, params, missing)                                                                 \
    block_enter(&frame, block_is_foreign);                                                                   \
    do {                                                                                                     \
        block_result = block_real args;                                                                      \
    } while (UNLIKELY(interrupted) && block_is_only_ours(&frame));                                           \
    BLOCK_END
/* Calls that return -1 and set errno, and calls that return the error. */
#define BLOCK_IS_EINTR (block_result == -1 && errno == EINTR)
#define BLOCK_CALL(type, name, params, args)                                                                 \
    BLOCK(type, name, params, args, block_missing(), BLOCK_IS_EINTR)
#define BLOCK_ERROR(name, params, args) BLOCK(int, name, params, args, ENOSYS, block_result == EINTR)

/* With a parameter timeout_ms. */
#define BLOCK_MS(name, params, args)                                                                         \
    BLOCK_BEGIN(int, name, params, block_missing())                                                          \
    uint64_t begin_ns = timeout_ms > 0 ? os_clock_ns() : 0;                                                  \
    const int wanted_ms = timeout_ms;                                                                        \
    block_enter(&frame, block_is_foreign);                                                                   \
    for (;; timeout_ms = block_left_ms(begin_ns, wanted_ms)) {                                               \
        block_result = block_real args;                                                                      \
        if (LIKELY(!BLOCK_IS_EINTR) || !block_is_only_ours(&frame))                                          \
            break;                                                                                           \
    }                                                                                                        \
    BLOCK_END

/* With a parameter timeout, a relative struct timespec. */
#define BLOCK_TS(name, params, args) BLOCK_TS_THEN(name, params, args, (void)0)
#define BLOCK_TS_THEN(name, params, args, then)                                                              \
    BLOCK_BEGIN(int, name, params, block_missing())                                                          \
    const struct timespec *wanted = timeout;                                                                 \
    struct timespec left;                                                                                    \
    uint64_t begin_ns = timeout != NULL ? os_clock_ns() : 0;                                                 \
    block_enter(&frame, block_is_foreign);                                                                   \
    for (;; timeout = block_left_ts(begin_ns, wanted, &left)) {                                              \
        block_result = block_real args;                                                                      \
        if (LIKELY(!BLOCK_IS_EINTR) || !block_is_only_ours(&frame))                                          \
            break;                                                                                           \
    }                                                                                                        \
    BLOCK_END_THEN(then)

#endif
