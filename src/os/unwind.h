/* Inside the walk: registers, memory, modules, and one step from a frame to its caller. Not part of the contract.
 *
 * Terms   CFA: the address just above a frame, from which the tables count. A rule says where the caller's value of a
 *         register is. Numbers of registers are DWARF's.
 * All of it is async-signal-safe and distrusts what it reads.
 */
#ifndef OS_UNWIND_H
#define OS_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
enum { UNWIND_N_REGS = 17, UNWIND_FP = 6, UNWIND_SP = 7, UNWIND_RA = 16 };
#else
enum { UNWIND_N_REGS = 33, UNWIND_FP = 29, UNWIND_SP = 31, UNWIND_RA = 30 };
#endif

struct unwind_frame {
    uintptr_t pc;
    uintptr_t reg[UNWIND_N_REGS];
    bool is_exact; /* pc is where the frame goes on, and not behind a call: a signal came there */
};

/* What a walk may read. */
struct unwind_memory {
    uintptr_t lo, hi; /* stack of this thread in use: read as it is */
    uintptr_t chunk_at;
    size_t chunk_bytes;
    uintptr_t chunk[32]; /* copy of other memory, made by the kernel */
};
bool unwind_read(struct unwind_memory *m, uintptr_t addr, uintptr_t *out); /* false: nothing to read there */

struct link_map;
struct unwind_module {
    uintptr_t lo, hi;
    uintptr_t hdr; /* its table of frames, 0 none */
    const struct link_map *map;
};
bool unwind_find_module(uintptr_t pc, struct unwind_module *out);

/* ---- tables; unwind_table.c ---- */
/* Bytes of a table, read in order. Beyond the end everything is 0 and is_bad is set. */
struct unwind_bytes {
    const uint8_t *at, *end;
    bool is_bad;
};
uint64_t unwind_take(struct unwind_bytes *b, unsigned n_bytes); /* little endian */
uint64_t unwind_take_uleb(struct unwind_bytes *b);
int64_t unwind_take_sleb(struct unwind_bytes *b);

/* What the tables say about the function around a pc. */
struct unwind_entry {
    uintptr_t pc_lo, pc_hi;
    struct unwind_bytes initial, own; /* instructions of the common part, and of this function */
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra_reg;
    bool is_signal; /* the kernel made this frame */
};
bool unwind_find_entry(const struct unwind_module *module, uintptr_t pc, struct unwind_entry *out);

/* ---- rules; unwind_rules.c ---- */
enum unwind_rule {
    RULE_SAME,
    RULE_UNDEFINED,
    RULE_OFFSET,     /* lies at CFA + value */
    RULE_VAL_OFFSET, /* is CFA + value */
    RULE_REGISTER,   /* is in register value */
    RULE_EXPR,       /* lies at the result of the expression */
    RULE_VAL_EXPR,   /* is the result of the expression */
};
struct unwind_row {
    int64_t value[UNWIND_N_REGS]; /* offset, register, or address of an expression (its length first) */
    uint8_t kind[UNWIND_N_REGS];  /* enum unwind_rule */
    uint8_t cfa_kind;             /* RULE_REGISTER: cfa_reg + cfa_value; RULE_VAL_EXPR: expression at cfa_value */
    uint8_t cfa_reg;
    int64_t cfa_value;
};
/* The rules that hold at pc. false: instructions that we do not know. */
bool unwind_rules_at(const struct unwind_entry *e, uintptr_t pc, struct unwind_row *row);

/* ---- expressions; unwind_expr.c ---- */
/* The expression whose length lies at addr, with `first` on the stack. end: of the memory that may be read. */
bool unwind_evaluate(uintptr_t addr, uintptr_t end, const struct unwind_frame *f, struct unwind_memory *m,
                     uintptr_t first, uintptr_t *out);

/* ---- unwind_cache.c; pc as the tables were asked for it ---- */
enum unwind_cached { UNWIND_UNCACHED, UNWIND_STEPPED, UNWIND_END };
void unwind_cache_put(uintptr_t pc, const struct unwind_row *row);
/* Sets the registers of *f, and not its pc. */
enum unwind_cached unwind_cache_step(uintptr_t pc, struct unwind_frame *f, struct unwind_memory *m);

/* ---- unwind_step.c ---- */
bool unwind_step(struct unwind_frame *f, struct unwind_memory *m); /* to the caller; false: there is none */

#endif
