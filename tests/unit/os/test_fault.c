/* Reads that may fault: recovery, masks, nesting, and the faults that are none of ours. */
#include "os_harness.h"

enum { N_THREADS = 4, N_ROUNDS = 2000 };

static volatile int n_done;

static void read_byte(void *arg)
{
    (void)*(volatile char *)arg;
    n_done++;
}

static char *forbidden_page(void)
{
    char *p = map_pages(1);

    mprotect(p, os_page_size(), PROT_NONE);
    return p;
}

static void a_fault_is_reported_and_survived(void **state)
{
    char *p = forbidden_page();
    uintptr_t addr = 1;
    char good = 1;

    (void)state;
    n_done = 0;
    assert_int_equal(os_fault_guard_begin(), 0);
    for (int i = 0; i < N_ROUNDS; i++) {
        assert_false(os_fault_guard(read_byte, p + i, &addr));
        assert_int_equal(addr, (uintptr_t)p + (unsigned)i);
        addr = 1;
        assert_true(os_fault_guard(read_byte, &good, &addr));
        assert_int_equal(addr, 1);
    }
    os_fault_guard_end();
    assert_int_equal(n_done, N_ROUNDS);
    assert_false(os_fault_guard(read_byte, p, &addr)); /* without begin it installs for itself */
    munmap(p, os_page_size());
}

static void a_read_behind_the_end_of_a_file_is_one(void **state)
{
    FILE *f = tmpfile();
    uintptr_t addr = 0;
    char *p;

    (void)state;
    assert_non_null(f);
    p = mmap(NULL, os_page_size(), PROT_READ, MAP_PRIVATE, fileno(f), 0);
    assert_true(p != MAP_FAILED);
    assert_false(os_fault_guard(read_byte, p + 100, &addr)); /* SIGBUS */
    assert_int_equal(addr, (uintptr_t)p + 100);
    munmap(p, os_page_size());
    fclose(f);
}

static void masks_and_actions_come_back(void **state)
{
    struct sigaction before[2], after[2];
    sigset_t blocked, now;
    char *p = forbidden_page();
    uintptr_t addr;

    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGSEGV);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    sigaction(SIGSEGV, NULL, &before[0]);
    sigaction(SIGBUS, NULL, &before[1]);
    assert_false(os_fault_guard(read_byte, p, &addr)); /* though the signal is blocked */
    sigaction(SIGSEGV, NULL, &after[0]);
    sigaction(SIGBUS, NULL, &after[1]);
    assert_true(before[0].sa_handler == after[0].sa_handler && before[1].sa_handler == after[1].sa_handler);
    pthread_sigmask(SIG_UNBLOCK, &blocked, &now);
    assert_true(sigismember(&now, SIGSEGV) == 1 && sigismember(&now, SIGUSR1) == 1 &&
                sigismember(&now, SIGBUS) == 0);
    munmap(p, os_page_size());
}

struct nested {
    char *page;
    bool is_inner_done, is_after_inner;
};

static void guard_again(void *arg)
{
    struct nested *n = arg;
    uintptr_t addr;

    n->is_inner_done = os_fault_guard(read_byte, n->page, &addr);
    n->is_after_inner = true;
    read_byte(n->page);
    n->is_after_inner = false;
}

static void guards_nest(void **state)
{
    struct nested n = {.page = forbidden_page(), .is_inner_done = true};
    uintptr_t addr;

    (void)state;
    assert_int_equal(os_fault_guard_begin(), 0);
    assert_false(os_fault_guard(guard_again, &n, &addr));
    os_fault_guard_end();
    assert_false(n.is_inner_done);
    assert_true(n.is_after_inner);
    munmap(n.page, os_page_size());
}

static void *fault_often(void *arg)
{
    uintptr_t addr, n_wrong = 0;
    char good = 1;

    for (int i = 0; i < N_ROUNDS; i++) {
        n_wrong += os_fault_guard(read_byte, arg, &addr) || addr != (uintptr_t)arg;
        n_wrong += !os_fault_guard(read_byte, &good, &addr);
    }
    return (void *)n_wrong;
}

/* The collector's signals are open from the beginning to the end, and blocked again then. */
static void mask_comes_back_at_the_end(void **state)
{
    sigset_t blocked, now;
    char *p = forbidden_page();
    uintptr_t addr;

    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    assert_int_equal(os_fault_guard_begin(), 0);
    for (int i = 0; i < 2; i++)
        assert_false(os_fault_guard(read_byte, p, &addr));
    os_fault_guard_end();
    pthread_sigmask(SIG_UNBLOCK, &blocked, &now);
    assert_true(sigismember(&now, SIGSEGV) == 1 && sigismember(&now, SIGBUS) == 0);
    assert_false(os_fault_guard(read_byte, p, &addr));
    munmap(p, os_page_size());
}

static void markers_fault_side_by_side(void **state)
{
    pthread_t threads[N_THREADS];
    char *p = forbidden_page();
    void *n_wrong;

    (void)state;
    assert_int_equal(os_fault_guard_begin(), 0);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fault_often, p), 0);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], &n_wrong);
        assert_null(n_wrong);
    }
    os_fault_guard_end();
    munmap(p, os_page_size());
}

/* ---- faults that are none of ours ----------------------------------------------------------- */

static volatile sig_atomic_t n_program_faults, is_mask_right;
static char *program_page;

static void program_handler(int sig, siginfo_t *info, void *ucontext)
{
    sigset_t now;

    (void)ucontext;
    n_program_faults += sig == SIGSEGV && (info->si_code <= 0 || info->si_addr == program_page);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    is_mask_right = sigismember(&now, SIGUSR2) == 1 && sigismember(&now, SIGSEGV) == 1;
    mprotect(program_page, os_page_size(), PROT_READ | PROT_WRITE);
}

static void raise_in_guard(void *arg)
{
    (void)arg;
    raise(SIGSEGV); /* sent, not caused by a read */
}

static void the_program_gets_its_own(void **state)
{
    struct sigaction action, old;
    uintptr_t addr;

    (void)state;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = program_handler;
    action.sa_flags = SA_SIGINFO;
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGSEGV, &action, &old);
    program_page = forbidden_page();
    n_program_faults = is_mask_right = 0;
    assert_int_equal(os_fault_guard_begin(), 0);
    (void)*(volatile char *)program_page; /* outside of a guard */
    assert_int_equal(n_program_faults, 1);
    assert_int_equal(is_mask_right, 1);
    assert_true(os_fault_guard(raise_in_guard, NULL, &addr));
    assert_int_equal(n_program_faults, 2);
    os_fault_guard_end();
    sigaction(SIGSEGV, &old, NULL);
    munmap(program_page, os_page_size());
}

static void a_handler_for_once_is_called_once(void **state)
{
    struct sigaction action, old, now;
    uintptr_t addr;

    (void)state;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = program_handler;
    action.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
    sigaction(SIGSEGV, &action, &old);
    n_program_faults = 0;
    assert_int_equal(os_fault_guard_begin(), 0);
    assert_true(os_fault_guard(raise_in_guard, NULL, &addr));
    assert_int_equal(n_program_faults, 1);
    os_fault_guard_end();
    sigaction(SIGSEGV, &old, &now);
    assert_true(now.sa_handler == SIG_DFL);
}

static int fault_with(void *arg)
{
    signal(SIGSEGV, *(void (**)(int))arg);
    if (os_fault_guard_begin() != 0)
        return 1;
    read_byte(forbidden_page());
    return 2;
}

static int be_sent_with(void *arg)
{
    signal(SIGSEGV, *(void (**)(int))arg);
    if (os_fault_guard_begin() != 0)
        return 1;
    raise(SIGSEGV);
    return 0;
}

static void defaults_are_what_they_were(void **state)
{
    void (*actions[2])(int) = {SIG_DFL, SIG_IGN};

    (void)state;
    for (int i = 0; i < 2; i++) { /* a fault cannot be ignored, a signal can */
        int status = run_in_child(fault_with, &actions[i]);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        status = run_in_child(be_sent_with, &actions[i]);
        assert_true(i == 0 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV : status == 0);
    }
}

#if GCM_CHECKING
static void failures_are_told(void **state)
{
    uintptr_t addr = 1;
    char good = 1;

    (void)state;
    for (unsigned skip = 0; skip < 2; skip++) {
        os_fault_set(SYS_rt_sigaction, skip, 1, EPERM);
        assert_int_equal(os_fault_guard_begin(), -EPERM);
        os_fault_set(SYS_rt_sigaction, skip, 1, EPERM);
        assert_false(os_fault_guard(read_byte, &good, &addr));
        assert_int_equal(addr, 0); /* not even tried */
    }
    os_fault_set(FAULT_OFF, 0, 0, 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_is_reported_and_survived),
        cmocka_unit_test(a_read_behind_the_end_of_a_file_is_one),
        cmocka_unit_test(masks_and_actions_come_back),
        cmocka_unit_test(mask_comes_back_at_the_end),
        cmocka_unit_test(guards_nest),
        cmocka_unit_test(markers_fault_side_by_side),
        cmocka_unit_test(the_program_gets_its_own),
        cmocka_unit_test(a_handler_for_once_is_called_once),
        cmocka_unit_test(defaults_are_what_they_were),
#if GCM_CHECKING
        cmocka_unit_test(failures_are_told),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
