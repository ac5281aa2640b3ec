/* Walking the stack of the calling thread; see walk.h.
 *
 * What    the loop from frame to frame, what of memory may be read, and which module holds an address: ld.so (glibc 2.35
 *         and later) answers that without a lock.
 * Invariants  the thread's recorded stack from the stack pointer up is mapped: it is read as it is. Everything else,
 *         such as a stack that the program made, is copied by the kernel, which refuses instead of faulting.
 * Not here  tables: unwind_table.c, unwind_rules.c.
 */
#include "os/walk.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "os/os.h"
#include "os/unwind.h"

/* The result of _dl_find_object, whose layout is part of glibc's ABI; older headers lack it. */
struct walk_found {
    unsigned long long flags;
    void *map_lo, *map_hi;
    struct link_map *map;
    void *eh_frame_hdr;
    unsigned long long reserved[7];
};

enum { WALK_OWN_FRAMES_MAX = 32 };

static struct {
    int (*find)(void *pc, struct walk_found *out); /* NULL: ld.so is too old */
    uintptr_t own_lo, own_hi;                      /* the shared library that this is in; 0: there is none */
} walk;

void os_walk_init(void)
{
    struct unwind_module own;

    *(void **)&walk.find = dlsym(RTLD_DEFAULT, "_dl_find_object");
    if (!unwind_find_module((uintptr_t)os_walk_init, &own) || own.map->l_name[0] == '\0')
        return;
    walk.own_lo = own.lo;
    walk.own_hi = own.hi;
}

bool unwind_find_module(uintptr_t pc, struct unwind_module *out)
{
    struct walk_found found;

    if (walk.find == NULL || walk.find((void *)pc, &found) != 0)
        return false;
    out->lo = (uintptr_t)found.map_lo;
    out->hi = (uintptr_t)found.map_hi;
    out->hdr = (uintptr_t)found.eh_frame_hdr;
    out->map = found.map;
    return out->map != NULL;
}

bool os_walk_place(uintptr_t pc, struct os_place *out)
{
    struct unwind_module module;

    if (!unwind_find_module(pc, &module))
        return false;
    out->module = module.map->l_name;
    out->offset = pc - module.map->l_addr;
    out->base = module.lo;
    return true;
}

/* A copy of the piece of memory around addr. */
static bool walk_copy(struct unwind_memory *m, uintptr_t addr)
{
    uintptr_t at = addr & ~(uintptr_t)(sizeof(m->chunk) - 1);
    struct iovec to = {m->chunk, sizeof(m->chunk)}, from = {(void *)at, sizeof(m->chunk)};

    if (os_seccomp_is_on())
        return false;
    m->chunk_bytes = 0;
    long n = os_syscall(SYS_process_vm_readv, os_getpid(), (long)&to, 1, (long)&from, 1, 0);
    if (n <= 0)
        return false;
    m->chunk_at = at;
    m->chunk_bytes = (size_t)n;
    return true;
}

static bool walk_has_copy(const struct unwind_memory *m, uintptr_t addr)
{
    return addr - m->chunk_at < m->chunk_bytes && m->chunk_bytes - (addr - m->chunk_at) >= sizeof(uintptr_t);
}

bool unwind_read(struct unwind_memory *m, uintptr_t addr, uintptr_t *out)
{
    if (addr % sizeof(*out) != 0)
        return false;
    if (LIKELY(addr >= m->lo && addr < m->hi)) {
        *out = *(const uintptr_t *)addr;
        return true;
    }
    if (!walk_has_copy(m, addr) && (!walk_copy(m, addr) || !walk_has_copy(m, addr)))
        return false;
    *out = m->chunk[(addr - m->chunk_at) / sizeof(*out)];
    return true;
}

/* What lies at and above this frame's stack pointer on the stack that the thread was created with. */
static void walk_open_memory(struct unwind_memory *m, uintptr_t sp)
{
    const struct os_thread *t = os_tls.thread;

    m->lo = m->hi = 0;
    m->chunk_at = 0;
    m->chunk_bytes = 0;
    if (t == NULL || sp < t->stack_lo || sp >= t->stack_hi)
        return;
    m->lo = sp;
    m->hi = t->stack_hi & ~(uintptr_t)(sizeof(uintptr_t) - 1);
}

/* Registers of the function that this is inlined into; those that a call may change are not known. */
ALWAYS_INLINE void walk_capture(struct unwind_frame *f)
{
    memset(f, 0, sizeof(*f));
    f->is_exact = true;
#if defined(__x86_64__)
    __asm__ volatile("leaq 0f(%%rip), %%rax\n"
                     "0:\n\t"
                     "movq %%rax, (%0)\n\t"
                     "movq %%rbx, 8*3(%1)\n\t"
                     "movq %%rbp, 8*6(%1)\n\t"
                     "movq %%rsp, 8*7(%1)\n\t"
                     "movq %%r12, 8*12(%1)\n\t"
                     "movq %%r13, 8*13(%1)\n\t"
                     "movq %%r14, 8*14(%1)\n\t"
                     "movq %%r15, 8*15(%1)\n\t"
                     :
                     : "r"(&f->pc), "r"(f->reg)
                     : "rax", "memory");
#else
    __asm__ volatile("adr x9, .\n\t"
                     "str x9, [%0]\n\t"
                     "stp x19, x20, [%1, #8*19]\n\t"
                     "stp x21, x22, [%1, #8*21]\n\t"
                     "stp x23, x24, [%1, #8*23]\n\t"
                     "stp x25, x26, [%1, #8*25]\n\t"
                     "stp x27, x28, [%1, #8*27]\n\t"
                     "stp x29, x30, [%1, #8*29]\n\t"
                     "mov x9, sp\n\t"
                     "str x9, [%1, #8*31]\n\t"
                     :
                     : "r"(&f->pc), "r"(f->reg)
                     : "x9", "memory");
#endif
}

/* A call leaves its return address just below where the caller's stack pointer is afterwards: on x86-64, as is checked. */
static void walk_note(struct os_walk *w, unsigned i, const struct unwind_memory *m, const struct unwind_frame *frame)
{
    uintptr_t slot = frame->reg[UNWIND_SP] - sizeof(uintptr_t);

    if (i >= OS_WALK_MEMO_FRAMES || slot < m->lo || slot >= m->hi || slot % sizeof(uintptr_t) != 0 ||
        *(const uintptr_t *)slot != frame->pc) {
        w->sp = 0;
        return;
    }
    w->frames[i].slot = slot;
    w->frames[i].pc = frame->pc;
    w->n = i + 1;
}

static bool walk_is_own(uintptr_t pc)
{
    return pc - walk.own_lo < walk.own_hi - walk.own_lo;
}

/* The frames from `frame` outwards. Where each return address lay goes into seen, unless that is NULL; seen->sp becomes 0 where
 * that cannot be told. */
static unsigned walk_all(struct unwind_frame *frame, struct unwind_memory *memory, uintptr_t *pcs, unsigned max,
                         struct os_walk *seen)
{
    unsigned n = 0, n_steps = 0;

    while (n < max && n_steps < max + WALK_OWN_FRAMES_MAX && unwind_step(frame, memory) && frame->pc != 0) {
        if (seen != NULL)
            walk_note(seen, n_steps, memory, frame);
        n_steps++;
        if (n != 0 || !walk_is_own(frame->pc))
            pcs[n++] = frame->pc;
    }
    return n;
}

NOINLINE unsigned os_walk_stack(uintptr_t *pcs, unsigned max)
{
    struct unwind_frame frame;
    struct unwind_memory memory;

    walk_capture(&frame);
    walk_open_memory(&memory, frame.reg[UNWIND_SP]);
    return walk_all(&frame, &memory, pcs, max, NULL);
}

/* ---- walks that were made before ---- */

static bool walk_is_same(const struct os_walk *w, const struct unwind_memory *m)
{
    if (w->sp != m->lo || w->n == 0)
        return false;
    for (unsigned i = 0; i < w->n; i++)
        if (w->frames[i].slot >= m->hi || *(const uintptr_t *)w->frames[i].slot != w->frames[i].pc)
            return false;
    return true;
}

NOINLINE void *os_walk_known(struct os_walk_memo *memo, uintptr_t *pcs, unsigned max, unsigned *n_pcs,
                             struct os_walk **fresh)
{
    struct unwind_frame frame;
    struct unwind_memory memory;
    struct os_walk *w;

    walk_capture(&frame);
    walk_open_memory(&memory, frame.reg[UNWIND_SP]);
    for (unsigned i = 0; i < OS_WALK_MEMO_WALKS; i++)
        if (memo->walks[i].known != NULL && walk_is_same(&memo->walks[i], &memory))
            return memo->walks[i].known;
    w = &memo->walks[memo->next++ % OS_WALK_MEMO_WALKS];
    w->sp = memory.lo;
    w->known = NULL;
    w->n = 0;
    *n_pcs = walk_all(&frame, &memory, pcs, max, w);
    *fresh = w->sp != 0 ? w : NULL;
    return NULL;
}
