/* Stacks and registers: what is live on them is found wherever they lie, what is dead on a known one is not. */
#include "roots_harness.h"

/* ---- stacks -------------------------------------------------------------------------------------------------- */

static volatile uintptr_t deep_addr;

/* Leaves seed i far below the caller's frame. */
__attribute__((noinline)) static void plant_deep(unsigned i)
{
    volatile uintptr_t room[4096]; /* deeper than the frame of a signal with all vector registers */

    for (size_t k = 0; k < N_ELEMENTS(room); k++)
        room[k] = 0;
    plant(&room[64], i);
    deep_addr = (uintptr_t)&room[64];
}

static void begin_with_seeds(struct harness_thread *t)
{
    if (t->arg == NULL)
        harness_begin_registered(t);
    plant_deep(0);
}

static void step_with_seed(struct harness_thread *t)
{
    volatile uintptr_t word;

    (void)t;
    plant(&word, 1);
    while (!t->is_over)
        sched_yield();
    word = 0;
}

/* Below its stack pointer nothing of a registered thread is read; of one that nobody knows, all. */
static void test_dead_space_of_stacks(void **state)
{
    struct harness_thread t = {.begin = begin_with_seeds, .end = harness_end_registered, .step = step_with_seed};

    (void)state;
    harness_spawn(&t, NULL);
    harness_sleep_us(1000);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], 0);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    harness_join(&t);
    t.arg = &t;
    harness_spawn(&t, NULL);
    harness_sleep_us(1000);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    harness_join(&t);
}

/* Stacks without guard pages are one mapping with their neighbours; none of them may be cut out by another's bounds. */
static void test_neighbouring_stacks(void **state)
{
    enum { N = 4 };
    struct harness_thread t[N] = {{0}};
    pthread_attr_t attr;

    (void)state;
    pthread_attr_init(&attr);
    pthread_attr_setguardsize(&attr, 0);
    for (int i = 0; i < N; i++) {
        t[i].begin = begin_with_seeds;
        t[i].step = step_with_seed;
        t[i].end = harness_end_registered;
        harness_spawn(&t[i], &attr);
    }
    harness_sleep_us(1000);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], 0);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    for (int i = 0; i < N; i++)
        harness_join(&t[i]);
    pthread_attr_destroy(&attr);
}

/* Own stack pointer: the caller's frame counts, what its callees left does not. */
static void test_own_stack(void **state)
{
    volatile uintptr_t word;

    (void)state;
    plant(&word, 1);
    plant_deep(0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    assert_int_equal(found[0], 0);
}

static struct epoll_event events_in_bss[3];

static void test_packed_structures(void **state)
{
    struct epoll_event events[3];
    uintptr_t word;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        plant(&word, i);
        memcpy(&events[i].data, &word, sizeof(word));
        plant(&word, 3 + i);
        memcpy(&events_in_bss[i].data, &word, sizeof(word));
    }
    wipe(&word, sizeof(word));
    assert_int_equal(scan(), SKIP_NONE);
    __asm__ volatile("" : : "r"(events) : "memory");
    for (unsigned i = 0; i < 6; i++)
        assert_true((found[i] & FOUND_BY_PACKED) != 0);
    wipe(events_in_bss, sizeof(events_in_bss));
}

/* Registers: one general, one vector, nowhere else. */
#if defined(__x86_64__)
static void step_registers(struct harness_thread *t)
{
    uintptr_t complement = seed_complement;

    __asm__ volatile("movq %[c], %%rbx\n\t"
                     "notq %%rbx\n\t"
                     "movq %%rbx, %%xmm7\n\t"
                     "addq $32, %%rbx\n\t" /* seed 2 in rbx */
                     "movq %%rbx, %%r12\n\t"
                     "addq $16, %%r12\n\t" /* seed 3 in xmm7 */
                     "movq %%r12, %%xmm7\n\t"
                     "xorl %%r12d, %%r12d\n"
                     "1: movb %[over], %%al\n\t"
                     "testb %%al, %%al\n\t"
                     "jz 1b\n\t"
                     "xorl %%ebx, %%ebx\n\t"
                     "pxor %%xmm7, %%xmm7"
                     :
                     : [c] "r"(complement), [over] "m"(t->is_over)
                     : "rax", "rbx", "r12", "xmm7", "cc", "memory");
}

static void test_registers(void **state)
{
    struct harness_thread t = {.step = step_registers};

    (void)state;
    harness_spawn(&t, NULL);
    harness_sleep_us(20000);
    assert_int_equal(scan(), SKIP_NONE);
    harness_join(&t);
    assert_true((found[2] & FOUND_BY_STACK) != 0);
    assert_true((found[3] & FOUND_BY_STACK) != 0);
}
#endif

static void step_parked(struct harness_thread *t)
{
    struct os_gate_frame frame;
    volatile uintptr_t word;

    plant(&word, 1);
    plant_deep(0);
    os_gate_publish(&frame);
    while (!t->is_over)
        os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    os_gate_leave(&frame);
    word = 0;
}

static void test_published_thread(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_parked};

    (void)state;
    harness_spawn(&t, NULL);
    harness_sleep_us(20000);
    assert_int_equal(scan(), SKIP_NONE);
    harness_join(&t);
    assert_int_equal(found[0], 0);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
}

/* ---- stacks elsewhere ---------------------------------------------------------------------------------------- */

static ucontext_t ctx_home, ctx_away;
static struct harness_thread *away_thread;

static void run_away(void)
{
    volatile uintptr_t word;

    plant(&word, 1);
    while (!away_thread->is_over)
        sched_yield();
    word = 0;
    swapcontext(&ctx_away, &ctx_home);
}

/* On a coroutine stack at t->arg; the thread's own stack holds seed 0 in its dead space and seed 2 in a frame. */
static void step_away(struct harness_thread *t)
{
    volatile uintptr_t word;

    away_thread = t;
    plant(&word, 2);
    plant_deep(0);
    getcontext(&ctx_away);
    ctx_away.uc_stack.ss_sp = t->arg;
    ctx_away.uc_stack.ss_size = 64 * 1024;
    ctx_away.uc_link = NULL;
    makecontext(&ctx_away, run_away, 0);
    swapcontext(&ctx_home, &ctx_away);
    word = 0;
}

static void test_coroutine_in_a_mapping(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_away};

    (void)state;
    t.arg = map_private(64 * 1024);
    harness_spawn(&t, NULL);
    harness_sleep_us(20000);
    assert_int_equal(scan(), SKIP_NONE);
    harness_join(&t);
    assert_true(found[0] != 0); /* its own stack is read whole */
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    assert_true(found[2] != 0);
    munmap(t.arg, 64 * 1024);
}

/* A file that others see is no root, but a stack is one wherever it lies. */
static void test_coroutine_in_a_shared_file(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_away};
    char path[] = "roots_threads_XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && ftruncate(fd, 64 * 1024) == 0);
    t.arg = mmap(NULL, 64 * 1024, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(t.arg, MAP_FAILED);
    harness_spawn(&t, NULL);
    harness_sleep_us(20000);
    assert_int_equal(scan(), SKIP_NONE);
    unlink(path); /* not before: deleted files are roots */
    harness_join(&t);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    munmap(t.arg, 64 * 1024);
    close(fd);
}

static char *heap_block(size_t size_bytes)
{
    bool is_zero;

    os_critical_enter();
    char *p = heap_large_alloc(size_bytes, 1, FLAVOR_MALLOC, &is_zero);
    os_critical_leave();
    assert_non_null(p);
    return p;
}

static void test_coroutine_in_a_block(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_away};

    (void)state;
    t.arg = heap_block(64 * 1024);
    harness_spawn(&t, NULL);
    harness_sleep_us(20000);
    assert_int_equal(scan(), SKIP_NONE);
    harness_join(&t);
    assert_true(has_block((uintptr_t)t.arg, 64 * 1024));
    assert_true((found[1] & FOUND_BY_STACK) != 0 && (found[1] & FOUND_BY_WORDS) == 0);
    assert_true(found[0] != 0 && found[2] != 0);
    os_critical_enter();
    heap_free(t.arg);
    os_critical_leave();
}

static volatile uint32_t is_in_handler, handler_may_end;

static void handler_on_altstack(int sig)
{
    volatile uintptr_t word;

    (void)sig;
    plant(&word, 5);
    is_in_handler = true;
    while (!handler_may_end)
        sched_yield();
    word = 0;
}

static void step_in_handler(struct harness_thread *t)
{
    stack_t altstack = {.ss_sp = t->arg, .ss_size = 64 * 1024};

    if (t->n_steps != 0)
        return;
    plant_deep(0);
    assert_int_equal(sigaltstack(&altstack, NULL), 0);
    raise(SIGUSR2);
}

static void scan_in_handler(struct harness_thread *t)
{
    is_in_handler = handler_may_end = false;
    harness_spawn(t, NULL);
    while (!is_in_handler)
        sched_yield();
    assert_int_equal(scan(), SKIP_NONE);
    handler_may_end = true;
    harness_join(t);
}

/* A handler of the program runs on an alternate stack that nothing but the kernel points to. */
static void test_handler_on_a_block(void **state)
{
    struct harness_thread t = {
        .begin = harness_begin_registered, .end = harness_end_registered, .step = step_in_handler};
    struct sigaction action = {.sa_handler = handler_on_altstack, .sa_flags = SA_ONSTACK};

    (void)state;
    sigaction(SIGUSR2, &action, NULL);
    t.arg = heap_block(64 * 1024);
    scan_in_handler(&t);
    assert_true(has_block((uintptr_t)t.arg, 64 * 1024));
    assert_true((found[5] & FOUND_BY_STACK) != 0);
    assert_true(found[0] != 0);
}

static uintptr_t sp_of_asked;

static void handler_of_request(int sig)
{
    (void)sig;
    os_tls.thread->asked_sp = sp_of_asked;
    is_in_handler = true;
    while (!handler_may_end)
        sched_yield();
    os_tls.thread->asked_sp = 0;
}

static void step_asked(struct harness_thread *t)
{
    enum { FRAME_BYTES = 1024 };
    stack_t altstack = {.ss_sp = t->arg, .ss_size = 64 * 1024};
    volatile uintptr_t word;

    if (t->n_steps != 0)
        return;
    plant(&word, 1);
    plant_deep(0);
    sp_of_asked = (uintptr_t)__builtin_frame_address(0) - FRAME_BYTES;
    assert_int_equal(sigaltstack(&altstack, NULL), 0);
    raise(SIGUSR2);
    word = 0;
}

/* Where a request is served, it is known how deep the stack is that it interrupted: what is dead there is no root. */
static void test_request_on_an_alternate_stack(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_asked};
    struct sigaction action = {.sa_handler = handler_of_request, .sa_flags = SA_ONSTACK};

    (void)state;
    sigaction(SIGUSR2, &action, NULL);
    t.arg = map_private(64 * 1024);
    scan_in_handler(&t);
    assert_int_equal(found[0], 0);
    assert_true((found[1] & FOUND_BY_STACK) != 0);
    munmap(t.arg, 64 * 1024);
}

static bool scan_without_threads(void)
{
    return scan() == SKIP_NONE && found[0] != 0 && found[1] != 0;
}

/* A child has one thread; what its parent's other threads left on their stacks is read whole. */
static void test_stacks_of_vanished_threads(void **state)
{
    struct harness_thread t = {.begin = begin_with_seeds, .end = harness_end_registered, .step = step_with_seed};

    (void)state;
    harness_spawn(&t, NULL);
    harness_sleep_us(1000);
    in_child(scan_without_threads);
    harness_join(&t);
}

static void plant_on_altstack(unsigned i)
{
    os_altstack_lend(os_tls.thread);
    plant((volatile uintptr_t *)((char *)os_tls.thread->altstack + os_altstack_size() / 2), i);
}

static void begin_with_altstack(struct harness_thread *t)
{
    harness_begin_registered(t);
    plant_on_altstack(0);
}

/* Where the stop handler left registers, of a stopped and of an ended thread and of the collecting one. */
static void test_altstacks_that_nobody_is_on(void **state)
{
    struct harness_thread t = {
        .begin = begin_with_altstack, .end = harness_end_registered, .step = harness_step_nothing};

    (void)state;
    harness_begin_registered(NULL);
    harness_spawn(&t, NULL);
    plant_on_altstack(1);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], 0); /* of a thread that stands still */
    harness_join(&t);
    assert_int_equal(scan(), SKIP_NONE);
    harness_end_registered(NULL);
    assert_int_equal(found[0], 0);
    assert_int_equal(found[1], 0);
}

static enum cycle_skip scan_with_caller_at(uintptr_t sp)
{
    enum cycle_skip skip;

    n_blocks = 0;
    os_critical_enter();
    assert_int_equal(world_prepare(), SKIP_NONE);
    assert_int_equal(roots_prepare(), SKIP_NONE);
    roots_set_caller(sp);
    assert_int_equal(world_stop(), SKIP_NONE);
    skip = roots_scan_into(&recorder);
    world_start();
    roots_finish();
    os_critical_leave();
    return skip;
}

static void test_stack_that_is_not_mapped(void **state)
{
    (void)state;
    assert_int_equal(scan_with_caller_at(64), SKIP_STACK_MISSING);
}

/* The stack pointer is the end of its mapping, or of its block; or the block is full to its first word. */
static void test_stack_with_nothing_on_it(void **state)
{
    size_t page_size = os_page_size();
    char *map = map_private(2 * page_size), *block = heap_block(64 * 1024);

    (void)state;
    munmap(map + page_size, page_size);
    assert_int_equal(scan_with_caller_at((uintptr_t)map + page_size), SKIP_NONE);
    assert_int_equal(scan_with_caller_at((uintptr_t)block + 64 * 1024), SKIP_NONE);
    assert_true(has_block((uintptr_t)block, 64 * 1024));
    assert_int_equal(scan_with_caller_at((uintptr_t)block), SKIP_NONE);
    assert_true(has_block((uintptr_t)block, 64 * 1024));
    munmap(map, page_size);
    os_critical_enter();
    heap_free(block);
    os_critical_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_dead_space_of_stacks, next_seeds),
        cmocka_unit_test_setup(test_neighbouring_stacks, next_seeds),
        cmocka_unit_test_setup(test_own_stack, next_seeds),
        cmocka_unit_test_setup(test_packed_structures, next_seeds),
#if defined(__x86_64__)
        cmocka_unit_test_setup(test_registers, next_seeds),
#endif
        cmocka_unit_test_setup(test_published_thread, next_seeds),
        cmocka_unit_test_setup(test_coroutine_in_a_mapping, next_seeds),
        cmocka_unit_test_setup(test_coroutine_in_a_shared_file, next_seeds),
        cmocka_unit_test_setup(test_coroutine_in_a_block, next_seeds),
        cmocka_unit_test_setup(test_handler_on_a_block, next_seeds),
        cmocka_unit_test_setup(test_request_on_an_alternate_stack, next_seeds),
        cmocka_unit_test_setup(test_stacks_of_vanished_threads, next_seeds),
        cmocka_unit_test_setup(test_altstacks_that_nobody_is_on, next_seeds),
        cmocka_unit_test_setup(test_stack_that_is_not_mapped, next_seeds),
        cmocka_unit_test_setup(test_stack_with_nothing_on_it, next_seeds),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
