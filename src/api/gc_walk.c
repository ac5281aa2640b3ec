/* gc_heap_walk; contract in include/gcmalloc.h.
 *
 * The bits of 64 blocks are copied in a critical section, and the program's function is called outside. Collections are
 * inhibited meanwhile, so what was seen in use is not taken; other threads go on. A span that ends in between, and whose
 * descriptor becomes another's, is at worst left out from there on.
 */
#include "api/alloc.h"
#include "api/gc_malloc.h"
#include "base/check.h"
#include "gcmalloc.h"
#include "os/critical_inl.h"
#include "os/os.h"

struct walk_window {
    uint64_t live; /* bit i: the block at base + i * size_bytes is in use */
    uintptr_t base;
    size_t size_bytes;
    unsigned flavor;
    uint32_t n_words, n_slices;
};

unsigned gc_flags_of_flavor(unsigned flavor)
{
    static const unsigned flags[FLAVOR_N] = {
        [FLAVOR_MALLOC] = GC_IS_MALLOC,        [FLAVOR_GC] = 0,
        [FLAVOR_GC_NOSCAN] = GC_NOSCAN,        [FLAVOR_ROOT] = GC_ROOT,
        [FLAVOR_ROOT_NOSCAN] = GC_ROOT | GC_NOSCAN, [FLAVOR_GC_TYPED] = GC_IS_TYPED,
        [FLAVOR_GC_TINY] = GC_NOSCAN | GC_IS_SHARED,
    };

    return flags[flavor];
}

/* Word w of the span that begins at the slice. false: no span begins there, or it has no such word. */
static bool walk_copy(size_t slice, uint32_t w, struct walk_window *out)
{
    const struct slice *e = &heap_map.slices[slice];
    struct span *s = span_of_ref(LOAD_ONCE(e->span));

    if (e->span == 0 || e->slice_no != 0 || w >= s->n_words)
        return false;
    const struct span_cold *cold = &span_cold(s)[w];
    uint64_t gone = LOAD_ONCE(s->words[w].free) | LOAD_ONCE(cold->dead) | LOAD_ONCE(s->remote[w]) | span_held(s, w);
    *out = (struct walk_window){
        .live = ~gone & span_valid_mask(s, w),
        .base = span_block(s, w * 64),
        .size_bytes = s->size_bytes,
        .flavor = s->flavor,
        .n_words = s->n_words,
        .n_slices = s->n_slices,
    };
    return true;
}

static bool walk_next(size_t slice, uint32_t w, struct walk_window *out)
{
    os_critical_enter();
    bool is_there = walk_copy(slice, w, out);
    os_critical_leave();
    api_exit_slow();
    return is_there;
}

struct walk_call {
    struct gc_block block;
    gc_walk_fn fn;
    void *arg;
    int result;
};

static void walk_call(void *arg)
{
    struct walk_call *call = arg;

    call->result = call->fn(&call->block, call->arg);
}

/* Collections would stay inhibited. */
static void walk_threw(void *arg)
{
    check_misuse(MISUSE_CALLBACK_THREW, (uintptr_t)((const struct walk_call *)arg)->fn);
}

static int walk_tell(const struct walk_window *window, gc_walk_fn fn, void *arg)
{
    struct walk_call call = {.fn = fn, .arg = arg};

    for (uint64_t live = window->live; live != 0 && call.result == 0; live &= live - 1) {
        call.block = (struct gc_block){
            .start = (void *)(window->base + bits_ctz64(live) * window->size_bytes),
            .size_bytes = window->size_bytes,
            .flags = gc_flags_of_flavor(window->flavor),
        };
        os_call_nothrow(walk_call, &call, walk_threw);
    }
    return call.result;
}

static int walk_all(gc_walk_fn fn, void *arg)
{
    size_t n_slices = heap_map.arena_bytes >> SLICE_SHIFT;
    int result = 0;

    for (size_t slice = 0, step; slice < n_slices && result == 0; slice += step) {
        struct walk_window window = {.n_words = 1};

        step = 1;
        for (uint32_t w = 0; w < window.n_words && result == 0 && walk_next(slice, w, &window); w++) {
            step = window.n_slices != 0 ? window.n_slices : 1;
            result = walk_tell(&window, fn, arg);
        }
    }
    return result;
}

EXPORT int gc_heap_walk(gc_walk_fn fn, void *arg)
{
    int result;

    if (!api_enter_slow())
        return 0;
    gc_inhibit();
    cycle_wait(); /* one that had begun before */
    result = walk_all(fn, arg);
    gc_uninhibit();
    return result;
}
