/* A signal that strikes in the middle of a call of ours waits for its end, with all others blocked, and not a moment longer:
 * behind each call, and in the program's functions that it calls, the mask is the program's. */
#include <signal.h>
#include <time.h>
#include "gcmalloc.h"
#include "trap.h"

#pragma weak gc_malloc
#pragma weak gc_set_profile_rate
#pragma weak gc_heap_walk

enum { N_SECONDS = 1, PROFILE_RATE = 64 * 1024 };

static _Atomic int is_over;
static volatile sig_atomic_t n_handled;

static void handler(int sig)
{
    (void)sig;
    n_handled++;
}

static void *strike(void *main_thread)
{
    while (!atomic_load(&is_over))
        pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
    return NULL;
}

static void check_mask(const char *where)
{
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    if (sigismember(&now, SIGUSR2))
        TEST_FAIL("%s: signals are blocked", where);
}

/* From windows that hide a sample further on, one in five. */
static void allocate_sampled(void)
{
    TEST_CHECK(gc_malloc(TRAP_SIZE, 0) != NULL);
    check_mask("gc_malloc");
}

static void collect_if_due(void)
{
    gc_collect_level(GC_IF_DUE);
    check_mask("gc_collect_level");
}

static int see_block(const struct gc_block *block, void *arg)
{
    (void)block, (void)arg;
    check_mask("the function that gc_heap_walk calls");
    return 0;
}

static void walk(void)
{
    gc_heap_walk(see_block, NULL);
    check_mask("gc_heap_walk");
}

static void repeat(void (*call)(void))
{
    for (time_t end = time(NULL) + N_SECONDS; time(NULL) <= end;)
        call();
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    pthread_t striker, self = pthread_self();
    if (trap_is_peer())
        return 0;
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    TEST_CHECK(pthread_create(&striker, NULL, strike, &self) == 0);
    repeat(collect_if_due);
    repeat(walk);
    TEST_CHECK(gc_set_profile_rate(PROFILE_RATE) == 0);
    repeat(allocate_sampled);
    atomic_store(&is_over, 1);
    pthread_join(striker, NULL);
    TEST_CHECK(n_handled > 0);
    return 0;
}
