/* Which pages have content of their own, and reading memory that may be unreadable.
 *
 * What    For a range of addresses, the runs of pages that are present or swapped and
 *         not a file's. The ioctl PAGEMAP_SCAN says it for gigabytes in microseconds;
 *         kernels without it are asked by reading pagemap, eight bytes per page.
 *         The zero page has no content (pagemap cannot tell it: there it counts). A
 *         guard page (MADV_GUARD_INSTALL) reads as swapped; newer kernels tell it
 *         apart, for others a byte of each swapped page is read through
 *         /proc/thread-self/mem, which fails for a guard page.
 * Owns    the two descriptors, from os_pages_prepare to os_pages_finish (one cycle:
 *         kept longer, they could show the parent of a fork child).
 * Locks and callers  prepare and finish: one collector at a time; the rest: its markers.
 */
#include "os/os.h"

#include <errno.h>
#include <linux/ioctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "os/kernel.h"
#include "os/probe.h"

/* ---- the kernel's interface, spelled out: headers older than 6.7 lack it -------------- */

struct pages_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct pages_region {
    uint64_t start, end, categories;
};
#define PAGES_SCAN _IOWR('f', 16, struct pages_scan_arg)
#define PAGES_IS_FILE UINT64_C(4)
#define PAGES_IS_PRESENT UINT64_C(8)
#define PAGES_IS_SWAPPED UINT64_C(16)
#define PAGES_IS_PFNZERO UINT64_C(32)
#define PAGES_IS_GUARD UINT64_C(256)

#define PAGES_ENTRY_PRESENT (UINT64_C(1) << 63)
#define PAGES_ENTRY_SWAPPED (UINT64_C(1) << 62)
#define PAGES_ENTRY_FILE (UINT64_C(1) << 61)

enum {
    PAGES_N_REGIONS = 64,  /* asked for at a time */
    PAGES_N_ENTRIES = 512, /* of pagemap, read at a time */
    PAGES_FD_NONE = -1,
};

enum pages_method {
    PAGES_SCAN_WITH_GUARD, /* the ioctl tells guard pages apart */
    PAGES_SCAN_PLAIN,      /* the ioctl does not */
    PAGES_READ_ENTRIES,    /* no ioctl */
};

static struct {
    int pagemap_fd, mem_fd;
    uint32_t method; /* atomic: the best that this kernel has; only ever goes down the list */
    bool is_forced;  /* atomic: os_mem_is_forced is known to hold */
} pages_state = {PAGES_FD_NONE, PAGES_FD_NONE, PAGES_SCAN_WITH_GUARD, false};

/* ---- runs: neighbours are joined before they are handed out ------------------------------ */

struct pages_walk {
    bool (*cb)(uintptr_t lo, uintptr_t hi, void *ctx);
    void *ctx;
    uintptr_t lo, hi; /* the run so far; empty: lo == hi */
    bool is_ended;    /* cb has had enough, or err */
    int err;          /* 0: none */
    enum pages_method method;
};

static void pages_flush(struct pages_walk *w)
{
    if (w->lo != w->hi && !w->is_ended)
        w->is_ended = !w->cb(w->lo, w->hi, w->ctx);
    w->lo = w->hi = 0;
}

static void pages_add(struct pages_walk *w, uintptr_t lo, uintptr_t hi)
{
    if (w->lo != w->hi && w->hi == lo) {
        w->hi = hi;
        return;
    }
    pages_flush(w);
    w->lo = lo;
    w->hi = hi;
}

/* A guard page is what the kernel says no page is at, if it would say so of no protected one. */
static void pages_add_swapped(struct pages_walk *w, uintptr_t lo, uintptr_t hi)
{
    size_t page_size = os_page_size();
    char byte;

    for (uintptr_t page = lo; page < hi && !w->is_ended; page += page_size) {
        long n = os_mem_read(page, &byte, 1);

        if (n == 1) {
            pages_add(w, page, page + page_size);
        } else if (n != -EIO || !os_mem_is_forced()) {
            w->err = n < 0 ? (int)n : -EIO;
            w->is_ended = true;
        }
    }
}

/* ---- PAGEMAP_SCAN ---------------------------------------------------------------------------- */

static struct pages_scan_arg pages_scan_arg_make(enum pages_method method, uintptr_t lo, uintptr_t hi,
                                                 struct pages_region *regions)
{
    bool has_guard = method == PAGES_SCAN_WITH_GUARD;
    uint64_t unwanted = PAGES_IS_FILE | PAGES_IS_PFNZERO | (has_guard ? PAGES_IS_GUARD : 0);

    return (struct pages_scan_arg){
        .size = sizeof(struct pages_scan_arg),
        .start = lo,
        .end = hi,
        .vec = (uintptr_t)regions,
        .vec_len = PAGES_N_REGIONS,
        .category_inverted = unwanted,
        .category_mask = unwanted,
        .category_anyof_mask = PAGES_IS_PRESENT | PAGES_IS_SWAPPED,
        /* Regions of equal answers are joined: ask for the difference only where it matters. */
        .return_mask = has_guard ? PAGES_IS_FILE : PAGES_IS_SWAPPED,
    };
}

static void pages_take_regions(struct pages_walk *w, const struct pages_region *regions, long n)
{
    for (long i = 0; i < n && !w->is_ended; i++) {
        if (w->method == PAGES_SCAN_PLAIN && (regions[i].categories & PAGES_IS_SWAPPED) != 0)
            pages_add_swapped(w, regions[i].start, regions[i].end);
        else
            pages_add(w, regions[i].start, regions[i].end);
    }
}

static int pages_scan(struct pages_walk *w, uintptr_t lo, uintptr_t hi)
{
    struct pages_region regions[PAGES_N_REGIONS];

    while (lo < hi && !w->is_ended) {
        struct pages_scan_arg arg = pages_scan_arg_make(w->method, lo, hi, regions);
        long n = os_syscall(SYS_ioctl, pages_state.pagemap_fd, (long)PAGES_SCAN, (long)&arg, 0, 0, 0);

        if (n == -EINTR)
            continue;
        if (n < 0)
            return (int)n;
        pages_take_regions(w, regions, n);
        if (arg.walk_end <= lo)
            return -EIO;
        lo = arg.walk_end;
    }
    return 0;
}

/* ---- pagemap ------------------------------------------------------------------------------------ */

static void pages_take_entry(struct pages_walk *w, uint64_t entry, uintptr_t page)
{
    if ((entry & PAGES_ENTRY_FILE) != 0)
        return;
    if ((entry & PAGES_ENTRY_PRESENT) != 0)
        pages_add(w, page, page + os_page_size());
    else if ((entry & PAGES_ENTRY_SWAPPED) != 0)
        pages_add_swapped(w, page, page + os_page_size());
}

static int pages_read_entries(struct pages_walk *w, uintptr_t lo, uintptr_t hi)
{
    uint64_t entries[PAGES_N_ENTRIES];
    size_t page_size = os_page_size();

    while (lo < hi && !w->is_ended) {
        size_t n_left = (hi - lo) / page_size;
        size_t n_wanted = n_left < PAGES_N_ENTRIES ? n_left : PAGES_N_ENTRIES;
        long n =
            os_syscall(SYS_pread64, pages_state.pagemap_fd, (long)entries,
                       (long)(n_wanted * sizeof(*entries)), (long)(lo / page_size * sizeof(*entries)), 0, 0);

        if (n == -EINTR)
            continue;
        if (n < (long)sizeof(*entries))
            return n < 0 ? (int)n : -EIO;
        for (size_t i = 0; i < (size_t)n / sizeof(*entries); i++, lo += page_size)
            pages_take_entry(w, entries[i], lo);
    }
    return 0;
}

/* ---- the contract ---------------------------------------------------------------------------------- */

static bool pages_is_unsupported(int err)
{
    return err == -EINVAL || err == -ENOTTY || err == -ENOSYS;
}

static int pages_walk_once(struct pages_walk *w, uintptr_t lo, uintptr_t hi)
{
    int err = w->method == PAGES_READ_ENTRIES ? pages_read_entries(w, lo, hi) : pages_scan(w, lo, hi);

    pages_flush(w);
    return err != 0 ? err : w->err;
}

/* A kernel that does not know a method says so before it hands out anything, so the next one begins from
 * scratch. */
int os_pages_walk(uintptr_t lo, uintptr_t hi, bool (*cb)(uintptr_t lo, uintptr_t hi, void *ctx), void *ctx)
{
    struct pages_walk w = {
        .cb = cb, .ctx = ctx, .method = __atomic_load_n(&pages_state.method, __ATOMIC_RELAXED)};
    int err;

    ASSERT(lo % os_page_size() == 0 && hi % os_page_size() == 0 && lo <= hi);
    if (pages_state.pagemap_fd == PAGES_FD_NONE)
        return -EBADF;
    while ((err = pages_walk_once(&w, lo, hi)) != 0) {
        if (!pages_is_unsupported(err) || w.method == PAGES_READ_ENTRIES)
            return err;
        w.method++;
        __atomic_store_n(&pages_state.method, w.method, __ATOMIC_RELAXED);
    }
    return 0;
}

static void pages_close(int *fd)
{
    if (*fd >= 0)
        os_syscall(SYS_close, *fd, 0, 0, 0, 0, 0);
    *fd = PAGES_FD_NONE;
}

/* Both here, where who asks is told of a failure: one for want of a descriptor later on would look like a guard page. */
int os_pages_prepare(void)
{
    int err;

    ASSERT(pages_state.pagemap_fd == PAGES_FD_NONE && pages_state.mem_fd == PAGES_FD_NONE);
    pages_state.pagemap_fd = os_probe_open("/proc/thread-self/pagemap");
    pages_state.mem_fd = os_probe_open("/proc/thread-self/mem");
    if (pages_state.pagemap_fd >= 0 && pages_state.mem_fd >= 0)
        return 0;
    err = pages_state.pagemap_fd < 0 ? pages_state.pagemap_fd : pages_state.mem_fd;
    os_pages_finish();
    return err;
}

bool os_pages_is_own(int fd)
{
    return fd >= 0 && (fd == pages_state.pagemap_fd || fd == pages_state.mem_fd);
}

void os_pages_finish(void)
{
    pages_close(&pages_state.pagemap_fd);
    pages_close(&pages_state.mem_fd);
}

long os_mem_read(uintptr_t addr, void *buf, size_t len)
{
    int fd = pages_state.mem_fd;
    long n;

    if (fd == PAGES_FD_NONE && (fd = os_probe_open("/proc/thread-self/mem")) < 0)
        return fd;
    do
        n = os_syscall(SYS_pread64, fd, (long)buf, (long)len, (long)addr, 0, 0);
    while (n == -EINTR);
    if (fd != pages_state.mem_fd)
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return n;
}

/* A page without permission that nobody ever wrote reads as zero where it may be read at all. */
static bool pages_try_forced(void)
{
    size_t page_size = os_page_size();
    long page = os_syscall(SYS_mmap, 0, (long)page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char byte;
    bool is_forced;

    if (kernel_is_error(page))
        return false;
    is_forced = os_mem_read((uintptr_t)page, &byte, 1) == 1;
    os_syscall(SYS_munmap, page, (long)page_size, 0, 0, 0, 0);
    return is_forced;
}

bool os_mem_is_forced(void)
{
    if (!LOAD_ONCE(pages_state.is_forced) && pages_try_forced())
        STORE_ONCE(pages_state.is_forced, true);
    return LOAD_ONCE(pages_state.is_forced);
}
