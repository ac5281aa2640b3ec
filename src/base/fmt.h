/* Text built into a buffer of the caller's, without stdio, allocation or locale.
 *
 * What        one cursor, `struct fmt`, and one function per kind of value.
 * Invariants  len <= cap; nothing beyond buf[cap - 1] is ever written; once a
 *             text did not fit, `truncated` stays set and nothing is appended
 *             any more, so that a cut line is a true prefix of the whole one.
 * All of it is async-signal-safe. The text has no NUL at its end: fmt_cstr puts one.
 */
#ifndef BASE_FMT_H
#define BASE_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fmt {
    char *buf;
    size_t cap;
    size_t len;
    bool truncated;
};

static inline struct fmt fmt_init(char *buf, size_t cap)
{
    return (struct fmt){.buf = buf, .cap = cap, .len = 0, .truncated = false};
}

void fmt_char(struct fmt *f, char c);
void fmt_mem(struct fmt *f, const char *text, size_t len);
void fmt_str(struct fmt *f, const char *text); /* NULL prints as "(null)" */
void fmt_plain(struct fmt *f, const char *text); /* a name of others in a line of ours: what does not print is '?' */
void fmt_json(struct fmt *f, const char *text);  /* as a string of JSON, quotes included; what is no UTF-8 is '?' */
void fmt_u64(struct fmt *f, uint64_t value);
void fmt_i64(struct fmt *f, int64_t value);
void fmt_hex(struct fmt *f, uint64_t value); /* 0x and lower case digits, no padding */
/* Bytes for people, and for the options parser when the value is whole: 1023, 1K,
 * 1.5K, 64M, 3.2G. Powers of 1024, one decimal, cut and not rounded. */
void fmt_bytes(struct fmt *f, uint64_t n_bytes);
/* KEY=VALUE, with a blank before it unless the text or the line begins here. */
void fmt_field(struct fmt *f, const char *key, uint64_t value);
/* A newline, for which the last byte gives way where the text fills the buffer: a cut line is still a line.
 * pre: cap > 0. */
void fmt_end_line(struct fmt *f);
/* The text as a C string; where it fills the buffer, its last byte gives way. pre: cap > 0. */
const char *fmt_cstr(struct fmt *f);

#endif
