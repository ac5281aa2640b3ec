/* The instructions that say, for each place in a function, where the caller's registers are. */
#include "os/unwind.h"

enum {
    RULES_REMEMBERED_MAX = 4,
    CFA_ADVANCE = 1, /* operations in the top two bits */
    CFA_OFFSET = 2,
    CFA_RESTORE = 3,
};

struct unwind_machine {
    const struct unwind_entry *entry;
    struct unwind_bytes code;
    uintptr_t pc; /* up to which the rules hold */
    struct unwind_row *row;
    const struct unwind_row *initial; /* of the common part; NULL while that is being read */
    struct unwind_row remembered[RULES_REMEMBERED_MAX];
    unsigned n_remembered;
};

/* Registers beyond those that we follow (vectors) do not matter to a walk. */
static void unwind_set(struct unwind_machine *vm, uint64_t reg, enum unwind_rule kind, int64_t value)
{
    if (reg >= UNWIND_N_REGS)
        return;
    vm->row->kind[reg] = (uint8_t)kind;
    vm->row->value[reg] = value;
}

static void unwind_restore(struct unwind_machine *vm, uint64_t reg)
{
    if (reg < UNWIND_N_REGS && vm->initial != NULL)
        unwind_set(vm, reg, vm->initial->kind[reg], vm->initial->value[reg]);
}

static void unwind_set_cfa(struct unwind_machine *vm, enum unwind_rule kind, uint64_t reg, int64_t value)
{
    vm->code.is_bad |= reg >= UNWIND_N_REGS;
    vm->row->cfa_kind = (uint8_t)kind;
    vm->row->cfa_reg = (uint8_t)reg;
    vm->row->cfa_value = value;
}

/* Where an expression lies; it is stepped over. */
static int64_t unwind_take_block(struct unwind_machine *vm)
{
    int64_t at = (int64_t)(uintptr_t)vm->code.at;
    uint64_t length = unwind_take_uleb(&vm->code);

    if (length > (size_t)(vm->code.end - vm->code.at))
        vm->code.is_bad = true;
    else
        vm->code.at += length;
    return at;
}

static int64_t unwind_take_factored(struct unwind_machine *vm)
{
    return (int64_t)unwind_take_uleb(&vm->code) * vm->entry->data_align;
}

static int64_t unwind_take_factored_signed(struct unwind_machine *vm)
{
    return unwind_take_sleb(&vm->code) * vm->entry->data_align;
}

static void unwind_remember(struct unwind_machine *vm)
{
    if (vm->n_remembered == RULES_REMEMBERED_MAX)
        vm->code.is_bad = true;
    else
        vm->remembered[vm->n_remembered++] = *vm->row;
}

static void unwind_recall(struct unwind_machine *vm)
{
    if (vm->n_remembered == 0)
        vm->code.is_bad = true;
    else
        *vm->row = vm->remembered[--vm->n_remembered];
}

/* Operations that change the rule of the CFA. false: it is none of these. */
static bool unwind_run_cfa(struct unwind_machine *vm, unsigned op)
{
    uint64_t reg;

    switch (op) {
    case 0x0c: /* def_cfa */
        reg = unwind_take_uleb(&vm->code);
        unwind_set_cfa(vm, RULE_REGISTER, reg, (int64_t)unwind_take_uleb(&vm->code));
        return true;
    case 0x12: /* def_cfa_sf */
        reg = unwind_take_uleb(&vm->code);
        unwind_set_cfa(vm, RULE_REGISTER, reg, unwind_take_factored_signed(vm));
        return true;
    case 0x0d: /* def_cfa_register */
        unwind_set_cfa(vm, RULE_REGISTER, unwind_take_uleb(&vm->code), vm->row->cfa_value);
        return true;
    case 0x0e: /* def_cfa_offset */
        unwind_set_cfa(vm, RULE_REGISTER, vm->row->cfa_reg, (int64_t)unwind_take_uleb(&vm->code));
        return true;
    case 0x13: /* def_cfa_offset_sf */
        unwind_set_cfa(vm, RULE_REGISTER, vm->row->cfa_reg, unwind_take_factored_signed(vm));
        return true;
    case 0x0f: /* def_cfa_expression */
        unwind_set_cfa(vm, RULE_VAL_EXPR, 0, unwind_take_block(vm));
        return true;
    default:
        return false;
    }
}

/* Operations with a register as their first operand. */
static bool unwind_run_register(struct unwind_machine *vm, unsigned op)
{
    if (op < 0x05 || op > 0x16 || op == 0x0a || op == 0x0b)
        return false;
    uint64_t reg = unwind_take_uleb(&vm->code);
    switch (op) {
    case 0x05: /* offset_extended */
        unwind_set(vm, reg, RULE_OFFSET, unwind_take_factored(vm));
        return true;
    case 0x06: /* restore_extended */
        unwind_restore(vm, reg);
        return true;
    case 0x07: /* undefined */
        unwind_set(vm, reg, RULE_UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        unwind_set(vm, reg, RULE_SAME, 0);
        return true;
    case 0x09: /* register */
        unwind_set(vm, reg, RULE_REGISTER, (int64_t)unwind_take_uleb(&vm->code));
        return true;
    case 0x10: /* expression */
        unwind_set(vm, reg, RULE_EXPR, unwind_take_block(vm));
        return true;
    case 0x11: /* offset_extended_sf */
        unwind_set(vm, reg, RULE_OFFSET, unwind_take_factored_signed(vm));
        return true;
    case 0x14: /* val_offset */
        unwind_set(vm, reg, RULE_VAL_OFFSET, unwind_take_factored(vm));
        return true;
    case 0x15: /* val_offset_sf */
        unwind_set(vm, reg, RULE_VAL_OFFSET, unwind_take_factored_signed(vm));
        return true;
    case 0x16: /* val_expression */
        unwind_set(vm, reg, RULE_VAL_EXPR, unwind_take_block(vm));
        return true;
    default:
        return false;
    }
}

static bool unwind_run_other(struct unwind_machine *vm, unsigned op)
{
    switch (op) {
    case 0x00: /* nop */
    case 0x2d: /* aarch64: the return address is signed from here on; the signature is dropped anyway */
        return true;
    case 0x02: /* advance_loc1, 2, 4 */
        vm->pc += unwind_take(&vm->code, 1) * vm->entry->code_align;
        return true;
    case 0x03:
        vm->pc += unwind_take(&vm->code, 2) * vm->entry->code_align;
        return true;
    case 0x04:
        vm->pc += unwind_take(&vm->code, 4) * vm->entry->code_align;
        return true;
    case 0x0a:
        unwind_remember(vm);
        return true;
    case 0x0b:
        unwind_recall(vm);
        return true;
    case 0x2e: /* GNU_args_size */
        unwind_take_uleb(&vm->code);
        return true;
    default:
        return false;
    }
}

static bool unwind_run_one(struct unwind_machine *vm)
{
    unsigned byte = (unsigned)unwind_take(&vm->code, 1), low = byte & 0x3f;

    switch (byte >> 6) {
    case CFA_ADVANCE:
        vm->pc += low * vm->entry->code_align;
        return true;
    case CFA_OFFSET:
        unwind_set(vm, low, RULE_OFFSET, unwind_take_factored(vm));
        return true;
    case CFA_RESTORE:
        unwind_restore(vm, low);
        return true;
    default:
        return unwind_run_cfa(vm, low) || unwind_run_register(vm, low) || unwind_run_other(vm, low);
    }
}

/* Up to the place where rules hold that are not ours any more: the operation that steps beyond pc changes no rule. */
static bool unwind_run(struct unwind_machine *vm, struct unwind_bytes code, uintptr_t pc)
{
    for (vm->code = code; vm->code.at < vm->code.end && vm->pc <= pc;)
        if (!unwind_run_one(vm) || vm->code.is_bad)
            return false;
    return true;
}

bool unwind_rules_at(const struct unwind_entry *e, uintptr_t pc, struct unwind_row *row)
{
    struct unwind_row initial;
    struct unwind_machine vm;

    *row = (struct unwind_row){.cfa_kind = RULE_UNDEFINED};
    vm.entry = e;
    vm.pc = e->pc_lo;
    vm.row = row;
    vm.initial = NULL;
    vm.n_remembered = 0;
    if (!unwind_run(&vm, e->initial, UINTPTR_MAX))
        return false;
    initial = *row;
    vm.initial = &initial;
    vm.pc = e->pc_lo;
    return unwind_run(&vm, e->own, pc);
}
