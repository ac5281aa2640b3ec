/* From a frame to its caller: by the tables where the function has some, else by its frame pointer. */
#include "os/unwind.h"

#include <signal.h>
#include <ucontext.h>

/* Return addresses may carry a signature in their upper bits (aarch64). */
static uintptr_t unwind_strip(uintptr_t pc)
{
#if defined(__aarch64__)
    register uintptr_t x30 __asm__("x30") = pc;
    __asm__("hint #7" : "+r"(x30)); /* xpaclri; nothing on machines without */
    return x30;
#else
    return pc;
#endif
}

static bool unwind_cfa(const struct unwind_row *row, uintptr_t tables_end, const struct unwind_frame *f,
                       struct unwind_memory *m, uintptr_t *cfa)
{
    if (row->cfa_kind == RULE_VAL_EXPR)
        return unwind_evaluate((uintptr_t)row->cfa_value, tables_end, f, m, 0, cfa);
    *cfa = f->reg[row->cfa_reg] + (uintptr_t)row->cfa_value;
    return row->cfa_kind == RULE_REGISTER;
}

/* The caller's value of one register. */
static bool unwind_apply(const struct unwind_row *row, unsigned reg, uintptr_t tables_end, uintptr_t cfa,
                         const struct unwind_frame *f, struct unwind_memory *m, uintptr_t *out)
{
    int64_t value = row->value[reg];
    uintptr_t at;

    switch ((enum unwind_rule)row->kind[reg]) {
    case RULE_SAME:
        *out = f->reg[reg];
        return true;
    case RULE_UNDEFINED:
        *out = 0;
        return reg != UNWIND_RA;
    case RULE_OFFSET:
        return unwind_read(m, cfa + (uintptr_t)value, out);
    case RULE_VAL_OFFSET:
        *out = cfa + (uintptr_t)value;
        return true;
    case RULE_REGISTER:
        *out = value >= 0 && value < UNWIND_N_REGS ? f->reg[value] : 0;
        return true;
    case RULE_EXPR:
        return unwind_evaluate((uintptr_t)value, tables_end, f, m, cfa, &at) && unwind_read(m, at, out);
    case RULE_VAL_EXPR:
        return unwind_evaluate((uintptr_t)value, tables_end, f, m, cfa, out);
    }
    return false;
}

static bool unwind_step_row(struct unwind_frame *f, struct unwind_memory *m, const struct unwind_row *row,
                            const struct unwind_entry *e, uintptr_t tables_end)
{
    struct unwind_frame caller;
    uintptr_t cfa;

    if (e->ra_reg >= UNWIND_N_REGS || !unwind_cfa(row, tables_end, f, m, &cfa))
        return false;
    for (unsigned reg = 0; reg < UNWIND_N_REGS; reg++)
        if (!unwind_apply(row, reg, tables_end, cfa, f, m, &caller.reg[reg]))
            return false;
    if (row->kind[UNWIND_SP] == RULE_SAME)
        caller.reg[UNWIND_SP] = cfa;
    caller.pc = unwind_strip(caller.reg[e->ra_reg]);
    caller.is_exact = e->is_signal;
    /* A frame lies above the one that it called; only a signal may have come on another stack. */
    if (!e->is_signal && !f->is_exact && caller.reg[UNWIND_SP] <= f->reg[UNWIND_SP])
        return false;
    *f = caller;
    return true;
}

#if defined(__aarch64__)
enum { STEP_MOV_X8_139 = 0xd2801168, STEP_SVC_0 = 0xd4000001 };

static bool unwind_read_half(struct unwind_memory *m, uintptr_t addr, uint32_t *out)
{
    uintptr_t word;

    if (!unwind_read(m, addr & ~(uintptr_t)7, &word))
        return false;
    *out = (uint32_t)(word >> (addr % 8 * 8));
    return true;
}

/* Where a handler returns to has no table on kernels whose vdso has none: it is known by its two instructions, the call of
 * rt_sigreturn. The registers lie behind siginfo. */
static bool unwind_step_signal(struct unwind_frame *f, struct unwind_memory *m)
{
    uintptr_t context = f->reg[UNWIND_SP] + sizeof(siginfo_t) + offsetof(ucontext_t, uc_mcontext);
    uint32_t first, second;

    if (!unwind_read_half(m, f->pc, &first) || !unwind_read_half(m, f->pc + 4, &second))
        return false;
    if (first != STEP_MOV_X8_139 || second != STEP_SVC_0)
        return false;
    for (unsigned reg = 0; reg <= UNWIND_SP; reg++)
        if (!unwind_read(m, context + offsetof(mcontext_t, regs) + reg * sizeof(uintptr_t), &f->reg[reg]))
            return false;
    f->is_exact = true;
    return unwind_read(m, context + offsetof(mcontext_t, pc), &f->pc);
}
#else
static bool unwind_step_signal(struct unwind_frame *f, struct unwind_memory *m)
{
    (void)f;
    (void)m;
    return false; /* libc's own return from handlers has a table */
}
#endif

static bool unwind_step_frame_pointer(struct unwind_frame *f, struct unwind_memory *m)
{
    uintptr_t fp = f->reg[UNWIND_FP], next, pc;

    if (fp % sizeof(fp) != 0 || fp < f->reg[UNWIND_SP])
        return false;
    if (!unwind_read(m, fp, &next) || !unwind_read(m, fp + sizeof(fp), &pc))
        return false;
    f->reg[UNWIND_FP] = next;
    f->reg[UNWIND_SP] = fp + 2 * sizeof(fp);
    f->pc = unwind_strip(pc);
    f->is_exact = false;
    return true;
}

static bool unwind_step_tables(struct unwind_frame *f, struct unwind_memory *m, uintptr_t pc)
{
    struct unwind_module module;
    struct unwind_entry entry;
    struct unwind_row row;

    if (!unwind_find_module(pc, &module) || !unwind_find_entry(&module, pc, &entry))
        return unwind_step_signal(f, m) || unwind_step_frame_pointer(f, m);
    if (!unwind_rules_at(&entry, pc, &row))
        return false;
    if (!f->is_exact && !entry.is_signal && entry.ra_reg == UNWIND_RA)
        unwind_cache_put(pc, &row);
    return unwind_step_row(f, m, &row, &entry, module.hi);
}

/* A call may be the last instruction of its function: what lies before the return address is asked for. */
bool unwind_step(struct unwind_frame *f, struct unwind_memory *m)
{
    uintptr_t pc = f->pc - !f->is_exact;

    switch (f->is_exact ? UNWIND_UNCACHED : unwind_cache_step(pc, f, m)) {
    case UNWIND_STEPPED:
        f->pc = unwind_strip(f->reg[UNWIND_RA]);
        return true;
    case UNWIND_END:
        return false;
    case UNWIND_UNCACHED:
        break;
    }
    return unwind_step_tables(f, m, pc);
}
