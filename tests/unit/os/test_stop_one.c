/* Stopping one thread: its registers, its critical sections, its signals that come too late, and failures. */
#include "stop_harness.h"

#include "os/stop_state.h"

/* ---- registers ------------------------------------------------------------------------------ */

#define MAGIC_GENERAL 0x123456789abcull
#define MAGIC_VECTOR 0x2468ace01357ull

/* A thread whose only copy of a word is in a register. */
static void *hold_in_registers(void *arg)
{
    struct worker *w = arg;

    w->tid = os_gettid();
#if defined(__x86_64__)
    __asm__ volatile("movabs %[v], %%rax\n"
                     "xor %[key], %%rax\n"
                     "movq %%rax, %%xmm15\n"
                     "movabs %[g], %%r14\n"
                     "xor %[key], %%r14\n"
                     "xor %%eax, %%eax\n"
                     "1: incq %[steps]\n"
                     "pause\n"
                     "cmpb $0, %[over]\n"
                     "je 1b\n"
                     : [steps] "+m"(w->n_steps)
                     : [v] "i"(MAGIC_VECTOR ^ 0xff), [g] "i"(MAGIC_GENERAL ^ 0xff), [key] "i"(0xff),
                       [over] "m"(world_is_over)
                     : "rax", "r14", "xmm15", "cc", "memory");
#else
    __asm__ volatile("eor x9, %[v], #0xff\n"
                     "fmov d15, x9\n"
                     "eor x20, %[g], #0xff\n"
                     "mov x9, #0\n"
                     "1: ldr x10, %[steps]\n"
                     "add x10, x10, #1\n"
                     "str x10, %[steps]\n"
                     "ldrb w10, %[over]\n"
                     "cbz w10, 1b\n"
                     : [steps] "+m"(w->n_steps)
                     : [v] "r"(MAGIC_VECTOR ^ 0xff), [g] "r"(MAGIC_GENERAL ^ 0xff), [over] "m"(world_is_over)
                     : "x9", "x10", "x20", "d15", "cc", "memory");
#endif
    return NULL;
}

static bool has_word(const uintptr_t *p, const uintptr_t *end, uintptr_t word)
{
    while (p < end && *p != word)
        p++;
    return p < end;
}

static void find_registers_of(struct worker *w)
{
    struct os_stop_slot *slot;

    while (w->n_steps == 0)
        sched_yield();
    assert_true(world_stop());
    slot = world_slot_of(w->tid);
    assert_non_null(slot);
    assert_true(slot->frame_lo < slot->frame_hi);
    assert_true(slot->frame_hi - slot->frame_lo < 65536);
    assert_true(
        has_word((uintptr_t *)(slot->frame_lo & ~7ul), (uintptr_t *)(slot->frame_hi & ~7ul), MAGIC_VECTOR));
    assert_true(
        has_word((uintptr_t *)(slot->frame_lo & ~7ul), (uintptr_t *)(slot->frame_hi & ~7ul), MAGIC_GENERAL));
}

static void finds_all_registers(void **state)
{
    (void)state;
    start_kind(hold_in_registers, 1);
    find_registers_of(&workers[0]);
    assert_true(world_slots[0].frame_hi <= world_slots[0].sp); /* the frame is on the same stack, below */
    world_start();
    end_all();
}

static char alternate_stack[65536];

static void *hold_on_alternate_stack(void *arg)
{
    stack_t ss = {.ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack)};

    sigaltstack(&ss, NULL);
    return hold_in_registers(arg);
}

static void takes_the_stack_pointer_of_the_program(void **state)
{
    struct os_stop_slot *slot = &world_slots[0];

    (void)state;
    start_kind(hold_on_alternate_stack, 1);
    find_registers_of(&workers[0]);
    assert_true(slot->frame_lo >= (uintptr_t)alternate_stack);
    assert_true(slot->frame_hi <= (uintptr_t)alternate_stack + sizeof(alternate_stack));
    assert_true(slot->sp < (uintptr_t)alternate_stack ||
                slot->sp >= (uintptr_t)alternate_stack + sizeof(alternate_stack));
    world_start();
    end_all();
}

/* ---- abandoned stops -------------------------------------------------------------------------- */

static volatile uint32_t section_step; /* 1: in the section, 2: may leave, 3: has left */

/* Only a raw system call can keep signal 33 out. */
static void *keep_signal_out(void *arg)
{
    struct worker *w = arg;
    uint64_t all = ~UINT64_C(0);

    w->tid = os_gettid();
    os_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, 0, 8, 0, 0);
    section_step = 1;
    while (section_step == 1)
        w->n_steps++;
    os_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&all, 0, 8, 0, 0);
    section_step = 3;
    while (!world_is_over)
        w->n_steps++;
    return NULL;
}

static void begin_with_one_slot(pid_t tid)
{
    assert_int_equal(os_stop_prepare(), 0);
    memset(world_slots, 0, 2 * sizeof(world_slots[0]));
    world_slots[0].tid = tid;
    os_stop_begin(world_slots, 1);
}

static void wait_for_state(uint32_t state)
{
    while (__atomic_load_n(&world_slots[0].state, __ATOMIC_ACQUIRE) != state)
        os_stop_wait(1, 1000000);
}

static void wait_for_step(uint32_t step)
{
    while (section_step != step)
        sched_yield();
}

/* A thread that answers a stop that is over neither parks nor writes to its slot. */
static void late_answers_are_dropped(void **state)
{
    struct os_task_state task;

    (void)state;
    section_step = 0;
    start_kind(keep_signal_out, 1);
    wait_for_step(1);
    begin_with_one_slot(workers[0].tid);
    assert_int_equal(os_stop_send(0), 0);
    os_stop_wait(1, 20000000);
    assert_int_equal(world_slots[0].state, OS_STOP_SENT);
    assert_int_equal(os_task_state(workers[0].tid, &task), 0);
    assert_true((task.sig_blocked >> 32 & 1) != 0 && os_task_is_stoppable(&task));
    os_stop_end();
    section_step = 2;
    wait_for_step(3);
    assert_all_move();
    assert_int_equal(world_slots[0].state, OS_STOP_SENT);
    assert_true(world_stop()); /* and the next stop works */
    world_start();
    end_all();
}

/* Signals of ours with an old epoch, or a forged one, while nothing is stopped and while all is. */
static void send_by_hand(pid_t tid, uintptr_t value)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = 33;
    info.si_code = SI_QUEUE;
    info.si_errno = 0x67634d73;
    info.si_pid = os_getpid();
    info.si_value.sival_ptr = (void *)value;
    assert_int_equal(os_syscall(SYS_rt_tgsigqueueinfo, os_getpid(), tid, 33, (long)&info, 0, 0), 0);
}

static void stale_signals_are_dropped(void **state)
{
    (void)state;
    start_kind(hold_in_registers, 2);
    while (workers[0].n_steps == 0 || workers[1].n_steps == 0)
        sched_yield();
    for (uintptr_t epoch = 0; epoch < 50; epoch++)
        send_by_hand(workers[0].tid, epoch << 32);
    assert_all_move();
    send_by_hand(os_gettid(), 0xffffffff00000000u);
    assert_true(world_stop());
    send_by_hand(os_gettid(), 1ull << 32);           /* of a stop that is over */
    send_by_hand(os_gettid(), 0xfffffffffffffffful); /* index out of range */
    assert_nothing_moves(1000);
    world_start();
    assert_all_move();
    end_all();
}

static void *answer_for_another(void *arg)
{
    struct worker *w = arg;

    while (section_step == 0)
        continue;
    send_by_hand(os_gettid(), (uintptr_t)os_stop_state.epoch << 32); /* taken before this call is back */
    while (!world_is_over)
        w->n_steps++;
    return NULL;
}

/* A signal for the slot of another thread: one that shares the thread's local data noted its stop there, or nobody of ours
 * sent it. */
static void nobody_answers_for_another(void **state)
{
    (void)state;
    section_step = 0;
    start_kind(answer_for_another, 1);
    begin_with_one_slot(os_gettid());
    section_step = 1;
    while (workers[0].n_steps == 0 && __atomic_load_n(&world_slots[0].state, __ATOMIC_ACQUIRE) != OS_STOP_STOPPED)
        sched_yield();
    os_stop_end();
    assert_int_not_equal(world_slots[0].state, OS_STOP_STOPPED);
    end_all();
}

/* ---- one thread and its critical sections --------------------------------------------------------- */

static void *stay_in_a_section(void *arg)
{
    struct worker *w = arg;

    w->tid = os_gettid();
    os_critical_enter();
    os_critical_enter();
    section_step = 1;
    while (section_step == 1)
        w->n_steps++;
    os_critical_leave();
    os_critical_leave();
    section_step = 3;
    while (!world_is_over)
        w->n_steps++;
    return NULL;
}

static void stop_in_a_section(void)
{
    section_step = 0;
    start_kind(stay_in_a_section, 1);
    wait_for_step(1);
    begin_with_one_slot(workers[0].tid);
    assert_int_equal(os_stop_send(0), 0);
    wait_for_state(OS_STOP_CRITICAL);
    assert_all_move();
}

static void parks_where_the_outermost_section_ends(void **state)
{
    (void)state;
    stop_in_a_section();
    section_step = 2;
    wait_for_state(OS_STOP_STOPPED);
    assert_int_equal(section_step, 2);
    assert_nothing_moves(1000);
    os_stop_end();
    assert_all_move();
    assert_int_equal(section_step, 3);
    end_all();
}

/* A thread that shares the thread-local data of one that is in a section, and no longer registered, would
 * wait to be told to park by nobody. */
static void sharing_a_section_is_not_being_in_it(void **state)
{
    (void)state;
    os_thread_register();
    os_thread_unregister();
    start_clone(0, NULL);
    os_critical_enter();
    begin_with_one_slot(clones[0].tid);
    assert_int_equal(os_stop_send(0), 0);
    while (__atomic_load_n(&world_slots[0].state, __ATOMIC_ACQUIRE) == OS_STOP_SENT)
        os_stop_wait(1, 1000000);
    assert_int_equal(world_slots[0].state, OS_STOP_STOPPED);
    assert_null(os_tls.stop_pending);
    assert_nothing_moves(1000);
    os_stop_end();
    os_critical_leave();
    assert_all_move();
    end_clones();
    end_all();
}

/* ---- failures -------------------------------------------------------------------------------------------
 */

#if GCM_CHECKING
static void failures_are_told(void **state)
{
    (void)state;
    os_fault_set(SYS_rt_sigaction, 0, 1, EPERM);
    assert_int_equal(os_stop_prepare(), -EPERM);
    os_fault_set(-2, 0, 0, 0);
    assert_int_equal(os_stop_prepare(), 0);
    os_stop_begin(world_slots, 1);
    world_slots[0] = (struct os_stop_slot){.tid = os_gettid() + 100000};
    assert_int_equal(os_stop_send(0), -ESRCH);
    os_fault_set(SYS_rt_tgsigqueueinfo, 0, 1, EAGAIN);
    assert_int_equal(os_stop_send(0), -EAGAIN);
    os_fault_set(-2, 0, 0, 0);
    os_stop_end();
}

/* The queue of signals is full when a thread leaves its section: the collector is told to try again. */
static void failed_second_signal_is_busy(void **state)
{
    (void)state;
    stop_in_a_section();
    os_fault_set(SYS_rt_tgsigqueueinfo, 0, 4, EAGAIN);
    section_step = 2;
    wait_for_state(OS_STOP_BUSY);
    assert_all_move();
    os_fault_set(-2, 0, 0, 0);
    assert_int_equal(os_stop_send(0), 0);
    wait_for_state(OS_STOP_STOPPED);
    assert_nothing_moves(1000);
    assert_int_equal(os_stop_send(0), 0); /* stopped already: nothing is sent, nothing is changed */
    assert_int_equal(world_slots[0].state, OS_STOP_STOPPED);
    os_stop_end();
    assert_all_move();
    end_all();
}
#endif

/* ---- fork
 * -------------------------------------------------------------------------------------------------- */

static void child_of_a_fork_stops_its_own_threads(void **state)
{
    pid_t pid;
    int status = -1;

    (void)state;
    start_kind(spin, 2);
    assert_true(world_stop()); /* so that the child inherits the middle of a stop */
    __atomic_add_fetch(&os_stop_state.n_inside, 1, __ATOMIC_SEQ_CST); /* and a handler that is about to answer */
    pid = fork();
    if (pid == 0) {
        n_workers = n_threads = 0;
        alarm(60);
        os_process_fork_child();
        os_thread_fork_child();
        os_stop_fork_child();
        if (os_stop_is_world_stopped())
            _exit(1);
        start_kind(spin, 2);
        for (int i = 0; i < 20; i++) {
            if (!world_stop() || world_n_slots != 2)
                _exit(2);
            world_start();
        }
        end_all();
        _exit(0);
    }
    __atomic_sub_fetch(&os_stop_state.n_inside, 1, __ATOMIC_SEQ_CST);
    world_start();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    end_all();
}

/* A signal 33 that neither we nor libc expect does what it would have done without us. */
static void default_action_is_kept(void **state)
{
    pid_t pid;
    int status = -1;

    (void)state;
    pid = fork();
    if (pid == 0) {
        struct {
            void *handler;
            unsigned long flags;
            void *restorer;
            uint64_t mask;
        } action = {SIG_DFL, 0, NULL, 0};

        os_process_fork_child();
        os_stop_fork_child();
        os_syscall(SYS_rt_sigaction, 33, (long)&action, 0, 8, 0, 0);
        if (os_stop_prepare() != 0)
            _exit(1);
        os_syscall(SYS_tgkill, os_getpid(), os_gettid(), 33, 0, 0, 0);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_all_registers),
        cmocka_unit_test(takes_the_stack_pointer_of_the_program),
        cmocka_unit_test(late_answers_are_dropped),
        cmocka_unit_test(stale_signals_are_dropped),
        cmocka_unit_test(nobody_answers_for_another),
        cmocka_unit_test(parks_where_the_outermost_section_ends),
        cmocka_unit_test(sharing_a_section_is_not_being_in_it),
#if GCM_CHECKING
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(failed_second_signal_is_busy),
#endif
        cmocka_unit_test(child_of_a_fork_stops_its_own_threads),
        cmocka_unit_test(default_action_is_kept),
    };

    os_process_init();
    if (is_emulated()) /* it drops si_errno, and has a thread that nobody can stop */
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
