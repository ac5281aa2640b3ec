/* pthread_create, thrd_create: the new thread is known to us before the program's function runs in it.
 *
 * What    fn and arg travel in a block that is a root, because between the two threads nothing else holds
 *         arg. The parent does not wait for the child.
 * Not here  the thread's end: thread.c. pthread_exit and cancellation come there by the key's destructor.
 */
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include "api/alloc.h"
#include "api/real.h"
#include "api/thread.h"
#include "gc/finalizer.h"

struct create_start {
    void *(*fn)(void *);
    void *arg;
};

static void *create_child(void *start)
{
    struct create_start s = *(struct create_start *)start;

    thread_begin();
    free_slow(start);
    return s.fn(s.arg);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    struct create_start *start;
    int error;

    if (UNLIKELY(api_state.is_passthrough))
        return REAL(pthread_create)(thread, attr, fn, arg);
    start = alloc_block(sizeof(*start), SIZECLASS_ALIGN, FLAVOR_ROOT, NULL);
    if (start == NULL)
        return EAGAIN;
    *start = (struct create_start){fn, arg};
    error = REAL(pthread_create)(thread, attr, create_child, start);
    thread_created();
    if (error != 0)
        free_slow(start);
    return error;
}

struct create_c11_start {
    thrd_start_t fn;
    void *arg;
};

static int create_c11_child(void *start)
{
    struct create_c11_start s = *(struct create_c11_start *)start;

    thread_begin();
    free_slow(start);
    return s.fn(s.arg);
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
    int (*real_create)(thrd_t *, thrd_start_t, void *) = REAL(thrd_create);
    struct create_c11_start *start;
    int result;

    if (real_create == NULL)
        return thrd_error;
    if (UNLIKELY(api_state.is_passthrough))
        return real_create(thread, fn, arg);
    start = alloc_block(sizeof(*start), SIZECLASS_ALIGN, FLAVOR_ROOT, NULL);
    if (start == NULL)
        return thrd_nomem;
    *start = (struct create_c11_start){fn, arg};
    result = real_create(thread, create_c11_child, start);
    if (result != thrd_success)
        free_slow(start);
    return result;
}
