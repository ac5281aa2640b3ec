/* Pages with content: sparse mappings, zero pages, files, guard pages, by each of the three methods. */
#include "os_harness.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <ucontext.h>

#define TEST_MADV_GUARD_INSTALL 102
#define TEST_MADV_PAGEOUT 21
#define SPARSE_BYTES (UINT64_C(64) << 30)
#define N_READ_PAGES 4096u

static bool tells_zero_pages =
    true; /* the ioctl does, pagemap, all that emulators and old kernels have, cannot */

static bool has_zero_page; /* some virtual machines' kernels give a page of its own to whoever only reads */

/* ---- older kernels ---- */

#define TEST_PAGEMAP_SCAN 0xc0606610u
#define TEST_IS_GUARD UINT64_C(256)
#define TEST_IS_SWAPPED UINT64_C(16)

enum kernel_age { KERNEL_AS_IT_IS, KERNEL_WITHOUT_GUARD_FLAG, KERNEL_WITHOUT_SCAN };
static enum kernel_age kernel_age;
static unsigned n_refused;
static bool are_scans_trapped;

/* The filter lets the request pass by this sixth argument, which the kernel does not look at. */
enum { ASKED_BY_US = 0x77 };

struct scan_arg {
    uint64_t unused[5], regions, unused_too[3], category_mask;
};

/* Where guard pages look like swapped ones, all pages do: what is there must be told by reading. */
static long answer_scan(long fd, const struct scan_arg *arg)
{
    uint64_t(*regions)[3] = (void *)arg->regions; /* start, end, categories */
    bool asks_for_guard = (arg->category_mask & TEST_IS_GUARD) != 0;
    long n;

    if (kernel_age == KERNEL_WITHOUT_SCAN || (kernel_age == KERNEL_WITHOUT_GUARD_FLAG && asks_for_guard)) {
        n_refused++;
        return kernel_age == KERNEL_WITHOUT_SCAN ? -ENOTTY : -EINVAL;
    }
    n = os_syscall(SYS_ioctl, fd, TEST_PAGEMAP_SCAN, (long)arg, 0, 0, ASKED_BY_US);
    for (long i = 0; i < n && kernel_age == KERNEL_WITHOUT_GUARD_FLAG; i++)
        regions[i][2] |= TEST_IS_SWAPPED;
    return n;
}

static void on_trapped_call(int sig, siginfo_t *info, void *ucontext)
{
    mcontext_t *m = &((ucontext_t *)ucontext)->uc_mcontext;

    (void)sig;
    (void)info;
#if defined(__x86_64__)
    m->gregs[REG_RAX] = answer_scan(m->gregs[REG_RDI], (const struct scan_arg *)m->gregs[REG_RDX]);
#else
    m->regs[0] = (uint64_t)answer_scan((long)m->regs[0], (const struct scan_arg *)m->regs[2]);
#endif
}

/* For the rest of the process each PAGEMAP_SCAN is answered by on_trapped_call. */
static bool trap_scans(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TEST_PAGEMAP_SCAN, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ASKED_BY_US, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    are_scans_trapped = !is_emulated() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    return are_scans_trapped;
}

/* cmocka has put a handler of its own before each test. */
static int walk_pages(uintptr_t lo, uintptr_t hi, bool (*cb)(uintptr_t lo, uintptr_t hi, void *ctx), void *ctx)
{
    struct sigaction action = {.sa_sigaction = on_trapped_call, .sa_flags = SA_SIGINFO};

    if (are_scans_trapped)
        sigaction(SIGSYS, &action, NULL);
    return os_pages_walk(lo, hi, cb, ctx);
}

/* ---- what is found ---- */

struct runs {
    uintptr_t lo[64], hi[64];
    unsigned n;
    unsigned n_wanted; /* end the walk after so many; 0: never */
};

static bool take_run(uintptr_t lo, uintptr_t hi, void *ctx)
{
    struct runs *r = ctx;

    assert_true(r->n < 64 && lo < hi);
    r->lo[r->n] = lo;
    r->hi[r->n] = hi;
    r->n++;
    return r->n != r->n_wanted;
}

static struct runs walk(void *p, size_t size)
{
    struct runs r = {.n = 0};

    assert_int_equal(walk_pages((uintptr_t)p, (uintptr_t)p + size, take_run, &r), 0);
    return r;
}

static void assert_run(const struct runs *r, unsigned i, char *p, size_t first_page, size_t n_pages)
{
    assert_true(i < r->n);
    assert_int_equal(r->lo[i], (uintptr_t)p + first_page * os_page_size());
    assert_int_equal(r->hi[i], (uintptr_t)p + (first_page + n_pages) * os_page_size());
}

static int test_setup(void **state)
{
    (void)state;
    return os_pages_prepare();
}

static int test_teardown(void **state)
{
    (void)state;
    os_pages_finish();
    return 0;
}

static char *map_small_pages(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_true(p != MAP_FAILED);
    madvise(p, size, MADV_NOHUGEPAGE);
    return p;
}

static void a_sparse_mapping_has_only_what_was_written(void **state)
{
    char *p = map_small_pages(SPARSE_BYTES);
    size_t n_pages = SPARSE_BYTES / os_page_size();
    bool is_read_page_told = !tells_zero_pages || !has_zero_page;
    struct runs r;

    (void)state;
    assert_int_equal(walk(p, SPARSE_BYTES).n, 0);
    p[0] = 1;
    p[5 * os_page_size()] = 1;
    p[6 * os_page_size() + 99] = 1;
    p[(n_pages - 1) * os_page_size()] = 1;
    (void)*(volatile char *)(p + 9 * os_page_size()); /* read only: the zero page */
    r = walk(p, SPARSE_BYTES);
    assert_int_equal(r.n, is_read_page_told ? 4 : 3);
    assert_run(&r, 0, p, 0, 1);
    assert_run(&r, 1, p, 5, 2);
    if (is_read_page_told)
        assert_run(&r, 2, p, 9, 1);
    assert_run(&r, r.n - 1, p, n_pages - 1, 1);
    munmap(p, SPARSE_BYTES);
}

static void many_runs_and_an_early_end(void **state)
{
    size_t n_pages = 20000;
    char *p = map_small_pages(n_pages * os_page_size());
    struct runs r = {.n_wanted = 5};

    (void)state;
    for (size_t i = 0; i < n_pages; i += 2)
        p[i * os_page_size()] = 1;
    assert_int_equal(walk_pages((uintptr_t)p, (uintptr_t)p + n_pages * os_page_size(), take_run, &r), 0);
    assert_int_equal(r.n, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_run(&r, i, p, 2 * i, 1);
    for (size_t i = 1; i < n_pages; i += 2)
        p[i * os_page_size()] = 1;
    r = walk(p, n_pages * os_page_size()); /* joined over all answers of the kernel */
    assert_int_equal(r.n, 1);
    assert_run(&r, 0, p, 0, n_pages);
    munmap(p, n_pages * os_page_size());
}

static void content_stays_when_the_permission_goes(void **state)
{
    char *p = map_small_pages(4 * os_page_size());
    struct runs r;
    char text[8];

    (void)state;
    strcpy(p + os_page_size(), "hidden");
    mprotect(p, 4 * os_page_size(), PROT_NONE);
    r = walk(p, 4 * os_page_size());
    assert_int_equal(r.n, 1);
    assert_run(&r, 0, p, 1, 1);
    assert_int_equal(os_mem_read((uintptr_t)p + os_page_size(), text, 7), 7);
    assert_string_equal(text, "hidden");
    munmap(p, 4 * os_page_size());
    assert_true(os_mem_read((uintptr_t)p, text, 7) < 0);
}

static void only_copied_pages_of_a_file_count(void **state)
{
    char path[] = "/tmp/os_pages_XXXXXX";
    size_t size = 4 * os_page_size();
    int fd = mkstemp(path);
    struct runs r;
    char *p;

    (void)state;
    assert_true(fd >= 0);
    unlink(path);
    p = malloc(size);
    memset(p, 1, size);
    assert_int_equal(write(fd, p, size), size);
    free(p);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    for (size_t i = 0; i < size; i += os_page_size())
        assert_int_equal(*(volatile char *)(p + i), 1);
    assert_int_equal(walk(p, size).n, 0);
    p[2 * os_page_size()] = 2;
    r = walk(p, size);
    assert_int_equal(r.n, 1);
    assert_run(&r, 0, p, 2, 1);
    munmap(p, size);
    close(fd);
}

static void guard_pages_have_no_content(void **state)
{
    char *p = map_small_pages(8 * os_page_size());
    struct runs r;

    (void)state;
    memset(p, 1, 8 * os_page_size());
    if (madvise(p + 2 * os_page_size(), 2 * os_page_size(), TEST_MADV_GUARD_INSTALL) != 0 || is_emulated())
        skip(); /* a kernel before 6.13 */
    r = walk(p, 8 * os_page_size());
    assert_int_equal(r.n, 2);
    assert_run(&r, 0, p, 0, 2);
    assert_run(&r, 1, p, 4, 4);
    munmap(p, 8 * os_page_size());
}

/* Where there is swap, the pages go out; where there is none, they stay: content in either case. */
static void swapped_pages_count(void **state)
{
    char *p = map_small_pages(64 * os_page_size());
    struct runs r;

    (void)state;
    memset(p, 1, 64 * os_page_size());
    madvise(p, 64 * os_page_size(), TEST_MADV_PAGEOUT);
    r = walk(p, 64 * os_page_size());
    assert_int_equal(r.n, 1);
    assert_run(&r, 0, p, 0, 64);
    munmap(p, 64 * os_page_size());
}

static void nothing_is_read_without_descriptors(void **state)
{
    struct runs r = {.n = 0};
    char byte = 0;

    (void)state;
    assert_int_equal(os_pages_walk(4096, 8192, take_run, &r), -EBADF);
    assert_int_equal(os_mem_read((uintptr_t) "y", &byte, 1), 1); /* opens one for the call */
    assert_int_equal(byte, 'y');
    assert_true(os_mem_read(4096, &byte, 1) < 0);
}

#if GCM_CHECKING
static void failures_are_told(void **state)
{
    struct runs r = {.n = 0};
    uintptr_t lo = (uintptr_t)&r & ~(os_page_size() - 1);
    char byte;

    (void)state;
    for (unsigned skip = 0; skip < 2; skip++) { /* pagemap, mem */
        os_fault_set(SYS_openat, skip, 1, EACCES);
        assert_int_equal(os_pages_prepare(), -EACCES);
        assert_int_equal(os_pages_walk(lo, lo + os_page_size(), take_run, &r), -EBADF);
    }
    os_fault_set(SYS_openat, 0, 1, EACCES);
    assert_int_equal(os_mem_read(lo, &byte, 1), -EACCES);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(os_pages_prepare(), 0);
    os_fault_set(tells_zero_pages ? SYS_ioctl : SYS_pread64, 0, 1, ENOMEM);
    assert_int_equal(os_pages_walk(lo, lo + os_page_size(), take_run, &r), -ENOMEM);
    os_fault_set(tells_zero_pages ? SYS_ioctl : SYS_pread64, 0, 1, EINTR);
    assert_int_equal(os_pages_walk(lo, lo + os_page_size(), take_run, &r), 0);
    os_fault_set(SYS_pread64, 0, 1, EINTR);
    assert_int_equal(os_mem_read(lo, &byte, 1), 1);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(r.n, 1);
    os_pages_finish();
}
#endif

/* The tests that follow run by the next method: what was refused once is not asked for again. */
static void fall_back_to(enum kernel_age age)
{
    struct runs r = {.n = 0};
    uintptr_t lo = (uintptr_t)&r & ~(os_page_size() - 1);
    unsigned n_refused_before = n_refused;

    kernel_age = age;
    for (int i = 0; i < 2; i++)
        assert_int_equal(walk_pages(lo, lo + os_page_size(), take_run, &r), 0);
    assert_int_equal(r.n, 2);
    if (tells_zero_pages) /* else this kernel has no such request */
        assert_int_equal(n_refused - n_refused_before, 1);
}

static void fall_back_to_scan_without_guard(void **state)
{
    (void)state;
    fall_back_to(KERNEL_WITHOUT_GUARD_FLAG);
}

#if GCM_CHECKING
/* A page that looks like a guard page and could not be read is not taken for one, unless the kernel says so. */
static void only_the_kernel_says_guard(void **state)
{
    char *p = map_small_pages(2 * os_page_size());
    struct runs r = {.n = 0};

    (void)state;
    memset(p, 1, 2 * os_page_size());
    os_fault_set(SYS_pread64, 1, 1, ENOMEM);
    assert_int_equal(walk_pages((uintptr_t)p, (uintptr_t)p + 2 * os_page_size(), take_run, &r), -ENOMEM);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    munmap(p, 2 * os_page_size());
}
#define CHECKING_PAGES_TESTS PAGES_TEST(only_the_kernel_says_guard),
#else
#define CHECKING_PAGES_TESTS
#endif

static void fall_back_to_pagemap(void **state)
{
    (void)state;
    fall_back_to(KERNEL_WITHOUT_SCAN);
    tells_zero_pages = false;
}

/* PAGEMAP_SCAN of nothing at all: does the kernel know the request? */
static bool has_scan(void)
{
    uint64_t arg[12] = {sizeof(arg)};
    int fd = open("/proc/thread-self/pagemap", O_RDONLY);
    long result = os_syscall(SYS_ioctl, fd, TEST_PAGEMAP_SCAN, (long)arg, 0, 0, 0);

    close(fd);
    return result >= 0;
}

static size_t count_resident_pages(void)
{
    char text[128] = "";
    size_t n_resident = 0;
    int fd = open("/proc/self/statm", O_RDONLY);

    assert_true(read(fd, text, sizeof(text) - 1) > 0 && sscanf(text, "%*u %zu", &n_resident) == 1);
    close(fd);
    return n_resident;
}

/* The zero page is not counted as resident. The counter may be off by some dozens. */
static bool find_zero_page(void)
{
    size_t size = N_READ_PAGES * os_page_size();
    char *p = map_small_pages(size);
    size_t n_before = count_resident_pages(), n_grown;

    for (size_t i = 0; i < N_READ_PAGES; i++)
        (void)*(volatile char *)(p + i * os_page_size());
    n_grown = count_resident_pages() - n_before;
    munmap(p, size);
    return n_grown < N_READ_PAGES / 2;
}

#define PAGES_TEST(fn) cmocka_unit_test_setup_teardown(fn, test_setup, test_teardown)
#define ALL_PAGES_TESTS                                                                                      \
    PAGES_TEST(a_sparse_mapping_has_only_what_was_written), PAGES_TEST(many_runs_and_an_early_end),          \
        PAGES_TEST(content_stays_when_the_permission_goes), PAGES_TEST(only_copied_pages_of_a_file_count),   \
        PAGES_TEST(guard_pages_have_no_content), PAGES_TEST(swapped_pages_count)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_read_without_descriptors),
        ALL_PAGES_TESTS,
#if GCM_CHECKING
        cmocka_unit_test(failures_are_told),
#endif
    };
    const struct CMUnitTest tests_of_older_kernels[] = {
        PAGES_TEST(fall_back_to_scan_without_guard), ALL_PAGES_TESTS, CHECKING_PAGES_TESTS
        PAGES_TEST(fall_back_to_pagemap), ALL_PAGES_TESTS,
    };
    int n_failed;

    tells_zero_pages = has_scan();
    has_zero_page = find_zero_page();
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (n_failed == 0 && trap_scans())
        n_failed = cmocka_run_group_tests(tests_of_older_kernels, NULL, NULL);
    return n_failed;
}
