/* Expressions in tables: a stack machine. Frames of signal handlers and entries of the linker's table of calls need it. */
#include "os/unwind.h"

enum { EXPR_STACK_MAX = 16, EXPR_STEPS_MAX = 200 };

struct unwind_expr {
    struct unwind_bytes code;
    const struct unwind_frame *frame;
    struct unwind_memory *memory;
    uintptr_t stack[EXPR_STACK_MAX];
    unsigned depth;
};

static void expr_push(struct unwind_expr *x, uintptr_t value)
{
    if (x->depth == EXPR_STACK_MAX)
        x->code.is_bad = true;
    else
        x->stack[x->depth++] = value;
}

static uintptr_t expr_pop(struct unwind_expr *x)
{
    if (x->depth != 0)
        return x->stack[--x->depth];
    x->code.is_bad = true;
    return 0;
}

static void expr_push_register(struct unwind_expr *x, uint64_t reg)
{
    int64_t offset = unwind_take_sleb(&x->code);

    if (reg >= UNWIND_N_REGS)
        x->code.is_bad = true;
    else
        expr_push(x, x->frame->reg[reg] + (uintptr_t)offset);
}

static bool expr_constant(struct unwind_expr *x, unsigned op)
{
    static const uint8_t n_bytes[] = {1, 1, 2, 2, 4, 4, 8, 8};
    uint64_t value;
    unsigned n_bits;

    if (op == 0x10) {
        expr_push(x, unwind_take_uleb(&x->code));
        return true;
    }
    if (op == 0x11) {
        expr_push(x, (uintptr_t)unwind_take_sleb(&x->code));
        return true;
    }
    if (op < 0x08 || op > 0x0f)
        return false;
    value = unwind_take(&x->code, n_bytes[op - 0x08]);
    n_bits = 64 - 8u * n_bytes[op - 0x08];
    expr_push(x, op % 2 == 0 ? value : (uintptr_t)((int64_t)(value << n_bits) >> n_bits)); /* odd ones are signed */
    return true;
}

static bool expr_binary(struct unwind_expr *x, unsigned op)
{
    if (op < 0x1a || op > 0x2e || op == 0x1b || op == 0x1d || op == 0x1f || op == 0x20 || op == 0x23 || op == 0x28)
        return false;
    uintptr_t b = expr_pop(x), a = expr_pop(x);
    unsigned shift = b < 64 ? (unsigned)b : 63;
    switch (op) {
    case 0x1a:
        expr_push(x, a & b);
        break;
    case 0x1c:
        expr_push(x, a - b);
        break;
    case 0x1e:
        expr_push(x, a * b);
        break;
    case 0x21:
        expr_push(x, a | b);
        break;
    case 0x22:
        expr_push(x, a + b);
        break;
    case 0x24:
        expr_push(x, b < 64 ? a << b : 0);
        break;
    case 0x25:
        expr_push(x, b < 64 ? a >> b : 0);
        break;
    case 0x26:
        expr_push(x, (uintptr_t)((intptr_t)a >> shift));
        break;
    case 0x27:
        expr_push(x, a ^ b);
        break;
    case 0x29:
        expr_push(x, a == b);
        break;
    case 0x2a:
        expr_push(x, (intptr_t)a >= (intptr_t)b);
        break;
    case 0x2b:
        expr_push(x, (intptr_t)a > (intptr_t)b);
        break;
    case 0x2c:
        expr_push(x, (intptr_t)a <= (intptr_t)b);
        break;
    case 0x2d:
        expr_push(x, (intptr_t)a < (intptr_t)b);
        break;
    default:
        expr_push(x, a != b);
        break;
    }
    return true;
}

static bool expr_unary(struct unwind_expr *x, unsigned op)
{
    uintptr_t a;

    switch (op) {
    case 0x06: /* deref */
        a = expr_pop(x);
        x->code.is_bad |= !unwind_read(x->memory, a, &a);
        expr_push(x, a);
        return true;
    case 0x12: /* dup */
        a = expr_pop(x);
        expr_push(x, a);
        expr_push(x, a);
        return true;
    case 0x13: /* drop */
        expr_pop(x);
        return true;
    case 0x1f: /* neg */
        expr_push(x, -expr_pop(x));
        return true;
    case 0x20: /* not */
        expr_push(x, ~expr_pop(x));
        return true;
    case 0x23: /* plus_uconst */
        a = expr_pop(x);
        expr_push(x, a + unwind_take_uleb(&x->code));
        return true;
    case 0x96: /* nop */
        return true;
    default:
        return false;
    }
}

static bool expr_run_one(struct unwind_expr *x)
{
    unsigned op = (unsigned)unwind_take(&x->code, 1);

    if (op >= 0x30 && op <= 0x4f) {
        expr_push(x, op - 0x30);
        return true;
    }
    if (op >= 0x70 && op <= 0x8f) {
        expr_push_register(x, op - 0x70);
        return true;
    }
    if (op == 0x92) {
        expr_push_register(x, unwind_take_uleb(&x->code));
        return true;
    }
    return expr_constant(x, op) || expr_unary(x, op) || expr_binary(x, op);
}

bool unwind_evaluate(uintptr_t addr, uintptr_t end, const struct unwind_frame *f, struct unwind_memory *m,
                     uintptr_t first, uintptr_t *out)
{
    struct unwind_expr x = {.code = {(const uint8_t *)addr, (const uint8_t *)end, false}, .frame = f, .memory = m};
    uint64_t length = unwind_take_uleb(&x.code);

    if (length > (size_t)(x.code.end - x.code.at))
        return false;
    x.code.end = x.code.at + length;
    expr_push(&x, first);
    for (unsigned n = 0; x.code.at < x.code.end; n++)
        if (n == EXPR_STEPS_MAX || !expr_run_one(&x) || x.code.is_bad)
            return false;
    *out = expr_pop(&x);
    return !x.code.is_bad;
}
