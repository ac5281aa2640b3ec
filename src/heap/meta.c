/* Memory for our own structures; see meta.h.
 *
 * What is mapped is cut from both ends, pieces from the lower one and sparse pieces from the upper one; where they meet, more
 * is mapped behind, and what is left in between stays empty. Freed pieces lie on lists by exact size (up to 4 KiB) or power of two.
 * A vanished thread (fork) can leave a piece or the rest of a step lost: each change is one store that leaves the lists whole.
 */
#include "heap/meta.h"

#include <string.h>

#include "base/bits.h"
#include "base/check.h"
#include "heap/span.h"
#include "heap/window.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { META_SMALL_UNITS = 64, META_POW2_LISTS = 40, META_STEP_BYTES = 256 * 1024, SCRATCH_STEP_BYTES = 64 * 1024 };

struct meta_piece {
    struct meta_piece *next;
};

static struct {
    struct os_lock lock;
    size_t mapped_bytes;
    size_t dense_end;    /* of the pieces; above sparse_start: no room */
    size_t sparse_start; /* from here to mapped_bytes: sparse pieces, or nothing */
    size_t used_bytes;   /* of pieces of both kinds */
    struct meta_piece *small[META_SMALL_UNITS + 1];
    struct meta_piece *pow2[META_POW2_LISTS];
    size_t scratch_mapped[SCRATCH_N];
} meta = {.lock = OS_LOCK_INIT(OS_RANK_META)};

/* The list for a size, and the size rounded to what the list holds. */
static struct meta_piece **meta_list_of(size_t *size_bytes)
{
    size_t units = (*size_bytes + META_UNIT - 1) / META_UNIT;
    if (units <= META_SMALL_UNITS) {
        *size_bytes = units * META_UNIT;
        return &meta.small[units];
    }
    unsigned exponent = bits_log2_floor(*size_bytes - 1) + 1;
    *size_bytes = (size_t)1 << exponent;
    return &meta.pow2[exponent];
}

/* What 32 bits of META_UNIT can address, and what the window has. */
static bool meta_has_room(size_t size_bytes)
{
    size_t room = window.arena - window.meta;
    if (room > (size_t)META_UNIT << 32)
        room = (size_t)META_UNIT << 32;
    return size_bytes <= room - meta.mapped_bytes;
}

static bool meta_grow_locked(size_t size_bytes)
{
    size_t end = meta.mapped_bytes;
    bool goes_on = meta.sparse_start == end;
    size_t want = (goes_on ? meta.dense_end : end) + size_bytes;
    if (!meta_has_room(want - end))
        return false;
    if (!window_grow(window.meta, &meta.mapped_bytes, want, META_STEP_BYTES) &&
        !window_grow(window.meta, &meta.mapped_bytes, want, OS_PAGE_SIZE_MIN))
        return false;
    if (!goes_on)
        STORE_ONCE(meta.dense_end, end);
    SIGNAL_FENCE(); /* in this order for a fork child, too */
    STORE_ONCE(meta.sparse_start, meta.mapped_bytes);
    return true;
}

static void *meta_cut_locked(size_t size_bytes, bool is_sparse)
{
    if (meta.dense_end + size_bytes > meta.sparse_start && !meta_grow_locked(size_bytes))
        return NULL;
    size_t at = is_sparse ? meta.sparse_start - size_bytes : meta.dense_end;
    if (is_sparse)
        STORE_ONCE(meta.sparse_start, at);
    else
        STORE_ONCE(meta.dense_end, at + size_bytes);
    STORE_ONCE(meta.used_bytes, meta.used_bytes + size_bytes);
    return (void *)(window.meta + at);
}

void meta_init(void)
{
    memset(meta.small, 0, sizeof meta.small);
    memset(meta.pow2, 0, sizeof meta.pow2);
    memset(meta.scratch_mapped, 0, sizeof meta.scratch_mapped);
    meta.mapped_bytes = meta.dense_end = meta.sparse_start = meta.used_bytes = 0;
}

void *meta_alloc(size_t size_bytes)
{
    if (size_bytes > (size_t)1 << (META_POW2_LISTS - 1))
        return NULL;
    struct meta_piece **list = meta_list_of(&size_bytes);
    os_lock(&meta.lock);
    struct meta_piece *p = *list;
    if (p != NULL)
        STORE_ONCE(*list, p->next);
    void *fresh = p == NULL ? meta_cut_locked(size_bytes, false) : NULL;
    os_unlock(&meta.lock);
    if (p != NULL)
        memset(p, 0, size_bytes);
    return p != NULL ? p : fresh;
}

void *meta_alloc_sparse(size_t size_bytes)
{
    os_lock(&meta.lock);
    void *p = meta_cut_locked(bits_round_up(size_bytes, META_UNIT), true);
    os_unlock(&meta.lock);
    return p;
}

void meta_free(void *p, size_t size_bytes)
{
    struct meta_piece **list = meta_list_of(&size_bytes);
    struct meta_piece *piece = p;
    os_lock(&meta.lock);
    piece->next = *list;
    SIGNAL_FENCE(); /* in this order for a fork child, too */
    STORE_ONCE(*list, piece);
    os_unlock(&meta.lock);
}

uint32_t meta_ref(const void *p)
{
    return (uint32_t)(((uintptr_t)p - window.meta) / META_UNIT);
}

size_t meta_used_bytes(void)
{
    return LOAD_ONCE(meta.used_bytes);
}

size_t meta_mapped_bytes(void)
{
    return LOAD_ONCE(meta.mapped_bytes);
}

void meta_fork_child(void)
{
    os_lock_reset(&meta.lock);
    window_forget_unrecorded(window.meta + meta.mapped_bytes);
    for (unsigned r = 0; r < SCRATCH_N; r++) {
        uintptr_t start = window.scratch + (size_t)r * window.scratch_region_bytes;
        window_forget_unrecorded(start + meta.scratch_mapped[r]);
    }
}

static uintptr_t meta_scratch_start(enum meta_scratch region)
{
    return window.scratch + (size_t)region * window.scratch_region_bytes;
}

void *meta_scratch_reserve(enum meta_scratch region, size_t size_bytes)
{
    if (size_bytes > window.scratch_region_bytes)
        return NULL;
    os_lock(&meta.lock);
    bool ok = window_grow(meta_scratch_start(region), &meta.scratch_mapped[region], size_bytes, SCRATCH_STEP_BYTES);
    os_unlock(&meta.lock);
    return ok ? (void *)meta_scratch_start(region) : NULL;
}

size_t meta_scratch_size(enum meta_scratch region)
{
    return LOAD_ONCE(meta.scratch_mapped[region]);
}

void meta_scratch_release(enum meta_scratch region, size_t keep_bytes)
{
    size_t keep = bits_round_up(keep_bytes, os_page_size());
    size_t size = meta_scratch_size(region);
    if (size > keep)
        os_vm_purge((void *)(meta_scratch_start(region) + keep), size - keep);
}
