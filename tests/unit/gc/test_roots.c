/* A word that is planted anywhere in the process is found, unless it lies where nothing of the process can be. */
#include "world_harness.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "base/bits.h"
#include "gc/roots.h"
#include "heap/tcache.h"

enum { N_SEEDS = 64, PAGE = 4096, GC_STACK_BYTES = 256 * 1024 };

/* ---- seeds: words that are found by the sink ------------------------------------------------------------------------
 * Never written down anywhere else: what a test plants is made from its complement. Each test has its own, because stacks
 * of ended threads, which glibc keeps for the next ones, still hold those of earlier tests. */

static volatile uintptr_t seed_complement = ~(uintptr_t)0x5eed000000a0000;
enum { FOUND_BY_WORDS = 1, FOUND_BY_STACK = 2 };
static unsigned char found[N_SEEDS];
static uintptr_t blocks[64]; /* addresses given to addr_block */
static size_t n_blocks;

__attribute__((noinline)) static void plant(volatile void *where, unsigned i)
{
    volatile uintptr_t *word = where;

    *word = ~seed_complement + 16 * i;
}

/* By volatile stores, which the compiler may not leave out. */
static void wipe(volatile void *where, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        ((volatile char *)where)[i] = 0;
}

/* As the marker: a chunk is read whole before anything is made of it, so that a fault loses what was read of it. */
static void record(uintptr_t lo, uintptr_t hi, unsigned char how)
{
    static uintptr_t chunk[512];
    uintptr_t base = ~seed_complement;

    for (lo = bits_round_up(lo, 8), hi = bits_round_down(hi, 8); lo < hi;) {
        size_t n = (hi - lo) / 8 < N_ELEMENTS(chunk) ? (hi - lo) / 8 : N_ELEMENTS(chunk);

        for (size_t i = 0; i < n; i++)
            chunk[i] = ((volatile uintptr_t *)lo)[i] - base;
        for (size_t i = 0; i < n; i++)
            if (chunk[i] < 16 * N_SEEDS && chunk[i] % 16 == 0)
                found[chunk[i] / 16] |= how;
        lo += 8 * n;
    }
}

static void record_words(uintptr_t lo, uintptr_t hi)
{
    record(lo, hi, FOUND_BY_WORDS);
}

static void record_stack_words(uintptr_t lo, uintptr_t hi)
{
    record(lo, hi, FOUND_BY_STACK);
}

static void record_block(uintptr_t addr)
{
    if (n_blocks < N_ELEMENTS(blocks))
        blocks[n_blocks++] = addr;
}

static const struct roots_sink recorder = {record_words, record_stack_words, record_block};

/* ---- one scan, as a cycle does it ------------------------------------------------------------------------------------ */

static unsigned fault_skip = UINT32_MAX; /* the system call of the scan that fails */
static enum cycle_skip last_skip;
static uint64_t last_ns;

static void scan_on_stack(void *arg, uintptr_t caller_sp)
{
    uint64_t begin_ns;

    (void)arg;
    roots_set_caller(caller_sp);
    last_skip = world_stop();
    if (last_skip != SKIP_NONE)
        return;
    os_fault_guard_begin();
    begin_ns = os_clock_ns();
    if (fault_skip != UINT32_MAX)
        os_fault_set(-1, fault_skip, 1, EPERM);
    last_skip = roots_scan_into(&recorder);
    os_fault_set(-2, 0, 0, 0);
    last_ns = os_clock_ns() - begin_ns;
    os_fault_guard_end();
    world_start();
}

static enum cycle_skip scan(void)
{
    char *stack;

    memset(found, 0, sizeof(found));
    n_blocks = 0;
    os_critical_enter();
    stack = meta_scratch_reserve(SCRATCH_GC_STACK, GC_STACK_BYTES);
    while ((last_skip = world_prepare()) == SKIP_NOT_STOPPED)
        continue;
    if (last_skip == SKIP_NONE)
        last_skip = roots_prepare();
    if (last_skip == SKIP_NONE)
        os_call_on_stack(scan_on_stack, NULL, stack + GC_STACK_BYTES);
    roots_finish();
    os_critical_leave();
    return last_skip;
}

static bool has_block(uintptr_t start, size_t size)
{
    for (size_t i = 0; i < n_blocks; i++)
        if (blocks[i] - start < size)
            return true;
    return false;
}

static char *map_private(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* Runs fn in a child; its result is the child's exit status 0. */
static void in_child(bool (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        os_process_fork_child();
        os_thread_fork_child();
        os_stop_fork_child();
        world_fork_child();
        roots_fork_child();
        _exit(fn() ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- private memory --------------------------------------------------------------------------------------------------- */

static uintptr_t in_data = 1;
static uintptr_t in_bss;
static __thread uintptr_t in_tls;

static void test_private_memory(void **state)
{
    char *p = map_private(8 * PAGE);
    volatile uintptr_t on_stack;
    char path[] = "/tmp/gcm-roots-XXXXXX";
    char page[PAGE];

    (void)state;
    plant(&in_data, 0);
    plant(&in_bss, 1);
    plant(&in_tls, 2);
    plant(&on_stack, 3);
    plant(p, 4);
    plant(p + 2 * PAGE - 8, 5);
    plant(p + 3 * PAGE, 6);
    plant(p + 5 * PAGE + 64, 7);
    assert_int_equal(mprotect(p + 3 * PAGE, PAGE, PROT_READ), 0);
    assert_int_equal(mprotect(p + 5 * PAGE, PAGE, PROT_NONE), 0);
    /* a file: what it holds is no root, what was written to a private copy is */
    int fd = mkstemp(path);
    memset(page, 0, sizeof(page));
    plant(page, 8);
    assert_int_equal(write(fd, page, PAGE), PAGE);
    assert_int_equal(write(fd, page, PAGE), PAGE);
    wipe(page, sizeof(page));
    char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(file, MAP_FAILED);
    volatile char touched = file[0];
    (void)touched;
    memset(file + PAGE, 0, 64);
    plant(file + PAGE + 8, 9);
    assert_int_equal(scan(), SKIP_NONE);
    for (unsigned i = 0; i < 8; i++)
        assert_true(found[i] != 0);
    assert_true((found[3] & FOUND_BY_STACK) != 0);
    assert_int_equal(found[4], FOUND_BY_WORDS);
    assert_int_equal(found[8], 0);
    assert_true(found[9] != 0);
    assert_true(roots_scanned_bytes() > 0);
    in_data = in_bss = in_tls = 0;
    munmap(p, 8 * PAGE);
    munmap(file, 2 * PAGE);
    close(fd);
    unlink(path);
}

static void test_sparse_reservations_are_cheap(void **state)
{
    const size_t size = (size_t)4 << 40;
    char *p = map_private(size);
    char *none = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    plant(p + size / 2, 0);
    plant(p + size - 8, 1);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    printf("scan beside 8 TiB of nothing: %llu us\n", (unsigned long long)last_ns / 1000);
    assert_true(last_ns < 500000000);
    munmap(p, size);
    munmap(none, size);
}

static void test_guard_pages(void **state)
{
    const int guard_install = 102;
    char *p = map_private(4 * PAGE);

    (void)state;
    plant(p, 0);
    plant(p + 3 * PAGE, 1);
    if (madvise(p + PAGE, PAGE, guard_install) != 0)
        skip();
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    munmap(p, 4 * PAGE);
}

/* A page that the processor does not let this thread read: its key is closed. The kernel reads it for us. */
static void test_page_closed_by_key(void **state)
{
    char *p = map_private(2 * PAGE);
    int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

    (void)state;
    if (key < 0)
        skip();
    plant(p, 0);
    plant(p + PAGE, 1);
    assert_int_equal(pkey_mprotect(p, PAGE, PROT_READ | PROT_WRITE, key), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    munmap(p, 2 * PAGE);
    pkey_free(key);
}

/* ---- shared memory ------------------------------------------------------------------------------------------------------ */

static char *map_shared(int fd, size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

static void test_shared_memory(void **state)
{
    char deleted[] = "/tmp/gcm-roots-XXXXXX", named[] = "/tmp/gcm-roots-XXXXXX", shm[] = "/dev/shm/gcm-roots-XXXXXX";
    int memfd = memfd_create("roots", MFD_CLOEXEC), deleted_fd = mkstemp(deleted), named_fd = mkstemp(named);
    int shm_fd = mkstemp(shm);
    char *p[5] = {map_shared(-1, 4 * PAGE)};

    (void)state;
    int fds[] = {-1, memfd, deleted_fd, shm_fd, named_fd};
    for (size_t i = 1; i < 5; i++) {
        if (fds[i] < 0)
            skip();
        assert_int_equal(ftruncate(fds[i], 2 * PAGE), 0);
        p[i] = map_shared(fds[i], 4 * PAGE); /* half of it behind the end of the file */
    }
    unlink(deleted);
    for (unsigned i = 0; i < 5; i++)
        plant(p[i] + PAGE + 16, i);
    char *unreadable = map_shared(-1, 2 * PAGE);
    plant(unreadable + PAGE, 5);
    assert_int_equal(mprotect(unreadable, 2 * PAGE, PROT_NONE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(found[i], FOUND_BY_WORDS);
    assert_int_equal(found[4], 0);
    assert_int_equal(found[5], FOUND_BY_WORDS);
    for (size_t i = 0; i < 5; i++) {
        munmap(p[i], 4 * PAGE);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    munmap(unreadable, 2 * PAGE);
    unlink(named);
    unlink(shm);
}

/* Where the end of the file lies inside a chunk, what lies before it is found all the same. */
static void test_end_of_file_inside_a_chunk(void **state)
{
    char path[] = "/tmp/gcm-roots-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    unlink(path);
    assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
    char *p = map_shared(fd, 4 * PAGE);
    plant(p + 64, 0);
    plant(p + PAGE + 64, 1);
    assert_int_equal(roots_exclude(p, 24), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    assert_int_equal(roots_remove(p, 24), 0);
    munmap(p, 4 * PAGE);
    close(fd);
}

/* Pages of a memory file belong to the file even where they are seen through a private mapping only. */
static void test_private_mapping_of_a_memory_file(void **state)
{
    int fd = memfd_create("roots", MFD_CLOEXEC);
    uintptr_t word;

    (void)state;
    plant(&word, 0);
    assert_int_equal(pwrite(fd, &word, sizeof(word), PAGE), sizeof(word));
    wipe(&word, sizeof(word));
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    plant(p, 2);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], FOUND_BY_WORDS);
    assert_int_equal(found[2], FOUND_BY_WORDS);
    munmap(p, 2 * PAGE);
    close(fd);
}

static char *inherited;

static bool finds_inherited(void)
{
    return scan() == SKIP_NONE && found[0] != 0;
}

/* The child's page tables say nothing about it. */
static void test_shared_memory_in_a_fork_child(void **state)
{
    (void)state;
    inherited = map_shared(-1, 2 * PAGE);
    plant(inherited, 0);
    in_child(finds_inherited);
    madvise(inherited, 2 * PAGE, MADV_DONTNEED);
    assert_true(finds_inherited());
    munmap(inherited, 2 * PAGE);
}

static void test_sparse_shared_memory_stays_sparse(void **state)
{
    const size_t size = (size_t)4 << 30;
    int fd = memfd_create("sparse", MFD_CLOEXEC);
    struct stat st;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    plant(p + size / 2, 0);
    assert_int_equal(scan(), SKIP_NONE);
    printf("scan beside 4 GiB of sparse shared memory: %llu us\n", (unsigned long long)last_ns / 1000);
    assert_int_equal(found[0], FOUND_BY_WORDS);
    fstat(fd, &st);
    assert_true(st.st_blocks * 512 < (1 << 20));
    munmap(p, size);
    close(fd);
}

/* ---- stacks --------------------------------------------------------------------------------------------------------------- */

static volatile uintptr_t deep_addr;

/* Leaves seed i far below the caller's frame. */
__attribute__((noinline)) static void plant_deep(unsigned i)
{
    volatile uintptr_t room[512];

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
    struct harness_thread t[N];
    pthread_attr_t attr;

    (void)state;
    pthread_attr_init(&attr);
    pthread_attr_setguardsize(&attr, 0);
    for (int i = 0; i < N; i++) {
        t[i] = (struct harness_thread){.begin = begin_with_seeds, .end = harness_end_registered, .step = step_with_seed};
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
    plant(&os_tls.thread->extra_roots[3], 4);
    os_gate_publish(&frame);
    while (!t->is_over)
        os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    os_gate_leave(&frame);
    os_tls.thread->extra_roots[3] = NULL;
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
    assert_true((found[4] & FOUND_BY_STACK) != 0);
}

/* ---- stacks elsewhere -------------------------------------------------------------------------------------------------------- */

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
    assert_int_equal(found[1], FOUND_BY_STACK);
    assert_true(found[0] != 0 && found[2] != 0);
    os_critical_enter();
    heap_free(t.arg);
    os_critical_leave();
}

static volatile bool is_in_handler, handler_may_end;

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

/* A handler of the program runs on an alternate stack that nothing but the kernel points to. */
static void test_handler_on_a_block(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_in_handler};
    struct sigaction action = {.sa_handler = handler_on_altstack, .sa_flags = SA_ONSTACK};

    (void)state;
    sigaction(SIGUSR2, &action, NULL);
    t.arg = heap_block(64 * 1024);
    harness_spawn(&t, NULL);
    while (!is_in_handler)
        sched_yield();
    assert_int_equal(scan(), SKIP_NONE);
    handler_may_end = true;
    harness_join(&t);
    assert_true(has_block((uintptr_t)t.arg, 64 * 1024));
    assert_true((found[5] & FOUND_BY_STACK) != 0);
    assert_true(found[0] != 0);
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

static void test_stack_that_is_not_mapped(void **state)
{
    (void)state;
    os_critical_enter();
    assert_int_equal(world_prepare(), SKIP_NONE);
    assert_int_equal(roots_prepare(), SKIP_NONE);
    roots_set_caller(64);
    assert_int_equal(world_stop(), SKIP_NONE);
    assert_int_equal(roots_scan_into(&recorder), SKIP_STACK_MISSING);
    world_start();
    roots_finish();
    os_critical_leave();
}

/* ---- what the kernel holds --------------------------------------------------------------------------------------------------- */

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

/* ---- ranges of the program ------------------------------------------------------------------------------------------------------ */

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
    assert_int_equal(found[0], FOUND_BY_WORDS);
    assert_int_equal(found[1], 0);
    assert_int_equal(found[2], FOUND_BY_WORDS);
    assert_int_equal(found[3], 0);
    assert_int_equal(roots_remove(shared + PAGE, 64), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], FOUND_BY_WORDS);
    assert_int_equal(roots_remove(shared + PAGE, 64), 0);
    assert_int_equal(roots_remove(shared + PAGE, 64), EINVAL);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[0], 0);
    assert_int_equal(roots_remove(p + PAGE - 3, 11), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(found[3], FOUND_BY_WORDS);
    assert_int_equal(roots_remove(p + PAGE - 3, 11), EINVAL);
    assert_int_equal(roots_add(NULL, 8), EINVAL);
    assert_int_equal(roots_add(p, 0), EINVAL);
    assert_int_equal(roots_add(p, SIZE_MAX), EINVAL);
    munmap(p, 4 * PAGE);
    munmap(shared, 4 * PAGE);
    close(fd);
    unlink(named);
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

/* ---- what may fail, and what must not be missed then ------------------------------------------------------------------------------ */

static char *daemon_memory, *daemon_shared, *daemon_hardened;

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
    (void)state;
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
}

/* Each system call of a scan fails in turn: either the scan says so, or all was found all the same. */
static void test_every_failure_is_told_or_harmless(void **state)
{
    char *p = map_private(4 * PAGE), *shared = map_shared(-1, 2 * PAGE);
    int epfd = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC);
    unsigned n_told = 0, n_scans = 0;
    timer_t timer;

    (void)state;
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

static int next_seeds(void **state)
{
    (void)state;
    seed_complement -= 0x10000;
    return 0;
}

static int setup_all(void **state)
{
    (void)state;
    harness_init();
    assert_non_null(os_thread_register());
    os_thread_record_stack(os_tls.thread); /* so that what earlier calls left below our frames is no root */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_private_memory, next_seeds),
        cmocka_unit_test_setup(test_sparse_reservations_are_cheap, next_seeds),
        cmocka_unit_test_setup(test_guard_pages, next_seeds),
        cmocka_unit_test_setup(test_page_closed_by_key, next_seeds),
        cmocka_unit_test_setup(test_shared_memory, next_seeds),
        cmocka_unit_test_setup(test_end_of_file_inside_a_chunk, next_seeds),
        cmocka_unit_test_setup(test_private_mapping_of_a_memory_file, next_seeds),
        cmocka_unit_test_setup(test_shared_memory_in_a_fork_child, next_seeds),
        cmocka_unit_test_setup(test_sparse_shared_memory_stays_sparse, next_seeds),
        cmocka_unit_test_setup(test_dead_space_of_stacks, next_seeds),
        cmocka_unit_test_setup(test_neighbouring_stacks, next_seeds),
        cmocka_unit_test_setup(test_own_stack, next_seeds),
#if defined(__x86_64__)
        cmocka_unit_test_setup(test_registers, next_seeds),
#endif
        cmocka_unit_test_setup(test_published_thread, next_seeds),
        cmocka_unit_test_setup(test_coroutine_in_a_mapping, next_seeds),
        cmocka_unit_test_setup(test_coroutine_in_a_block, next_seeds),
        cmocka_unit_test_setup(test_handler_on_a_block, next_seeds),
        cmocka_unit_test_setup(test_stacks_of_vanished_threads, next_seeds),
        cmocka_unit_test_setup(test_stack_that_is_not_mapped, next_seeds),
        cmocka_unit_test_setup(test_epoll_and_timers, next_seeds),
        cmocka_unit_test_setup(test_io_uring, next_seeds),
        cmocka_unit_test_setup(test_added_and_excluded_ranges, next_seeds),
        cmocka_unit_test_setup(test_added_range_that_is_unreadable, next_seeds),
        cmocka_unit_test_setup(test_without_pagemap, next_seeds),
        cmocka_unit_test_setup(test_every_failure_is_told_or_harmless, next_seeds),
        cmocka_unit_test_setup(test_many_descriptors, next_seeds), /* last: the table of descriptors never shrinks */
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
