/* Stopping threads of every kind, again and again: while the world is stopped nothing moves, nothing is half done, and
 * every register is found. */
#include "stop_harness.h"


#include "base/compiler.h"

enum {
    N_EACH = 7,
    N_STOPS = 40, /* UNIT_N_STOPS in the environment asks for more */
    N_THREADS_MAX = 64,
    CLONE_STACK_BYTES = 65536,
};

/* One per thread of a test: counted by it, looked at while it is stopped. */
struct worker {
    _Alignas(64) volatile uint64_t n_steps;
    volatile uint32_t is_inside; /* in a critical section or in a fast path */
    volatile pid_t tid;
};
static struct worker workers[N_THREADS_MAX];
static pthread_t threads[N_THREADS_MAX];
static unsigned n_workers, n_threads;

extern const char __start_gcm_fast[], __stop_gcm_fast[];

/* ---- kinds of threads -------------------------------------------------------------- */

static void *spin(void *arg)
{
    struct worker *w = arg;

    while (!world_is_over)
        w->n_steps++;
    return NULL;
}

static void *sleep_long(void *arg)
{
    struct worker *w = arg;
    struct timespec ts = {0, 300000};

    while (!world_is_over) {
        nanosleep(&ts, NULL);
        w->n_steps++;
    }
    return NULL;
}

static void *spin_blocked(void *arg)
{
    struct worker *w = arg;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!world_is_over) {
        w->n_steps++;
        sched_yield();
    }
    return NULL;
}

static void *wait_for_signals(void *arg)
{
    struct worker *w = arg;
    struct timespec ts = {0, 1000000};
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!world_is_over) {
        sigtimedwait(&all, NULL, &ts);
        w->n_steps++;
    }
    return NULL;
}

static void *publish(void *arg)
{
    struct worker *w = arg;
    struct timespec ts = {0, 300000};
    struct os_gate_frame frame;

    os_thread_register();
    while (!world_is_over) {
        os_gate_publish(&frame);
        nanosleep(&ts, NULL);
        os_gate_leave(&frame);
        w->n_steps++;
    }
    os_thread_unregister();
    return NULL;
}

static struct os_lock shared_lock = OS_LOCK_INIT(OS_RANK_CENTRAL);

static void *lock_and_unlock(void *arg)
{
    struct worker *w = arg;

    os_thread_register();
    while (!world_is_over) {
        os_critical_enter();
        w->is_inside = 1;
        os_lock(&shared_lock);
        w->n_steps++;
        os_unlock(&shared_lock);
        w->is_inside = 0;
        os_critical_leave();
    }
    os_thread_unregister();
    return NULL;
}

/* As malloc is built: a fast path that fails over to a slow one where the thread's cache is empty. */
static __thread volatile bool fast_is_cut;
static volatile unsigned n_slow_paths;

static void cut_fast(void)
{
    fast_is_cut = true;
}

static void mend_fast(void)
{
    fast_is_cut = false;
}

static NOINLINE void slow_path(struct worker *w)
{
    os_critical_enter();
    assert_false(fast_is_cut);
    w->n_steps++;
    n_slow_paths++;
    os_critical_leave();
}

FAST_TEXT static void fast_path(struct worker *w)
{
    if (fast_is_cut) {
        slow_path(w);
        return;
    }
    w->is_inside = 1;
    for (int i = 0; i < 20; i++)
        w->n_steps++;
    w->is_inside = 0;
}

static void *run_fast_paths(void *arg)
{
    while (!world_is_over)
        fast_path(arg);
    return NULL;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void *make_threads(void *arg)
{
    struct worker *w = arg;

    while (!world_is_over) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
            pthread_join(thread, NULL);
        w->n_steps++;
    }
    return NULL;
}

static void start_kind(void *(*fn)(void *), unsigned n)
{
    while (n-- > 0) {
        assert_true(n_threads < N_THREADS_MAX && n_workers < N_THREADS_MAX);
        threads[n_threads++] = world_spawn(fn, &workers[n_workers++]);
    }
}

static void end_all(void)
{
    world_is_over = true;
    while (n_threads > 0)
        pthread_join(threads[--n_threads], NULL);
    world_is_over = false;
    n_workers = 0;
    memset(workers, 0, sizeof(workers));
}

/* ---- threads that libc does not know -------------------------------------------------- */

struct clone_thread {
    char *stack;
    pid_t tid; /* the kernel clears it and wakes it when the thread is gone */
};
static struct clone_thread clones[N_THREADS_MAX];
static unsigned n_clones;

/* No libc, no TLS: the base register may be anything. */
static int clone_spin(void *arg)
{
    struct worker *w = arg;

    while (!world_is_over)
        w->n_steps++;
    return 0;
}

static void start_clone(int tls_flag, void *tls)
{
    struct clone_thread *c = &clones[n_clones++];
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | tls_flag;

    c->stack = mmap(NULL, CLONE_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(c->stack != MAP_FAILED);
    assert_true(clone(clone_spin, c->stack + CLONE_STACK_BYTES, flags, &workers[n_workers++], &c->tid, tls, &c->tid) > 0);
}

static void end_clones(void)
{
    world_is_over = true;
    while (n_clones > 0) {
        struct clone_thread *c = &clones[--n_clones];
        pid_t tid;

        while ((tid = __atomic_load_n(&c->tid, __ATOMIC_ACQUIRE)) != 0)
            syscall(SYS_futex, &c->tid, 0 /* FUTEX_WAIT, not private: so the kernel wakes */, tid, NULL, NULL, 0);
        munmap(c->stack, CLONE_STACK_BYTES);
    }
}

/* ---- what is looked at while all stand still ---------------------------------------------- */

static void assert_nothing_moves(unsigned n_pause_us)
{
    uint64_t before[N_THREADS_MAX];
    struct timespec ts = {0, n_pause_us * 1000L};

    for (unsigned i = 0; i < n_workers; i++) {
        before[i] = workers[i].n_steps;
        assert_int_equal(workers[i].is_inside, 0);
    }
    if (n_pause_us != 0)
        nanosleep(&ts, NULL);
    for (unsigned i = 0; i < n_workers; i++)
        assert_true(workers[i].n_steps == before[i]);
}

static void assert_all_move(void)
{
    uint64_t before[N_THREADS_MAX];
    uint64_t begin_ns = os_clock_ns();

    for (unsigned i = 0; i < n_workers; i++)
        before[i] = workers[i].n_steps;
    for (unsigned i = 0; i < n_workers; i++) {
        while (workers[i].n_steps == before[i] && os_clock_ns() - begin_ns < 20000000000ull)
            sched_yield();
        assert_true(workers[i].n_steps != before[i]);
    }
}

static void stop_many_times(void)
{
    const char *wanted = getenv("UNIT_N_STOPS");
    unsigned n_stops = wanted != NULL ? (unsigned)atoi(wanted) : N_STOPS;

    for (unsigned i = 0; i < n_stops; i++) {
        assert_true(world_stop());
        assert_nothing_moves(i % 100 == 0 ? 2000 : 0);
        world_start();
    }
    assert_all_move();
}

static int group_setup(void **state)
{
    (void)state;
    os_process_init();
    os_stop_set_fast_text((uintptr_t)__start_gcm_fast, (uintptr_t)__stop_gcm_fast);
    os_stop_set_fast_hooks(cut_fast, mend_fast);
    return 0;
}

/* ---- the tests -------------------------------------------------------------------------------- */

static void stops_threads_of_every_kind(void **state)
{
    static char foreign_tls[8192] __attribute__((aligned(64)));

    (void)state;
    start_kind(spin, N_EACH);
    start_kind(sleep_long, N_EACH);
    start_kind(spin_blocked, N_EACH);
    start_kind(wait_for_signals, N_EACH);
    start_kind(publish, N_EACH);
    start_kind(lock_and_unlock, N_EACH);
    start_kind(run_fast_paths, N_EACH);
    start_kind(make_threads, 1);
    start_clone(0, NULL);                               /* shares the TLS of this thread */
    start_clone(CLONE_SETTLS, foreign_tls + 4096);      /* TLS of zeros */
    start_clone(CLONE_SETTLS, NULL);                    /* TLS that faults */
    world_n_busy = world_n_critical = world_n_held = 0;
    stop_many_times();
    end_clones();
    end_all();
    print_message("busy %u, critical %u, held %u, gone %u, slow paths %u\n", world_n_busy, world_n_critical,
                  world_n_held, world_n_gone, n_slow_paths);
    assert_true(world_n_held > 0 && n_slow_paths > 0);
}

static volatile unsigned n_changes_of_id;

/* libc changes the ids of all threads by signal 33 and waits until each has done it: one lost, and this never ends. */
static void *change_ids(void *arg)
{
    (void)arg;
    while (!world_is_over) {
        if (seteuid(1000) != 0 || seteuid(0) != 0)
            break;
        n_changes_of_id++;
    }
    return NULL;
}

static void passes_changes_of_id_on_to_libc(void **state)
{
    uint64_t end_ns = os_clock_ns() + 3000000000ull;
    unsigned n_stops = 0;

    (void)state;
    if (geteuid() != 0)
        skip();
    start_kind(spin_blocked, 3);
    start_kind(sleep_long, 3);
    start_kind(publish, 2);
    start_kind(lock_and_unlock, 2);
    threads[n_threads++] = world_spawn(change_ids, NULL);
    n_changes_of_id = 0;
    while (os_clock_ns() < end_ns) {
        unsigned n_before;

        assert_true(world_stop());
        n_before = n_changes_of_id;
        assert_nothing_moves(0);
        assert_int_equal(n_changes_of_id, n_before);
        world_start();
        n_stops++;
    }
    assert_all_move();
    end_all();
    assert_int_equal(geteuid(), 0);
    print_message("%u stops, %u changes of id\n", n_stops, n_changes_of_id);
    assert_true(n_changes_of_id > 10 && n_stops > 10);
}

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
                     : [v] "i"(MAGIC_VECTOR ^ 0xff), [g] "i"(MAGIC_GENERAL ^ 0xff), [key] "i"(0xff), [over] "m"(world_is_over)
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
    assert_true(slot->n_regs >= 17 && slot->n_regs <= 34);
    assert_true(has_word(slot->regs, slot->regs + slot->n_regs, MAGIC_GENERAL));
    assert_true(slot->frame_lo < slot->frame_hi);
    assert_true(slot->frame_hi - slot->frame_lo < 65536);
    assert_true(has_word((uintptr_t *)(slot->frame_lo & ~7ul), (uintptr_t *)(slot->frame_hi & ~7ul), MAGIC_VECTOR));
    assert_true(has_word((uintptr_t *)(slot->frame_lo & ~7ul), (uintptr_t *)(slot->frame_hi & ~7ul), MAGIC_GENERAL));
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
    assert_true(slot->sp < (uintptr_t)alternate_stack || slot->sp >= (uintptr_t)alternate_stack + sizeof(alternate_stack));
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
        os_stop_wait(1000000);
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
    os_stop_wait(20000000);
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

/* ---- failures ------------------------------------------------------------------------------------------- */

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

/* ---- fork -------------------------------------------------------------------------------------------------- */

static void child_of_a_fork_stops_its_own_threads(void **state)
{
    pid_t pid;
    int status = -1;

    (void)state;
    start_kind(spin, 2);
    assert_true(world_stop()); /* so that the child inherits the middle of a stop */
    pid = fork();
    if (pid == 0) {
        n_workers = n_threads = 0;
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
        cmocka_unit_test(stops_threads_of_every_kind),
        cmocka_unit_test(passes_changes_of_id_on_to_libc),
        cmocka_unit_test(finds_all_registers),
        cmocka_unit_test(takes_the_stack_pointer_of_the_program),
        cmocka_unit_test(late_answers_are_dropped),
        cmocka_unit_test(stale_signals_are_dropped),
        cmocka_unit_test(parks_where_the_outermost_section_ends),
#if GCM_CHECKING
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(failed_second_signal_is_busy),
#endif
        cmocka_unit_test(child_of_a_fork_stops_its_own_threads),
        cmocka_unit_test(default_action_is_kept),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
