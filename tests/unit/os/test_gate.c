/* The gate: whoever changes the word first goes first; a thread that comes back in a stop waits for its end.
 */
#include "stop_harness.h"

enum { N_ROUNDS = 2000, BUSY_S = 60, N_SPINS = 512 };

static volatile uint64_t n_steps;
static volatile uint32_t may_publish = 1, is_published, may_leave, is_back;

static struct os_thread *volatile self_thread;

static void *wait_published(void *arg)
{
    struct os_gate_frame frame;

    (void)arg;
    self_thread = os_thread_register();
    while (!may_publish)
        continue;
    os_gate_publish(&frame);
    is_published = frame.is_published;
    while (!may_leave)
        sched_yield();
    os_gate_leave(&frame);
    is_back = 1;
    os_thread_unregister();
    return NULL;
}

static pthread_t start_published(void)
{
    pthread_t thread;

    is_published = may_leave = is_back = 0;
    thread = world_spawn(wait_published, NULL);
    while (!is_published)
        sched_yield();
    return thread;
}

static void begin_and_hold(struct os_thread *t, bool is_held)
{
    assert_int_equal(os_stop_prepare(), 0);
    memset(world_slots, 0, 2 * sizeof(world_slots[0]));
    world_slots[0].tid = t->tid;
    world_slots[0].thread = t;
    os_stop_begin(world_slots, 1);
    assert_true(os_gate_hold(t) == is_held);
    world_slots[0].state = is_held ? OS_STOP_PUBLISHED : OS_STOP_SENT;
}

static void sleep_ms(unsigned ms)
{
    struct timespec ts = {0, ms * 1000000L};

    nanosleep(&ts, NULL);
}

static void a_held_thread_waits_for_the_end(void **state)
{
    pthread_t thread = start_published();

    (void)state;
    assert_int_equal(self_thread->gate, OS_GATE_PUBLISHED);
    begin_and_hold(self_thread, true);
    assert_int_equal(self_thread->gate, OS_GATE_HELD);
    may_leave = 1;
    sleep_ms(20);
    assert_int_equal(is_back, 0);
    os_stop_end();
    pthread_join(thread, NULL);
    assert_int_equal(is_back, 1);
}

static uint32_t other_woke;

/* Whoever is asked wakes, or os_stop_end does. */
static bool wake_instead(uint32_t epoch)
{
    assert_int_equal(epoch % 2, 0);
    assert_int_equal(epoch, os_stop_epoch());
    if (other_woke++ % 2 != 0)
        return false;
    os_stop_wake();
    return true;
}

static void somebody_else_may_wake(void **state)
{
    (void)state;
    other_woke = 0;
    os_stop_set_waker(wake_instead);
    a_held_thread_waits_for_the_end(NULL);
    a_held_thread_waits_for_the_end(NULL);
    os_stop_set_waker(NULL);
    assert_int_equal(other_woke, 2);
}

/* A signal of the program's that the thread would take makes it one like any other. */
static void *note_deaf(void *arg)
{
    sigset_t all, before;

    (void)arg;
    struct os_thread *t = os_thread_register();
    os_gate_note_deaf();
    assert_false(t->is_deaf);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    os_gate_note_deaf();
    assert_true(t->is_deaf);
    sigdelset(&all, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    os_gate_note_deaf();
    assert_false(t->is_deaf);
    t->is_deaf = true;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    os_thread_unregister();
    t = os_thread_register(); /* the same record */
    assert_false(t->is_deaf);
    os_thread_unregister();
    return NULL;
}

static void who_blocks_all_signals_is_deaf(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, note_deaf, NULL), 0);
    pthread_join(thread, NULL);
}

static void a_held_thread_may_stay_in_its_call(void **state)
{
    pthread_t thread = start_published();

    (void)state;
    for (int i = 0; i < 3; i++) { /* held by one stop after the other */
        begin_and_hold(self_thread, true);
        os_stop_end();
        assert_int_equal(self_thread->gate, OS_GATE_PUBLISHED);
    }
    may_leave = 1;
    pthread_join(thread, NULL);
}

/* Asleep, and not where it waits to be told: there it spins. */
static bool sleeps_in_publish(void)
{
    struct os_task_state task;

    return self_thread->gate == OS_GATE_PUBLISHED && os_task_state(self_thread->tid, &task) == 0 && task.state == 'S';
}

/* The stop may have found the gate open: its signal is on the way, and must not end the call. */
static void nobody_goes_into_a_call_in_a_stop(void **state)
{
    pthread_t thread;

    (void)state;
    if (is_emulated())
        skip(); /* the state of threads cannot be asked for */
    self_thread = NULL;
    may_publish = is_published = 0;
    may_leave = 1;
    thread = world_spawn(wait_published, NULL);
    while (self_thread == NULL)
        sched_yield();
    assert_int_equal(os_stop_prepare(), 0);
    memset(world_slots, 0, sizeof(world_slots[0]));
    os_stop_begin(world_slots, 1);
    may_publish = 1;
    while (!is_published && !sleeps_in_publish())
        sched_yield();
    uint32_t was_published = is_published;
    os_stop_end();
    pthread_join(thread, NULL);
    assert_int_equal(was_published, 0);
    assert_int_equal(is_published, 1);
}

static volatile uint32_t is_borrowed;

/* Borrows the waiting thread's gate for a while; a stop that comes meanwhile lets it go on. */
static void *borrow_for_a_while(void *arg)
{
    (void)arg;
    os_critical_enter();
    assert_true(os_gate_borrow(self_thread));
    assert_false(os_gate_borrow(self_thread)); /* one at a time */
    is_borrowed = 1;
    sleep_ms(30);
    is_borrowed = 0;
    os_gate_return(self_thread);
    os_critical_leave();
    return NULL;
}

static pthread_t start_borrower(void)
{
    pthread_t borrower = world_spawn(borrow_for_a_while, NULL);

    while (!is_borrowed)
        sched_yield();
    return borrower;
}

static void a_borrowed_thread_waits_for_the_return(void **state)
{
    pthread_t thread = start_published(), borrower = start_borrower();

    (void)state;
    may_leave = 1;
    pthread_join(thread, NULL);
    assert_int_equal(is_borrowed, 0);
    pthread_join(borrower, NULL);
}

static void a_stop_waits_for_the_return(void **state)
{
    pthread_t thread = start_published(), borrower = start_borrower();

    (void)state;
    begin_and_hold(self_thread, true);
    assert_int_equal(is_borrowed, 0);
    os_stop_end();
    may_leave = 1;
    pthread_join(thread, NULL);
    pthread_join(borrower, NULL);
}

static void a_running_thread_cannot_be_borrowed(void **state)
{
    pthread_t thread = start_published();

    (void)state;
    may_leave = 1;
    while (self_thread->gate != OS_GATE_RUNNING)
        sched_yield();
    os_critical_enter();
    assert_false(os_gate_borrow(self_thread));
    os_critical_leave();
    pthread_join(thread, NULL);
}

static void a_thread_that_left_cannot_be_held(void **state)
{
    struct os_gate_frame frame;
    struct os_thread *t = os_thread_register();

    (void)state;
    os_gate_publish(&frame);
    assert_true(frame.is_published);
    os_gate_leave(&frame);
    begin_and_hold(t, false);
    os_stop_end();
    os_thread_unregister();
}

static void nothing_is_published_where_it_would_be_wrong(void **state)
{
    struct os_gate_frame outer, inner;

    (void)state;
    os_gate_publish(&outer); /* not registered */
    assert_false(outer.is_published);
    os_gate_leave(&outer);
    os_thread_register();
    os_critical_enter();
    os_gate_publish(&outer); /* its locks are held */
    assert_false(outer.is_published);
    os_gate_leave(&outer);
    os_critical_leave();
    os_gate_publish(&outer);
    os_gate_publish(&inner); /* published already */
    assert_true(outer.is_published);
    assert_false(inner.is_published);
    os_gate_leave(&inner);
    assert_int_equal(os_tls.thread->gate, OS_GATE_PUBLISHED);
    os_gate_leave(&outer);
    assert_int_equal(os_tls.thread->gate, OS_GATE_RUNNING);
    os_thread_unregister();
}

static void a_handler_steps_out_and_back(void **state)
{
    struct os_gate_frame frame;

    (void)state;
    assert_false(os_gate_suspend());
    os_gate_resume(false);
    os_thread_register();
    assert_false(os_gate_suspend());
    os_gate_publish(&frame);
    assert_true(os_gate_suspend());
    assert_int_equal(os_tls.thread->gate, OS_GATE_RUNNING);
    assert_false(os_gate_suspend()); /* a handler in a handler */
    os_gate_resume(true);
    assert_int_equal(os_tls.thread->gate, OS_GATE_PUBLISHED);
    os_gate_leave(&frame);
    os_thread_unregister();
}

/* Callee-saved registers hold what the callers of the wrapper keep: they must be in the frame, and the frame
 * above the published stack pointer. */
static __attribute__((noinline)) void publish_with_register(uintptr_t word, struct os_gate_frame *frame)
{
#if defined(__x86_64__)
    register uintptr_t kept __asm__("r13") = word;
#else
    register uintptr_t kept __asm__("x23") = word;
#endif

    __asm__ volatile("" : "+r"(kept));
    os_gate_publish(frame);
    __asm__ volatile("" : "+r"(kept));
}

static void registers_are_in_the_frame(void **state)
{
    struct os_gate_frame frame;
    unsigned n_found = 0;

    (void)state;
    os_thread_register();
    publish_with_register(0x123456789abcul, &frame);
    for (size_t i = 0; i < sizeof(frame.regs) / sizeof(frame.regs[0]); i++)
        n_found += frame.regs[i] == 0x123456789abcul;
    assert_true(n_found >= 1);
    assert_true(os_tls.thread->published_sp < (uintptr_t)&frame);
    assert_true((uintptr_t)&frame - os_tls.thread->published_sp < 4096);
    os_gate_leave(&frame);
    os_thread_unregister();
}

/* ---- both at once ------------------------------------------------------------------------- */

/* Outside it stays for a while, too: on a busy machine it is else met only where it waits. */
static void *publish_and_step(void *arg)
{
    struct os_gate_frame frame;

    (void)arg;
    os_thread_register();
    while (!world_is_over) {
        os_gate_publish(&frame);
        os_gate_leave(&frame);
        n_steps++;
        for (volatile unsigned spin = 0; spin < n_steps % N_SPINS; spin++)
            continue;
    }
    os_thread_unregister();
    return NULL;
}

static void nobody_passes_a_held_gate(void **state)
{
    uint64_t end_ns = os_clock_ns() + BUSY_S * UINT64_C(1000000000);
    pthread_t thread;
    unsigned i = 0;

    (void)state;
    if (is_emulated())
        skip();
    n_steps = 0;
    world_n_held = 0;
    thread = world_spawn(publish_and_step, NULL);
    /* Chance decides where the thread is met: until it was met both ways. Where many others run, a round takes some of their turns. */
    for (; (i < N_ROUNDS || world_n_held == 0 || world_n_held == i) && os_clock_ns() < end_ns; i++) {
        uint64_t before;

        assert_true(world_stop());
        before = n_steps;
        sched_yield();
        assert_true(n_steps == before);
        world_start();
        while (n_steps == before)
            sched_yield();
    }
    world_is_over = true;
    pthread_join(thread, NULL);
    world_is_over = false;
    print_message("held %u of %u\n", world_n_held, i);
    assert_true(i < N_ROUNDS || (world_n_held > 0 && world_n_held < i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_thread_waits_for_the_end),
        cmocka_unit_test(somebody_else_may_wake),
        cmocka_unit_test(who_blocks_all_signals_is_deaf),
        cmocka_unit_test(a_held_thread_may_stay_in_its_call),
        cmocka_unit_test(nobody_goes_into_a_call_in_a_stop),
        cmocka_unit_test(a_borrowed_thread_waits_for_the_return),
        cmocka_unit_test(a_stop_waits_for_the_return),
        cmocka_unit_test(a_running_thread_cannot_be_borrowed),
        cmocka_unit_test(a_thread_that_left_cannot_be_held),
        cmocka_unit_test(nothing_is_published_where_it_would_be_wrong),
        cmocka_unit_test(a_handler_steps_out_and_back),
        cmocka_unit_test(registers_are_in_the_frame),
        cmocka_unit_test(nobody_passes_a_held_gate),
    };

    os_process_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
