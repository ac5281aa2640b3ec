/* References by distance, and in disguise (disguise.h) in blocks of malloc; see mark.h.
 *
 * What    fontconfig keeps patterns and character sets in files that it maps wherever there is room, so these refer to their parts
 *         by distance, in memory of malloc, too: an array of elements, of leaves or of numbers is known by what must be added
 *         to the address of the block that has it. No word leads there, and nearly every program with a window uses fontconfig.
 *
 *             pattern          int n, n_room; distance of the elements (16 bytes each)
 *             character set    int n_users, n; distance of the leaves; distance of the numbers (2 bytes each)
 *             leaves           distances from the array to each leaf
 *
 *         While a set grows, it refers to arrays that realloc has just freed, with distances that count from there, and the last
 *         leaf may lie one place behind the others: so a free block will do for an array, whose content is still there.
 *         Both heads have 24 bytes. A block that Python got from malloc for an integer has 32, and up to 24 more in its debug
 *         mode. LuaJIT's and Ruby's tables may lie in blocks of any size. What looks like one by chance keeps a block for longer, no more.
 * Callers  when everything that words lead to is marked. What is found leads on, so it goes round until nothing is new.
 */
#include "gc/mark.h"

#include "gc/disguise.h"
#include "gc/mark_inl.h"
#include "heap/heap.h"
#include "os/os.h"

enum {
    DISTANCE_HEAD_BYTES = 32, /* the block of 24 bytes, and one more (alloc_padded) */
    DISTANCE_ELEMENT_BYTES = 16,
    DISTANCE_NUMBER_BYTES = 2,
    DISTANCE_INTEGER_MIN = 48, /* 33 bytes and more */
    DISTANCE_INTEGER_MAX = 80,
};

struct distance_head {
    int32_t n_first, n_second;
    uintptr_t distance_first, distance_second;
};

static struct {
    unsigned disguises;
    size_t n_new;
} distances;

/* The block of at least n_bytes that starts there, in use or free; 0: there is none. */
static uintptr_t distance_array(uintptr_t from, uintptr_t distance, size_t n_bytes)
{
    struct heap_obj obj;
    uintptr_t to = from + distance;
    enum heap_find found = distance == 0 ? HEAP_NOT_A_BLOCK : heap_find_object(to, &obj);

    bool is_block = found == HEAP_LIVE || found == HEAP_FREE || found == HEAP_HELD;

    return is_block && obj.start == to && obj.size_bytes >= n_bytes ? to : 0;
}

/* In use. */
static uintptr_t distance_block(uintptr_t from, uintptr_t distance, size_t n_bytes)
{
    struct heap_obj obj;
    uintptr_t to = distance_array(from, distance, n_bytes);

    return to != 0 && heap_find_object(to, &obj) == HEAP_LIVE ? to : 0;
}

/* Who is told of what a block refers to. */
struct distance_look {
    void (*found)(size_t offset, uintptr_t start, void *ctx);
    void *ctx;
};

static void distance_found(const struct distance_look *look, size_t offset, uintptr_t start)
{
    if (start != 0)
        look->found(offset, start, look->ctx);
}

static void distance_look_for_pattern(const struct distance_head *h, const struct distance_look *look)
{
    if (h->n_first < 0 || h->n_first > h->n_second)
        return;
    distance_found(look, offsetof(struct distance_head, distance_first),
                   distance_block((uintptr_t)h, h->distance_first, (size_t)h->n_second * DISTANCE_ELEMENT_BYTES));
}

/* One more than are counted, where the array has room: memmove may be making place for another. */
static size_t distance_n_leaves(uintptr_t leaves, size_t n)
{
    struct heap_obj obj;

    heap_find_object(leaves, &obj);
    return (n + 1) * sizeof(uintptr_t) <= obj.size_bytes ? n + 1 : n;
}

static void distance_look_for_set(const struct distance_head *h, const struct distance_look *look)
{
    const size_t at_leaves = offsetof(struct distance_head, distance_first);
    size_t n = h->n_second > 0 ? (size_t)h->n_second : 0;
    uintptr_t leaves = distance_array((uintptr_t)h, h->distance_first, n * sizeof(uintptr_t));
    uintptr_t numbers = distance_array((uintptr_t)h, h->distance_second, n * DISTANCE_NUMBER_BYTES);

    if (n == 0 || leaves == 0 || numbers == 0)
        return;
    distance_found(look, at_leaves, distance_block((uintptr_t)h, h->distance_first, 1));
    distance_found(look, offsetof(struct distance_head, distance_second), distance_block((uintptr_t)h, h->distance_second, 1));
    for (size_t i = 0; i < distance_n_leaves(leaves, n); i++)
        distance_found(look, at_leaves, distance_block(leaves, ((const uintptr_t *)leaves)[i], 1));
}

/* Which of them the blocks of a span may hold. */
static unsigned distance_disguises(const struct span *s)
{
    unsigned may = DISGUISE_SEGMENT | DISGUISE_FIXNUM;

    if (s->flavor != FLAVOR_MALLOC)
        return 0;
    if (s->size_bytes == DISTANCE_HEAD_BYTES)
        may |= DISGUISE_DISTANCE;
    if (s->size_bytes >= DISTANCE_INTEGER_MIN && s->size_bytes <= DISTANCE_INTEGER_MAX)
        may |= DISGUISE_DIGITS;
    return may & distances.disguises;
}

struct distance_disguised {
    const struct distance_look *look;
    uintptr_t start;
};

static void distance_found_disguised(uintptr_t addr, uintptr_t at, void *ctx)
{
    const struct distance_disguised *d = ctx;
    struct heap_obj obj;

    if (heap_find_object(addr, &obj) == HEAP_LIVE)
        distance_found(d->look, at - d->start, obj.start);
}

static void distance_look(const struct span *s, uint32_t idx, const struct distance_look *look)
{
    const unsigned disguises = distance_disguises(s);
    struct distance_disguised d = {look, span_block(s, idx)};

    disguise_find(disguises, d.start, d.start + s->size_bytes, distance_found_disguised, &d);
    if (disguises & DISGUISE_DISTANCE) {
        distance_look_for_pattern((const struct distance_head *)d.start, look);
        distance_look_for_set((const struct distance_head *)d.start, look);
    }
}

static void distance_keep(size_t offset, uintptr_t start, void *ctx)
{
    (void)offset;
    (void)ctx;
    if (mark_is_marked(start))
        return;
    mark_addr_block(start);
    distances.n_new++;
}

static void distance_look_in_span(struct span *s, void *ctx)
{
    static const struct distance_look keep = {distance_keep, NULL};

    (void)ctx;
    if (distance_disguises(s) == 0)
        return;
    for (uint32_t w = 0; w < s->n_words; w++)
        for (uint64_t left = s->words[w].mark & ~s->words[w].free; left != 0; left &= left - 1) {
            uint32_t idx = w * 64 + bits_ctz64(left);
            if (idx < s->n_blocks)
                distance_look(s, idx, &keep);
        }
}

static void distance_look_everywhere(void *ctx)
{
    (void)ctx;
    heap_walk_spans(distance_look_in_span, NULL);
}

bool mark_distances(unsigned disguises, size_t *n_found)
{
    uintptr_t fault_addr;

    distances.disguises = disguises;
    *n_found = 0;
    do {
        distances.n_new = 0;
        if (!os_fault_guard(distance_look_everywhere, NULL, &fault_addr) || !mark_drain())
            return false;
        *n_found += distances.n_new;
    } while (distances.n_new != 0);
    return true;
}

void mark_distances_of(const struct span *s, uint32_t idx, void (*found)(size_t offset, uintptr_t start, void *ctx), void *ctx)
{
    const struct distance_look look = {found, ctx};

    distance_look(s, idx, &look);
}
