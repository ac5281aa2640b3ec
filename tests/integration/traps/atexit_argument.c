/* Arguments of exit handlers, of __cxa_atexit's and on_exit's: the first lie in libc's own memory, the rest in blocks that libc allocates.
 * Also the destructors of thread-local objects. */
#include "trap.h"
#define N 100
static uintptr_t hidden[N], hidden_last;
static int n_run;
int __cxa_atexit(void (*fn)(void *), void *arg, void *dso);
int __cxa_thread_atexit_impl(void (*fn)(void *), void *arg, void *dso);
extern void *__dso_handle;

static void at_exit(void *arg)
{
    int i = N - 1 - n_run++;
    if (~(uintptr_t)arg != hidden[i])
        TEST_FAIL("handler %d has another argument", i);
    trap_check_targets();
}

static void at_exit_last(int status, void *arg)
{
    if (n_run != N || status != 0)
        TEST_FAIL("%d handlers ran", n_run);
    if (~(uintptr_t)arg != hidden_last)
        TEST_FAIL("the last handler has another argument");
}

static __attribute__((noinline)) void store_last(void)
{
    hidden_last = trap_new();
    TEST_CHECK(on_exit(at_exit_last, trap_reveal(hidden_last)) == 0);
}

static void at_thread_exit(void *arg)
{
    (void)arg;
    trap_check_targets();
}

static __attribute__((noinline)) void store(int i)
{
    hidden[i] = trap_new();
    TEST_CHECK(__cxa_atexit(at_exit, trap_reveal(hidden[i]), NULL) == 0);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(__cxa_thread_atexit_impl(at_thread_exit, trap_reveal(t->hidden), &__dso_handle) == 0);
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        usleep(1000);
    return NULL;
}

int main(void)
{
    store_last();
    for (int i = 0; i < N; i++)
        store(i);
    trap_clear_stack();
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    trap_verify();
    trap_thread_end(&t);
    trap_forget(t.hidden);
    return 0;
}
