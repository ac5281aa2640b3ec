/* What the kernel holds, what the program adds and excludes, and what must not be missed when something fails. */
#include "roots_harness.h"
#include "../unit_seed.h"

/* ---- what the kernel holds ----------------------------------------------------------------------------------- */

/* In a function of its own, so that no copy stays in our frame. */
__attribute__((noinline)) static void plant_in_kernel(int epfd, int fd, timer_t *timer)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct sigevent sev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    uintptr_t word;

    plant(&word, 6);
    event.data.u64 = word;
    assert_int_equal(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
    plant(&word, 7);
    sev.sigev_value.sival_ptr = (void *)word;
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &sev, timer), 0);
    wipe(&event, sizeof(event));
    wipe(&sev, sizeof(sev));
    wipe(&word, sizeof(word));
}

static void test_epoll_and_timers(void **state)
{
    int epfd = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC);
    timer_t timer;

    (void)state;
    plant_in_kernel(epfd, fd, &timer);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[6] != 0);
    if (access("/proc/self/timers", R_OK) == 0)
        assert_true(found[7] != 0);
    timer_delete(timer);
    close(epfd);
    close(fd);
}

/* Descriptors that only stand for a name say nothing, not even what they are not. */
static void test_descriptor_of_a_name(void **state)
{
    int fd = open("/", O_PATH | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(scan(), SKIP_NONE);
    close(fd);
}

/* A fork past the handlers, while another thread's cycle was about to stop everybody: the child's own reads the child's files. */
static void test_fork_child_of_a_cycle(void **state)
{
    int status = 0;

    (void)state;
    os_critical_enter();
    assert_int_equal(world_prepare(), SKIP_NONE);
    assert_int_equal(roots_prepare(), SKIP_NONE);
    pid_t child = fork();
    if (child == 0) {
        int epfd, fd;
        timer_t timer;

        os_process_fork_child();
        roots_fork_child();
        os_thread_fork_child();
        os_stop_fork_child();
        world_fork_child();
        os_critical_leave();
        epfd = epoll_create1(EPOLL_CLOEXEC);
        fd = eventfd(0, EFD_CLOEXEC);
        plant_in_kernel(epfd, fd, &timer);
        _exit(scan() == SKIP_NONE && found[6] != 0 ? 0 : 1);
    }
    roots_finish();
    os_critical_leave();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(scan(), SKIP_NONE);
}

static void test_io_uring(void **state)
{
    uint32_t params[30] = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, params);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(scan(), SKIP_IO_URING);
    char *ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(ring, MAP_FAILED);
    close(fd);
    assert_int_equal(scan(), SKIP_IO_URING);
    munmap(ring, PAGE);
    assert_int_equal(scan(), SKIP_NONE);
}

static void test_many_descriptors(void **state)
{
    enum { N = 4000 };
    static int fds[N];
    struct rlimit limit;
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < N + 100)
        skip();
    int source = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    for (int i = 0; i < N; i++) {
        fds[i] = dup(pipe_fds[0]);
        assert_true(fds[i] >= 0);
        assert_int_equal(epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &event), 0);
    }
    assert_int_equal(scan(), SKIP_NONE);
    printf("scan with %d descriptors in one epoll: %llu us\n", N, (unsigned long long)last_ns / 1000);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    close(source);
    close(epfd);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* ---- ranges of the program ----------------------------------------------------------------------------------- */

static void test_added_and_excluded_ranges(void **state)
{
    char named[] = "/tmp/gcm-roots-XXXXXX";
    int fd = mkstemp(named);

    (void)state;
    assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
    char *shared = map_shared(fd, 4 * PAGE);
    char *p = map_private(4 * PAGE);
    plant(shared + PAGE, 0);
    plant(shared + 2 * PAGE, 1);
    plant(p + 8, 2);
    plant(p + PAGE, 3);
    assert_int_equal(roots_add(shared + PAGE, 64), 0);
    assert_int_equal(roots_add(shared + PAGE, 64), 0);
    assert_int_equal(roots_exclude(p + PAGE - 3, 11), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true((found[0] & FOUND_BY_WORDS) != 0);
    assert_int_equal(found[1], 0);
    assert_true(found[2] != 0);
    assert_int_equal(found[3], 0);
    assert_int_equal(roots_remove(shared + PAGE, 64), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true((found[0] & FOUND_BY_WORDS) != 0);
    assert_int_equal(roots_remove(shared + PAGE, 64), 0);
    assert_int_equal(roots_remove(shared + PAGE, 64), EINVAL);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], 0);
    assert_int_equal(roots_remove(p + PAGE - 3, 11), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[3] != 0);
    assert_int_equal(roots_remove(p + PAGE - 3, 11), EINVAL);
    assert_int_equal(roots_add(NULL, 8), EINVAL);
    assert_int_equal(roots_add(p, 0), EINVAL);
    assert_int_equal(roots_add(p, SIZE_MAX), EINVAL);
    munmap(p, 4 * PAGE);
    munmap(shared, 4 * PAGE);
    close(fd);
    unlink(named);
}

/* Thousands of ranges, some of them several times, in any order; and a child of fork knows them all. */
static void test_many_ranges(void **state)
{
    enum { N = 5000, STEP = 256 };
    static unsigned char n_times[N];
    char *p = map_private(N * STEP);
    uint64_t random = unit_seed();
    size_t n_all = 0;

    (void)state;
    for (int i = 0; i < 40000; i++) {
        size_t k = unit_below(&random, N);
        if (unit_below(&random, 2) == 0 && n_times[k] < 3) {
            assert_int_equal(roots_exclude(p + k * STEP, 64), 0);
            n_times[k]++;
            n_all++;
        } else {
            assert_int_equal(roots_remove(p + k * STEP, 64), n_times[k] != 0 ? 0 : EINVAL);
            n_all -= n_times[k] != 0;
            n_times[k] -= n_times[k] != 0;
        }
        assert_int_equal(roots_remove(p + k * STEP, 72), EINVAL);
    }
    roots_fork_child(); /* counts anew */
    for (size_t k = 0; k < N; k++)
        for (; n_times[k] != 0; n_times[k]--, n_all--)
            assert_int_equal(roots_remove(p + k * STEP, 64), 0);
    assert_int_equal(n_all, 0);
    munmap(p, N * STEP);
}

static void test_added_range_that_is_unreadable(void **state)
{
    char *p = map_private(2 * PAGE);

    (void)state;
    assert_int_equal(roots_add(p, 2 * PAGE), 0);
    munmap(p + PAGE, PAGE);
    assert_int_equal(scan(), SKIP_FAULT);
    assert_int_equal(roots_remove(p, 2 * PAGE), 0);
    munmap(p, PAGE);
    assert_int_equal(scan(), SKIP_NONE);
}

/* Words lie at multiples of 8, wherever the range begins. */
static void test_added_range_that_is_closed_and_odd(void **state)
{
    char named[] = "/tmp/gcm-roots-XXXXXX";
    int fd = mkstemp(named);

    (void)state;
    assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
    char *p = map_shared(fd, 2 * PAGE);
    plant(p + 64, 0);
    plant(p + PAGE + 64, 1);
    assert_int_equal(mprotect(p, 2 * PAGE, PROT_NONE), 0);
    assert_int_equal(roots_add(p + 1, 2 * PAGE - 1), 0);
    assert_int_equal(roots_add(p + 3, 2), 0); /* has no word */
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    assert_true(found[1] != 0);
    assert_int_equal(roots_remove(p + 1, 2 * PAGE - 1), 0);
    assert_int_equal(roots_remove(p + 3, 2), 0);
    munmap(p, 2 * PAGE);
    close(fd);
    unlink(named);
}

/* ---- what may fail, and what must not be missed then --------------------------------------------------------- */

static char *daemon_memory, *daemon_shared, *daemon_hardened, *daemon_file;

/* A daemon that dropped root: neither pagemap nor mem can be opened. */
static bool scan_as_nobody(void)
{
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return true;
    if (open("/proc/thread-self/pagemap", O_RDONLY) >= 0)
        return true;
    return scan() == SKIP_NONE && found[0] != 0 && found[1] != 0;
}

static bool scan_hardened_as_nobody(void)
{
    mprotect(daemon_hardened, PAGE, PROT_NONE);
    if (setgid(65534) != 0 || setuid(65534) != 0 || open("/proc/thread-self/pagemap", O_RDONLY) >= 0)
        return true;
    return scan() != SKIP_NONE;
}

static void test_without_pagemap(void **state)
{
    char path[] = "/tmp/gcm-roots-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    unlink(path);
    assert_int_equal(ftruncate(fd, PAGE), 0);
    assert_int_equal(write(fd, "x", 1), 1); /* so it is in the page cache */
    daemon_file = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE, fd, 0); /* as in the gaps of a library */
    assert_ptr_not_equal(daemon_file, MAP_FAILED);
    daemon_memory = map_private(16 * PAGE);
    daemon_shared = map_shared(-1, 2 * PAGE);
    daemon_hardened = map_private(PAGE);
    plant(daemon_memory + 9 * PAGE, 0);
    plant(daemon_shared + PAGE, 1);
    plant(daemon_hardened, 2);
    in_child(scan_as_nobody);
    in_child(scan_hardened_as_nobody);
    munmap(daemon_memory, 16 * PAGE);
    munmap(daemon_shared, 2 * PAGE);
    munmap(daemon_hardened, PAGE);
    munmap(daemon_file, PAGE);
    close(fd);
}

/* Each system call of a scan fails in turn: either the scan says so, or all was found all the same. */
static void test_every_failure_is_told_or_harmless(void **state)
{
    char *p = map_private(4 * PAGE), *shared = map_shared(-1, 2 * PAGE);
    int epfd = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC);
    unsigned n_told = 0, n_scans = 0;
    timer_t timer;

    (void)state;
    if (!GCM_CHECKING)
        skip(); /* nothing can be made to fail */
    plant(p, 0);
    plant(p + 3 * PAGE, 1);
    mprotect(p + 3 * PAGE, PAGE, PROT_NONE);
    plant(shared, 2);
    plant_in_kernel(epfd, fd, &timer);
    for (fault_skip = 0; fault_skip < 700; fault_skip++, n_scans++) {
        if (scan() != SKIP_NONE) {
            n_told++;
            continue;
        }
        for (unsigned i = 0; i < 7; i++) {
            bool is_planted = i < 3 || i == 6;

            if (is_planted && found[i] == 0)
                fail_msg("seed %u was missed when system call %u of the scan failed", i, fault_skip);
        }
    }
    fault_skip = UINT32_MAX;
    printf("%u of %u scans with one failed system call were given up\n", n_told, n_scans);
    assert_true(n_told > 0);
    timer_delete(timer);
    close(epfd);
    close(fd);
    munmap(p, 4 * PAGE);
    munmap(shared, 2 * PAGE);
    assert_int_equal(scan(), SKIP_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_epoll_and_timers, next_seeds),
        cmocka_unit_test_setup(test_descriptor_of_a_name, next_seeds),
        cmocka_unit_test_setup(test_fork_child_of_a_cycle, next_seeds),
        cmocka_unit_test_setup(test_io_uring, next_seeds),
        cmocka_unit_test_setup(test_added_and_excluded_ranges, next_seeds),
        cmocka_unit_test(test_many_ranges),
        cmocka_unit_test_setup(test_added_range_that_is_unreadable, next_seeds),
        cmocka_unit_test_setup(test_added_range_that_is_closed_and_odd, next_seeds),
        cmocka_unit_test_setup(test_without_pagemap, next_seeds),
        cmocka_unit_test_setup(test_every_failure_is_told_or_harmless, next_seeds),
        cmocka_unit_test_setup(test_many_descriptors, next_seeds), /* last: the table of descriptors never shrinks */
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
