/* Text built into a buffer of the caller's. All appending goes through fmt_mem,
 * which alone knows the end of the buffer.
 */
#include "base/fmt.h"

#include <string.h>

enum {
    FMT_DIGITS_MAX = 20, /* UINT64_MAX has 20 decimal digits, and 16 of base 16 */
};

void fmt_mem(struct fmt *f, const char *text, size_t len)
{
    size_t room = f->truncated ? 0 : f->cap - f->len;
    if (len > room) {
        len = room;
        f->truncated = true;
    }
    if (len != 0) {
        memcpy(f->buf + f->len, text, len);
        f->len += len;
    }
}

void fmt_char(struct fmt *f, char c)
{
    fmt_mem(f, &c, 1);
}

void fmt_str(struct fmt *f, const char *text)
{
    if (text == NULL) {
        text = "(null)";
    }
    fmt_mem(f, text, strlen(text));
}

void fmt_plain(struct fmt *f, const char *text)
{
    for (; *text != '\0'; text++)
        fmt_char(f, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

/* Bytes of the character that begins there; 0: none does. Of three and four bytes not all values are characters: there are
 * shorter forms, halves of pairs, and an end. */
static size_t fmt_utf8_bytes(const unsigned char *c)
{
    size_t n = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0) || (c[0] == 0xf0 && c[1] < 0x90) ||
        (c[0] == 0xf4 && c[1] >= 0x90))
        return 0;
    return n;
}

void fmt_json(struct fmt *f, const char *text)
{
    fmt_char(f, '"');
    for (size_t n; *text != '\0'; text += n != 0 ? n : 1) {
        n = fmt_utf8_bytes((const unsigned char *)text);
        if (n == 0 || (unsigned char)*text < ' ') {
            fmt_char(f, '?');
            continue;
        }
        if (*text == '"' || *text == '\\')
            fmt_char(f, '\\');
        fmt_mem(f, text, n);
    }
    fmt_char(f, '"');
}

static void fmt_digits(struct fmt *f, uint64_t value, unsigned base)
{
    char digits[FMT_DIGITS_MAX];
    size_t first = FMT_DIGITS_MAX;
    do {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    fmt_mem(f, digits + first, FMT_DIGITS_MAX - first);
}

void fmt_u64(struct fmt *f, uint64_t value)
{
    fmt_digits(f, value, 10);
}

void fmt_i64(struct fmt *f, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        fmt_char(f, '-');
        magnitude = 0 - magnitude; /* unsigned, because -INT64_MIN is no int64_t */
    }
    fmt_u64(f, magnitude);
}

void fmt_hex(struct fmt *f, uint64_t value)
{
    fmt_str(f, "0x");
    fmt_digits(f, value, 16);
}

void fmt_bytes(struct fmt *f, uint64_t n_bytes)
{
    static const char units[] = {'K', 'M', 'G', 'T', 'P', 'E'};
    if (n_bytes < 1024) {
        fmt_u64(f, n_bytes);
        return;
    }
    size_t unit = 0;
    while (unit + 1 < sizeof(units) && n_bytes >> (10 * (unit + 2)) != 0) {
        unit++;
    }
    /* Tenths from the ten bits below the point: more than a decimal needs, and no overflow at 16 EiB. */
    uint64_t scaled = n_bytes >> (10 * unit);
    uint64_t tenth = (scaled & 1023) * 10 / 1024;
    fmt_u64(f, scaled >> 10);
    if (tenth != 0) {
        fmt_char(f, '.');
        fmt_u64(f, tenth);
    }
    fmt_char(f, units[unit]);
}

void fmt_field(struct fmt *f, const char *key, uint64_t value)
{
    if (f->len != 0 && f->buf[f->len - 1] != '\n') {
        fmt_char(f, ' ');
    }
    fmt_str(f, key);
    fmt_char(f, '=');
    fmt_u64(f, value);
}

void fmt_end_line(struct fmt *f)
{
    if (f->len == f->cap) {
        f->len--;
        f->truncated = true;
    }
    f->buf[f->len++] = '\n';
}

const char *fmt_cstr(struct fmt *f)
{
    if (f->len == f->cap) {
        f->len--;
        f->truncated = true;
    }
    f->buf[f->len] = '\0';
    return f->buf;
}
