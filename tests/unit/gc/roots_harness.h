/* Words that are planted somewhere and found by a scan, or not; for the tests of the roots. */
#ifndef TESTS_UNIT_GC_ROOTS_HARNESS_H
#define TESTS_UNIT_GC_ROOTS_HARNESS_H

#include "world_harness.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "base/bits.h"
#include "gc/roots.h"
#include "heap/tcache.h"

enum { N_SEEDS = 64, PAGE = 4096, GC_STACK_BYTES = 256 * 1024 };

/* ---- seeds: words that are found by the sink -----------------------------------------------------------------
 * Never written down anywhere else: what a test plants is made from its complement. Each test has its own, because
 * stacks of ended threads, which glibc keeps for the next ones, still hold those of earlier tests. */

static volatile uintptr_t seed_complement = ~(uintptr_t)0x5eed000000a0000;
enum { FOUND_BY_WORDS = 1, FOUND_BY_STACK = 2, FOUND_BY_PACKED = 4 };
static unsigned char found[N_SEEDS];
static uintptr_t found_at[N_SEEDS]; /* where it was given last: in a chunk from there on */
static uintptr_t blocks[64]; /* addresses given to addr_block */
static size_t n_blocks;

/* What the next function finds in registers that it need not keep, it may push on the stack as mere filling. */
static inline void forget_registers(void)
{
#if defined(__x86_64__)
    __asm__ volatile("xorl %%eax, %%eax\n\t"
                     "xorl %%ecx, %%ecx\n\t"
                     "xorl %%edx, %%edx\n\t"
                     "xorl %%esi, %%esi\n\t"
                     "xorl %%r8d, %%r8d\n\t"
                     "xorl %%r9d, %%r9d"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "r8", "r9", "cc");
#endif
}

__attribute__((noinline, unused)) static void plant(volatile void *where, unsigned i)
{
    typedef uintptr_t __attribute__((aligned(4))) packed_word; /* the least alignment that is asked for here */
    volatile packed_word *word = where;

    *word = ~seed_complement + 16 * i;
    forget_registers();
}

/* By volatile stores, which the compiler may not leave out. */
static inline void wipe(volatile void *where, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        ((volatile char *)where)[i] = 0;
}

/* As the marker: a chunk is read whole before anything is made of it, so that a fault loses what was read of it. */
static inline void record(uintptr_t lo, uintptr_t hi, unsigned char how)
{
    static uintptr_t chunk[512];
    uintptr_t base = ~seed_complement;

    for (lo = bits_round_up(lo, 8), hi = bits_round_down(hi, 8); lo < hi;) {
        size_t n = (hi - lo) / 8 < N_ELEMENTS(chunk) ? (hi - lo) / 8 : N_ELEMENTS(chunk);

        for (size_t i = 0; i < n; i++)
            chunk[i] = ((volatile uintptr_t *)lo)[i] - base;
        for (size_t i = 0; i < n; i++)
            if (chunk[i] < 16 * N_SEEDS && chunk[i] % 16 == 0) {
                found[chunk[i] / 16] |= how;
                found_at[chunk[i] / 16] = lo;
            }
        lo += 8 * n;
    }
}

static inline void record_words(uintptr_t lo, uintptr_t hi)
{
    record(lo, hi, FOUND_BY_WORDS);
}

static inline void record_unaligned(uintptr_t lo, uintptr_t hi)
{
    uintptr_t base = ~seed_complement, word;

    for (lo = bits_round_up(lo, 4); lo + sizeof(word) <= hi; lo += 4) {
        memcpy(&word, (const void *)lo, sizeof(word));
        if (word - base < 16 * N_SEEDS && (word - base) % 16 == 0) {
            found[(word - base) / 16] |= FOUND_BY_PACKED;
            found_at[(word - base) / 16] = lo;
        }
    }
}

static inline void record_stack_words(uintptr_t lo, uintptr_t hi)
{
    record(lo, hi, FOUND_BY_STACK);
}

static inline void record_block(uintptr_t addr, uintptr_t at)
{
    (void)at;
    if (n_blocks < N_ELEMENTS(blocks))
        blocks[n_blocks++] = addr;
}

static const struct roots_sink recorder = {record_words, record_unaligned, record_stack_words, record_block,
                                            record_unaligned};

/* ---- one scan, as a cycle does it ---------------------------------------------------------------------------- */

static unsigned fault_skip = UINT32_MAX; /* the system call of the scan that fails */
static void (*before_scan)(void);        /* between roots_prepare and the stop; NULL: nothing */
static const struct roots_sink *scan_sink = &recorder;
static enum cycle_skip last_skip;
static uint64_t last_ns;

static inline void scan_on_stack(void *arg, uintptr_t caller_sp)
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
    last_skip = roots_scan_into(scan_sink);
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
    if (last_skip == SKIP_NONE && before_scan != NULL)
        before_scan();
    if (last_skip == SKIP_NONE)
        os_call_on_stack(scan_on_stack, NULL, stack + GC_STACK_BYTES);
    roots_finish();
    os_critical_leave();
    return last_skip;
}

static inline bool has_block(uintptr_t start, size_t size)
{
    for (size_t i = 0; i < n_blocks; i++)
        if (blocks[i] - start < size)
            return true;
    return false;
}

static inline char *map_private(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* Runs fn in a child; its result is the child's exit status 0. */
static inline void in_child(bool (*fn)(void))
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
static inline char *map_shared(int fd, size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* From now on the call is not made and has this result. For a child. */
static inline void deny(unsigned nr, unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {N_ELEMENTS(code), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(0);
}

/* Pages of a file among the devices, which the kernel lets be read; size 0: without any, which it refuses. */
static inline char *map_device(off_t size)
{
    char path[] = "/dev/gcm-roots-XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0)
        skip();
    unlink(path);
    assert_int_equal(ftruncate(fd, size), 0);
    char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    close(fd);
    return p;
}

static inline int next_seeds(void **state)
{
    (void)state;
    seed_complement -= 0x10000;
    return 0;
}

static inline int setup_all(void **state)
{
    (void)state;
    harness_init();
    assert_non_null(os_thread_register());
    os_thread_record_stack(os_tls.thread); /* so that what earlier calls left below our frames is no root */
    return 0;
}

#endif
