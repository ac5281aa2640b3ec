/* The marker's helpers: none begins while they end. */
#include "gc/mark_team.h"

#include <errno.h>
#include <pthread.h>

#include "gc_blocks.h"

static struct {
    int n_allowed, n_alive; /* atomic */
    void *(*fn)(void *);
} pokers;

/* Asks for helpers when it is told to end, as a thread of the program may do meanwhile. */
static void *help_and_poke(void *arg)
{
    pokers.fn(arg);
    mark_team_poke();
    __atomic_sub_fetch(&pokers.n_alive, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static int start_poker(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    if (pokers.n_allowed == 0)
        return EAGAIN;
    pokers.n_allowed--;
    pokers.fn = fn;
    __atomic_add_fetch(&pokers.n_alive, 1, __ATOMIC_SEQ_CST);
    assert_int_equal(pthread_create(&thread, NULL, help_and_poke, arg), 0);
    return pthread_detach(thread);
}

static void none_begins_while_they_end(void **state)
{
    (void)state;
    mark_team_set_starter(start_poker);
    mark_team_set_min_heap(0);
    mark_team_config(4);
    pokers.n_allowed = 1; /* of three, so that there is something to ask for */
    mark_team_poke();
    assert_int_equal(mark_team_size(), 2);
    pokers.n_allowed = 3;
    mark_team_end();
    assert_int_equal(mark_team_size(), 1);
    assert_int_equal(__atomic_load_n(&pokers.n_alive, __ATOMIC_SEQ_CST), 0);
    mark_team_poke();
    assert_int_equal(mark_team_size(), 4 - pokers.n_allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_begins_while_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
