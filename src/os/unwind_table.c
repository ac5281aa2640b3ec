/* Finding the table entry of a function: .eh_frame_hdr, a sorted index, then .eh_frame.
 *
 * An entry (FDE) names the common part (CIE) that it shares with others. Only what compilers and linkers write is read:
 * the index sorted with 4-byte offsets, lengths of 32 bits. Anything else ends the walk.
 * Invariants  nothing outside the module's range is read.
 */
#include "os/unwind.h"

#include <string.h>

enum {
    HDR_VERSION = 1,
    HDR_ENCODINGS = 0x3b031b, /* start: relative, 4 bytes; count: 4 bytes; index: relative to the table, 4 bytes */
    HDR_BYTES = 12,
    HDR_ENTRY_BYTES = 8,
    ENCODED_OMIT = 0xff,
    ENCODED_PCREL = 0x10,
    ENCODED_KIND = 0x70,
    LENGTH_IS_64_BITS = 0xfffffff0u,
};

uint64_t unwind_take(struct unwind_bytes *b, unsigned n_bytes)
{
    uint64_t value = 0;

    if ((size_t)(b->end - b->at) < n_bytes) {
        b->is_bad = true;
        b->at = b->end;
        return 0;
    }
    memcpy(&value, b->at, n_bytes);
    b->at += n_bytes;
    return value;
}

static uint64_t unwind_take_leb(struct unwind_bytes *b, unsigned *shift)
{
    uint64_t value = 0, byte;

    *shift = 0;
    do {
        byte = unwind_take(b, 1);
        value |= *shift < 64 ? (byte & 0x7f) << *shift : 0;
        *shift += 7;
    } while ((byte & 0x80) != 0);
    if ((byte & 0x40) != 0)
        *shift |= 0x80000000u; /* the sign, for those who want it */
    return value;
}

uint64_t unwind_take_uleb(struct unwind_bytes *b)
{
    unsigned shift;

    return unwind_take_leb(b, &shift);
}

int64_t unwind_take_sleb(struct unwind_bytes *b)
{
    unsigned shift;
    uint64_t value = unwind_take_leb(b, &shift);
    bool is_negative = (shift & 0x80000000u) != 0;

    shift &= 0x7fffffffu;
    return (int64_t)(is_negative && shift < 64 ? value | ~UINT64_C(0) << shift : value);
}

/* A pointer in one of the shapes that the low bits of `encoding` name. */
static uintptr_t unwind_take_shape(struct unwind_bytes *b, unsigned encoding)
{
    switch (encoding & 0xf) {
    case 0x0:
    case 0x4:
    case 0xc:
        return unwind_take(b, 8);
    case 0x1:
        return unwind_take_uleb(b);
    case 0x2:
        return unwind_take(b, 2);
    case 0x3:
        return unwind_take(b, 4);
    case 0x9:
        return (uintptr_t)unwind_take_sleb(b);
    case 0xa:
        return (uintptr_t)(intptr_t)(int16_t)unwind_take(b, 2);
    case 0xb:
        return (uintptr_t)(intptr_t)(int32_t)unwind_take(b, 4);
    default:
        b->is_bad = true;
        return 0;
    }
}

static uintptr_t unwind_take_pointer(struct unwind_bytes *b, unsigned encoding)
{
    uintptr_t at = (uintptr_t)b->at;
    unsigned kind = encoding & ENCODED_KIND;

    if (encoding == ENCODED_OMIT)
        return 0;
    b->is_bad |= kind != 0 && kind != ENCODED_PCREL && kind != 0x30;
    return unwind_take_shape(b, encoding) + (kind == ENCODED_PCREL ? at : 0);
}

/* A record of .eh_frame at addr, without its length. */
static bool unwind_open_record(const struct unwind_module *module, uintptr_t addr, struct unwind_bytes *b)
{
    uint64_t length;

    if (addr < module->lo || addr >= module->hi)
        return false;
    *b = (struct unwind_bytes){(const uint8_t *)addr, (const uint8_t *)module->hi, false};
    length = unwind_take(b, 4);
    if (length == 0 || length >= LENGTH_IS_64_BITS || length > (size_t)(b->end - b->at))
        return false;
    b->end = b->at + length;
    return true;
}

/* What the letters of a CIE's augmentation stand for. false: one that we do not know, so nothing behind it can be
 * read. */
static bool unwind_take_letter(struct unwind_bytes *b, char letter, unsigned *encoding, struct unwind_entry *e)
{
    switch (letter) {
    case 'R':
        *encoding = (unsigned)unwind_take(b, 1);
        return true;
    case 'P':
        unwind_take_pointer(b, (unsigned)unwind_take(b, 1));
        return true;
    case 'L':
        unwind_take(b, 1);
        return true;
    case 'S':
        e->is_signal = true;
        return true;
    case 'B': /* aarch64: return addresses are signed with the other key */
    case 'G':
        return true;
    default:
        return false;
    }
}

static bool unwind_take_augmentation(struct unwind_bytes *b, const char *letters, unsigned *encoding,
                                     struct unwind_entry *e)
{
    uint64_t length;

    if (letters[0] == '\0')
        return true;
    if (letters[0] != 'z')
        return false;
    length = unwind_take_uleb(b);
    if (length > (size_t)(b->end - b->at))
        return false;
    const uint8_t *behind = b->at + length;
    for (const char *l = letters + 1; *l != '\0'; l++)
        if (!unwind_take_letter(b, *l, encoding, e))
            return false;
    b->at = behind;
    return true;
}

static bool unwind_read_common(const struct unwind_module *module, uintptr_t addr, unsigned *encoding,
                               struct unwind_entry *e)
{
    struct unwind_bytes b;
    const char *letters;
    unsigned version;

    if (!unwind_open_record(module, addr, &b) || unwind_take(&b, 4) != 0)
        return false;
    version = (unsigned)unwind_take(&b, 1);
    if (version != 1 && version != 3)
        return false;
    letters = (const char *)b.at;
    while (unwind_take(&b, 1) != 0)
        ;
    e->code_align = unwind_take_uleb(&b);
    e->data_align = unwind_take_sleb(&b);
    e->ra_reg = version == 1 ? unwind_take(&b, 1) : unwind_take_uleb(&b);
    if (b.is_bad || !unwind_take_augmentation(&b, letters, encoding, e))
        return false;
    e->initial = b;
    return !b.is_bad;
}

static bool unwind_read_entry(const struct unwind_module *module, uintptr_t addr, struct unwind_entry *e)
{
    struct unwind_bytes b;
    unsigned encoding = 0;

    *e = (struct unwind_entry){0};
    if (!unwind_open_record(module, addr, &b))
        return false;
    uintptr_t field = (uintptr_t)b.at, back = unwind_take(&b, 4);
    if (back == 0 || back > field - module->lo || !unwind_read_common(module, field - back, &encoding, e))
        return false;
    e->pc_lo = unwind_take_pointer(&b, encoding);
    e->pc_hi = e->pc_lo + unwind_take_shape(&b, encoding);
    uint64_t length = unwind_take_uleb(&b);
    if (b.is_bad || length > (size_t)(b.end - b.at))
        return false;
    b.at += length;
    e->own = b;
    return true;
}

struct unwind_index {
    const int32_t (*entries)[2]; /* function, its entry; both relative to the table */
    size_t n;
};

static bool unwind_open_index(const struct unwind_module *module, struct unwind_index *index)
{
    uint32_t head, n;

    if (module->hdr < module->lo || module->hdr % 4 != 0 || module->hdr > module->hi - HDR_BYTES)
        return false;
    memcpy(&head, (const void *)module->hdr, sizeof(head));
    memcpy(&n, (const void *)(module->hdr + 8), sizeof(n));
    if (head != (HDR_VERSION | (uint32_t)HDR_ENCODINGS << 8))
        return false;
    if (n == 0 || n > (module->hi - module->hdr - HDR_BYTES) / HDR_ENTRY_BYTES)
        return false;
    index->entries = (const int32_t (*)[2])(module->hdr + HDR_BYTES);
    index->n = n;
    return true;
}

bool unwind_find_entry(const struct unwind_module *module, uintptr_t pc, struct unwind_entry *out)
{
    struct unwind_index index;
    size_t lo = 0, hi;

    if (!unwind_open_index(module, &index))
        return false;
    for (hi = index.n; hi - lo > 1;) {
        size_t middle = lo + (hi - lo) / 2;
        if (module->hdr + (uintptr_t)(intptr_t)index.entries[middle][0] <= pc)
            lo = middle;
        else
            hi = middle;
    }
    return unwind_read_entry(module, module->hdr + (uintptr_t)(intptr_t)index.entries[lo][1], out) &&
           pc >= out->pc_lo && pc < out->pc_hi;
}
