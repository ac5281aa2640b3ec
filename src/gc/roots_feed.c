/* Reading root memory; see roots_int.h.
 *
 * What    hands ranges to the sink under a fault guard. A fault leaves the marker whole (mark.h), but what it had
 *         read of the range is lost in part: it reads in chunks and, by the rule of stacks, twice. So what lies
 *         before the page of the fault is given once more, the page is fetched through the kernel, which also reads
 *         what is protected by permission or by key, and the range goes on behind it.
 * Rules   shared memory of which the kernel says that no page is there has no content. Where it does not say so (it may not be
 *         asked, or would say so of any protected page), the roots are not complete.
 */
#include "gc/roots_int.h"

#include <errno.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "gc/disguise.h"

enum { FEED_OVERLAP_BYTES = sizeof(uintptr_t) };

struct feed {
    enum roots_rule rule;
    uintptr_t lo, hi;
};

static void feed_disguised(uintptr_t addr, uintptr_t at, void *ctx)
{
    (void)ctx;
    roots.sink->addr_block(addr, at);
}

static void feed_sink(void *arg)
{
    const struct feed *f = arg;

    if (f->rule == ROOTS_RULE_STACK)
        roots.sink->stack_words(f->lo, f->hi);
    if (f->rule == ROOTS_RULE_WORDS)
        roots.sink->words(f->lo, f->hi);
    else if (f->rule == ROOTS_RULE_CODE)
        roots.sink->words_bytewise(f->lo, f->hi);
    else
        roots.sink->words_unaligned(f->lo, f->hi);
    if (UNLIKELY((roots.disguises & ~DISGUISE_DISTANCE) != 0) && f->rule != ROOTS_RULE_CODE)
        disguise_find(roots.disguises, f->lo, f->hi, feed_disguised, NULL); /* Python's maps often count as a library's data */
}

static bool feed_count(uintptr_t lo, uintptr_t hi)
{
    roots.n_bytes += hi - lo;
    return roots.n_bytes <= ROOTS_MAX_BYTES || roots_fail(SKIP_TOO_MANY_ROOTS);
}

void roots_feed_own(enum roots_rule rule, const uintptr_t *words, size_t n_words)
{
    struct feed f = {rule, (uintptr_t)words, (uintptr_t)(words + n_words)};

    roots.n_bytes += f.hi - f.lo;
    feed_sink(&f);
}

/* One buffer of it: as much as could be read; 0 or -errno where the first page cannot. */
static long feed_copy_piece(enum roots_rule rule, uintptr_t lo, uintptr_t hi)
{
    size_t len = hi - lo < ROOTS_COPY_BYTES ? hi - lo : ROOTS_COPY_BYTES;
    long n = os_mem_read(lo, roots.copy, len);
    struct feed f;

    if (n <= 0)
        return n;
    f = (struct feed){rule, (uintptr_t)roots.copy, (uintptr_t)roots.copy + (size_t)n};
    feed_sink(&f);
    return n;
}

/* Up to the first page that cannot be read; hi where all could. *result: of the last read. Pieces share what words across their
 * border need. */
static uintptr_t feed_copy(enum roots_rule rule, uintptr_t lo, uintptr_t hi, long *result)
{
    while (lo < hi) {
        long n = *result = feed_copy_piece(rule, lo, hi);

        if (n <= 0)
            break;
        lo += (size_t)n;
        if (lo < hi && lo % sizeof(uintptr_t) != 0)
            break; /* the kernel stops at pages: this is no place that can be gone on from */
        if (lo < hi && n == ROOTS_COPY_BYTES)
            lo -= FEED_OVERLAP_BYTES;
    }
    return lo;
}

/* Where to go on behind the page at lo, which could not be read with that result; 0 on failure. Each page is asked for: what lies
 * behind one that is not there is mostly not there, either (end of the file), but a file has holes, too, for which a full file
 * system has no page. */
static uintptr_t feed_skip(uintptr_t lo, uintptr_t hi, bool is_shared, long result)
{
    size_t page_size = os_page_size();
    char byte;

    if (!is_shared || result != -EIO)
        return roots_fail(SKIP_FAULT);
    lo = bits_round_down(lo, page_size);
    do {
        lo += page_size;
        if (lo >= hi)
            return hi;
        result = os_mem_read(lo, &byte, 1);
    } while (result == -EIO);
    return result == 1 ? lo : roots_fail(SKIP_FAULT);
}

bool roots_feed_copied(enum roots_rule rule, uintptr_t lo, uintptr_t hi, bool is_shared)
{
    long result = 0;

    if (!feed_count(lo, hi))
        return false;
    while ((lo = feed_copy(rule, lo, hi, &result)) < hi) {
        if (!os_mem_is_forced())
            return roots_fail(SKIP_FAULT);
        lo = feed_skip(lo, hi, is_shared, result);
        if (lo == 0)
            return false;
    }
    return true;
}

/* The page of a fault: fetched, with what words across its ends need, or known to have no content. Where to go on, 0 on failure. */
static uintptr_t feed_page_of_fault(const struct feed *f, uintptr_t page, bool is_shared)
{
    uintptr_t lo = page > f->lo ? page : f->lo;
    uintptr_t next = page + os_page_size() < f->hi ? page + os_page_size() : f->hi;
    uintptr_t end = next < f->hi ? next + FEED_OVERLAP_BYTES : next;
    long result = 0;

    if (lo > f->lo)
        feed_copy(f->rule, lo - FEED_OVERLAP_BYTES, lo + FEED_OVERLAP_BYTES, &result);
    if (feed_copy(f->rule, lo, end, &result) >= next)
        return next;
    return feed_skip(page, f->hi, is_shared, result);
}

/* What was read before a fault, again. It cannot fault, unless it changes under us: then the cycle is void. */
static bool feed_again(const struct feed *f, uintptr_t hi)
{
    struct feed before = {f->rule, f->lo, hi};
    uintptr_t fault_addr;

    return hi <= f->lo || os_fault_guard(feed_sink, &before, &fault_addr) || roots_fail(SKIP_FAULT);
}

bool roots_feed_direct(enum roots_rule rule, uintptr_t lo, uintptr_t hi, bool is_shared)
{
    struct feed f = {rule, lo, hi};
    uintptr_t fault_addr = 0;

    if (!feed_count(lo, hi))
        return false;
    while (f.lo < f.hi && !os_fault_guard(feed_sink, &f, &fault_addr)) {
        uintptr_t page = bits_round_down(fault_addr, os_page_size());

        if (fault_addr < f.lo || fault_addr >= f.hi)
            return roots_fail(SKIP_FAULT);
        if (!feed_again(&f, page))
            return false;
        f.lo = feed_page_of_fault(&f, page, is_shared);
        if (f.lo == 0)
            return false;
    }
    return true;
}

/* The block's content is read later, by the marker, which has its own guard. */
void roots_feed_block(uintptr_t addr)
{
    roots.sink->addr_block(addr, 0);
}
