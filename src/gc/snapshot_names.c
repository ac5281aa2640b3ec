/* What a root is called, by where it lies.
 *
 *     stack of thread 12 (worker)  in the bounds of its stack, or in the mapping that its stack pointer is in
 *     registers of thread 12       what the stop handler copied
 *     TLS of thread 12             beside the thread block, which holds its own address
 *     libfoo.so                    a mapping of the file, or its zeroed data behind it; offsets count as its symbols do
 *     [heap], mapping 0x7f...      other mappings
 *     memory that only the kernel could read
 */
#include "gc/snapshot_int.h"

#include <string.h>

#include "gc/roots_doctor.h"
#include "gc/roots_int.h"
#include "gc/world.h"
#include "heap/meta.h"
#include "os/os.h"
#include "os/probe.h"
#include "os/symbols.h"

enum {
    NAMES_TEXT_BYTES = 64 * 1024,
    NAMES_PATHS_BYTES = 256 * 1024,
    NAMES_TLS_BELOW = 2048, /* below the thread block: the variables of most programs, and never a frame */
    NAMES_TLS_ABOVE = 2304,
};

struct names_map {
    uintptr_t lo, hi, base;
    const char *path; /* of the module whose first page lies at base; NULL: none */
    char name[SNAPSHOT_NAME_MAX];
};

static struct {
    struct names_map *maps;
    size_t n_maps, max_maps;
    struct fmt paths; /* one behind the other, each with its NUL */
    struct os_symbols symbols;
    uint32_t last_map_group; /* of the last answer, and where it holds */
    uintptr_t last_lo, last_hi;
} names;

/* ---- mappings ------------------------------------------------------------------------------------------------- */

static const char *names_base_of_path(const char *path)
{
    const char *slash = path[0] == '/' ? strrchr(path, '/') : NULL;

    return slash != NULL ? slash + 1 : path;
}

static void names_put_text(char *to, const char *text)
{
    struct fmt f = fmt_init(to, SNAPSHOT_NAME_MAX);

    fmt_str(&f, text);
    fmt_cstr(&f);
}

static void names_put_anonymous(char *to, uintptr_t lo)
{
    struct fmt f = fmt_init(to, SNAPSHOT_NAME_MAX);

    fmt_str(&f, "mapping ");
    fmt_hex(&f, lo);
    fmt_cstr(&f);
}

/* The same file as the mapping before, or its zeroed data. */
static bool names_goes_on(const struct names_map *last, const struct os_map *m, const char *name)
{
    if (last == NULL || strncmp(last->name, "mapping ", 8) == 0)
        return false;
    return strncmp(last->name, name, SNAPSHOT_NAME_MAX - 1) == 0 ||
           (name[0] == '\0' && last->hi == m->lo && last->name[0] != '[');
}

/* NULL where there is no file with a readable first page, or no room. */
static const char *names_keep_path(const struct os_map *m)
{
    const char *kept = names.paths.buf + names.paths.len;

    if (m->name[0] != '/' || m->offset != 0 || !m->is_readable || names.paths.truncated)
        return NULL;
    fmt_mem(&names.paths, m->name, strlen(m->name) + 1);
    return names.paths.truncated ? NULL : kept;
}

static bool names_add_map(const struct os_map *m, void *ctx)
{
    struct names_map *last = names.n_maps != 0 ? &names.maps[names.n_maps - 1] : NULL;
    struct names_map *next = &names.maps[names.n_maps];
    const char *name = names_base_of_path(m->name);

    (void)ctx;
    if (names.n_maps == names.max_maps)
        return true;
    *next = (struct names_map){.lo = m->lo, .hi = m->hi, .base = m->lo};
    if (names_goes_on(last, m, name)) {
        next->base = last->base;
        next->path = last->path;
        memcpy(next->name, last->name, sizeof(next->name));
    } else if (name[0] == '\0') {
        names_put_anonymous(next->name, m->lo);
    } else {
        names_put_text(next->name, name);
        next->path = names_keep_path(m);
    }
    names.n_maps++;
    return true;
}

static bool names_reserve(void)
{
    char *paths = snapshot_room(NAMES_PATHS_BYTES);

    names.max_maps = 2 * roots.max_maps + 1024;
    names.maps = snapshot_room(names.max_maps * sizeof(struct names_map));
    snapshot.groups = snapshot_room(SNAPSHOT_MAX_GROUPS * sizeof(struct snapshot_group));
    snapshot.out = snapshot_room(SNAPSHOT_OUT_BYTES);
    names.paths = fmt_init(paths, NAMES_PATHS_BYTES);
    return paths != NULL && names.maps != NULL && snapshot.groups != NULL && snapshot.out != NULL;
}

bool snapshot_names_read(void)
{
    char *text = snapshot_room(NAMES_TEXT_BYTES);

    names.n_maps = 0;
    names.last_lo = names.last_hi = 0;
    snapshot.n_groups = 0;
    return text != NULL && names_reserve() && os_maps_walk(text, NAMES_TEXT_BYTES, names_add_map, NULL) == 0;
}

static const struct names_map *names_map_of(uintptr_t at)
{
    size_t lo = 0, hi = names.n_maps; /* the first that ends above at */

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (names.maps[mid].hi > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo < names.n_maps && names.maps[lo].lo <= at ? &names.maps[lo] : NULL;
}

struct snapshot_place snapshot_place_of(uintptr_t addr)
{
    const struct names_map *m = names_map_of(addr);
    struct snapshot_place place = {"", NULL, addr, "", 0};
    struct os_symbol symbol;

    if (m == NULL)
        return place;
    place = (struct snapshot_place){m->name, m->path, addr - m->base, "", 0};
    if (m->path == NULL || !os_symbols_find(&names.symbols, m->path, m->base, addr, &symbol))
        return place;
    place.offset = symbol.in_module;
    place.symbol = symbol.name;
    place.in_symbol = symbol.offset;
    return place;
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

/* What the thread calls itself; the original still runs, or has ended. */
static void names_put_thread(struct fmt *f, uint64_t tid)
{
    char path[64], name[32];
    struct fmt p = fmt_init(path, sizeof(path));
    long n = 0;

    fmt_u64(f, tid);
    fmt_str(&p, "/proc/");
    fmt_u64(&p, (uint64_t)os_clone_parent());
    fmt_str(&p, "/task/");
    fmt_u64(&p, tid);
    fmt_str(&p, "/comm");
    int fd = os_probe_open(fmt_cstr(&p));
    if (fd >= 0) {
        n = os_probe_read(fd, name, sizeof(name));
        os_probe_close(fd);
    }
    if (n <= 1)
        return;
    fmt_str(f, " (");
    fmt_mem(f, name, (size_t)n - (name[n - 1] == '\n'));
    fmt_char(f, ')');
}

/* The group of that key and name, made where there is none; the last one takes what does not fit. */
static uint32_t names_group(uintptr_t key, uintptr_t base, const char *name, uint64_t tid)
{
    struct snapshot_group *g;
    struct fmt f;
    size_t i = 0;

    while (i < snapshot.n_groups &&
           (snapshot.groups[i].key != key || strncmp(snapshot.groups[i].name, name, strlen(name)) != 0))
        i++;
    if (i < snapshot.n_groups || i == SNAPSHOT_MAX_GROUPS)
        return (uint32_t)(i < SNAPSHOT_MAX_GROUPS ? i : i - 1);
    g = &snapshot.groups[snapshot.n_groups++];
    *g = (struct snapshot_group){.key = key, .base = base};
    f = fmt_init(g->name, sizeof(g->name));
    fmt_str(&f, name);
    if (tid != 0)
        names_put_thread(&f, tid);
    fmt_cstr(&f);
    return (uint32_t)i;
}

uint32_t snapshot_group_named(const char *name)
{
    return names_group(0, 0, name, 0);
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

static bool names_is_in(uintptr_t at, const void *lo, size_t n_bytes)
{
    return at - (uintptr_t)lo < n_bytes;
}

/* glibc's thread block on x86-64 holds its own address twice: the first word, and the third. */
static bool names_is_thread_block(const uintptr_t *p)
{
    return p[0] == (uintptr_t)p && p[2] == (uintptr_t)p;
}

/* The thread block lies at the very end of a stack that libc made. Its address, where at lies in or beside it; else 0. */
static uintptr_t names_tls_of(uintptr_t at, uintptr_t stack_hi)
{
    uintptr_t p = (stack_hi - NAMES_TLS_ABOVE) & ~(uintptr_t)63;

    for (uintptr_t end = p - NAMES_TLS_ABOVE; p > end; p -= 64)
        if (names_is_thread_block((const uintptr_t *)p))
            return at >= p - NAMES_TLS_BELOW && at < stack_hi ? p : 0;
    return 0;
}

/* main's stack has none. */
static bool names_may_have_tls(const struct os_thread *t)
{
    const struct names_map *m = t != NULL && t->stack_hi != 0 ? names_map_of(t->stack_hi - 1) : NULL;

    return m != NULL && strcmp(m->name, "[stack]") != 0;
}

static bool names_is_on_stack(uintptr_t at, const struct os_thread *t, uintptr_t sp)
{
    const struct names_map *m;

    if (t != NULL && t->stack_lo < sp && sp <= t->stack_hi)
        return at >= sp - OS_RED_ZONE_BYTES && at < t->stack_hi;
    m = names_map_of(sp);
    return m != NULL && at >= m->lo && at < m->hi;
}

static bool names_stack(uintptr_t at, pid_t tid, const struct os_thread *t, uintptr_t sp, uint32_t *group)
{
    uintptr_t tls;

    if (!names_is_on_stack(at, t, sp))
        return false;
    tls = names_may_have_tls(t) ? names_tls_of(at, t->stack_hi) : 0;
    if (tls != 0)
        *group = names_group((uintptr_t)tid, tls, "TLS of thread ", (uint64_t)tid);
    else
        *group = names_group((uintptr_t)tid, sp, "stack of thread ", (uint64_t)tid);
    return true;
}

static bool names_slot(uintptr_t at, const struct os_stop_slot *slot, uint32_t *group)
{
    if (slot->state == OS_STOP_PUBLISHED)
        return names_stack(at, slot->tid, slot->thread, slot->thread->published_sp, group);
    if (slot->state != OS_STOP_STOPPED)
        return false;
    if (at >= slot->frame_lo && at < slot->frame_hi) {
        *group = names_group((uintptr_t)slot->tid, slot->frame_lo, "registers of thread ", (uint64_t)slot->tid);
        return true;
    }
    return names_stack(at, slot->tid, slot->thread, slot->sp, group);
}

/* The collecting thread put its registers on the stack on which it collects. */
static bool names_own_registers(uintptr_t at, pid_t tid, uint32_t *group)
{
    void *stack = meta_scratch_reserve(SCRATCH_GC_STACK, 0);

    if (!names_is_in(at, stack, meta_scratch_size(SCRATCH_GC_STACK)))
        return false;
    *group = names_group((uintptr_t)tid, (uintptr_t)stack, "registers of thread ", (uint64_t)tid);
    return true;
}

static bool names_thread(uintptr_t at, uint32_t *group)
{
    const struct os_thread *own = os_tls.thread;
    pid_t tid = own != NULL ? own->tid : 0;

    for (size_t i = 0; i < world_n_slots(); i++)
        if (names_slot(at, world_slot(i), group))
            return true;
    return names_own_registers(at, tid, group) || names_stack(at, tid, own, roots_caller(), group);
}

/* ---- all together --------------------------------------------------------------------------------------------- */

uint32_t snapshot_group_of(uintptr_t at)
{
    const struct names_map *m;
    uint32_t group;

    if (names_thread(at, &group))
        return group;
    if (names_is_in(at, roots.copy, ROOTS_COPY_BYTES))
        return names_group(1, (uintptr_t)roots.copy, "memory that only the kernel could read", 0);
    if (at >= names.last_lo && at < names.last_hi)
        return names.last_map_group;
    m = names_map_of(at);
    if (m == NULL)
        return names_group(2, 0, "mapping made since", 0);
    names.last_map_group = names_group(m->base, m->base, m->name, 0);
    snapshot.groups[names.last_map_group].is_module = m->path != NULL;
    names.last_lo = m->lo;
    names.last_hi = m->hi;
    return names.last_map_group;
}
