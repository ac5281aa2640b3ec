/* The parser of GCMALLOC=key=value,key=value.
 *
 * A value goes through three steps: option_parse_* makes a number of it,
 * option_apply compares it with the row's bounds, option_store writes the field.
 */
#include "base/options.h"

#include <string.h>
#include "base/compiler.h"

enum {
    OPTION_LINE_MAX = 512,
    OPTION_SHOWN_MAX = 64, /* bytes of a bad key or value that a message repeats */
};

/* A piece of the text. */
struct slice {
    const char *at;
    size_t len;
};

/* ---- text to number --------------------------------------------------------- */

static char option_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool option_is(struct slice s, const char *word)
{
    for (size_t i = 0; i < s.len; i++) {
        if (word[i] == '\0' || option_lower(s.at[i]) != word[i]) {
            return false;
        }
    }
    return word[s.len] == '\0';
}

/* Decimal digits at the front of *s, which is moved behind them. false: none, or beyond INT64_MAX. */
static bool option_take_digits(struct slice *s, int64_t *out)
{
    const char *start = s->at;
    int64_t value = 0;
    while (s->len != 0 && *s->at >= '0' && *s->at <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *s->at - '0', &value)) {
            return false;
        }
        s->at++;
        s->len--;
    }
    *out = value;
    return s->at != start;
}

static bool option_parse_int(struct slice s, bool may_have_percent, int64_t *out)
{
    bool is_negative = s.len != 0 && *s.at == '-';
    s.at += is_negative;
    s.len -= is_negative;
    if (!option_take_digits(&s, out)) {
        return false;
    }
    *out = is_negative ? -*out : *out;
    return s.len == 0 || (may_have_percent && option_is(s, "%"));
}

/* Digits, then nothing, B, or K M G T with B or iB behind it or not. All are powers of 1024. */
static bool option_parse_bytes(struct slice s, int64_t *out)
{
    static const char *const units[] = {"k", "m", "g", "t"};
    static const char *const tails[] = {"", "b", "ib"};
    if (!option_take_digits(&s, out)) {
        return false;
    }
    if (s.len == 0 || option_is(s, "b")) {
        return true;
    }
    struct slice unit = {s.at, 1};
    struct slice tail = {s.at + 1, s.len - 1};
    if (!option_is(tail, tails[0]) && !option_is(tail, tails[1]) && !option_is(tail, tails[2])) {
        return false;
    }
    for (size_t i = 0; i < N_ELEMENTS(units); i++) {
        if (option_is(unit, units[i])) {
            return !__builtin_mul_overflow(*out, INT64_C(1024) << (10 * i), out);
        }
    }
    return false;
}

static bool option_parse_bool(struct slice s, int64_t *out)
{
    static const char *const words[] = {"no", "yes", "0", "1", "off", "on", "false", "true"};
    for (size_t i = 0; i < N_ELEMENTS(words); i++) {
        if (option_is(s, words[i])) {
            *out = i % 2;
            return true;
        }
    }
    return false;
}

static bool option_parse_word(struct slice s, const char *const *words, int64_t *out)
{
    for (int64_t i = 0; words[i] != NULL; i++) {
        if (option_is(s, words[i])) {
            *out = i;
            return true;
        }
    }
    return strcmp(words[0], "no") == 0 && option_parse_bool(s, out); /* no and yes have other names */
}

/* The number that s means for this row; bounds are not looked at. pre: not a path. */
static bool option_parse_number(const struct option_row *row, struct slice s, int64_t *out)
{
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        return option_parse_bool(s, out);
    case OPTION_INT:
        return option_parse_int(s, false, out);
    case OPTION_PERCENT:
        return option_parse_int(s, true, out);
    case OPTION_BYTES:
    case OPTION_LIMIT:
        return option_parse_bytes(s, out);
    case OPTION_ENUM:
        return option_parse_word(s, row->words, out);
    case OPTION_PATH:
        break;
    }
    return false;
}

/* ---- fields ------------------------------------------------------------------ */

static void option_store(const struct option_row *row, struct options *out, int64_t value)
{
    char *field = (char *)out + row->offset;
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        *(bool *)field = value != 0;
        break;
    case OPTION_INT:
    case OPTION_PERCENT:
        *(int32_t *)field = (int32_t)value;
        break;
    case OPTION_BYTES:
    case OPTION_LIMIT:
        *(uint64_t *)field = (uint64_t)value;
        break;
    case OPTION_ENUM:
        *(uint32_t *)field = (uint32_t)value;
        break;
    case OPTION_PATH:
        break; /* "" already: what nobody sets is not touched */
    }
}

static bool option_store_path(const struct option_row *row, struct options *out, struct slice value)
{
    if (value.len >= OPTION_PATH_MAX) {
        return false;
    }
    char *field = (char *)out + row->offset;
    memcpy(field, value.at, value.len);
    field[value.len] = '\0';
    out->has_paths |= value.len != 0;
    return true;
}

static bool option_apply(const struct option_row *row, struct options *out, struct slice value)
{
    int64_t number, word;
    if (row->type == OPTION_PATH) {
        return option_store_path(row, out, value);
    }
    if (row->type == OPTION_LIMIT && option_parse_word(value, row->words, &word)) {
        option_store(row, out, (int64_t)(UINT64_MAX - (uint64_t)word));
        return true;
    }
    if (!option_parse_number(row, value, &number) || number < row->lo || number > row->hi) {
        return false;
    }
    option_store(row, out, number);
    return true;
}

void options_init(struct options *out)
{
    for (size_t i = 0; i < options_n_rows(); i++) {
        option_store(options_row(i), out, options_row(i)->initial);
    }
}

/* ---- items ------------------------------------------------------------------- */

/* Text of others may hold anything; a message is one line of plain characters. */
static void option_put_shown(struct fmt *f, struct slice s)
{
    size_t len = s.len < OPTION_SHOWN_MAX ? s.len : OPTION_SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        fmt_char(f, s.at[i] >= ' ' && s.at[i] <= '~' ? s.at[i] : '?');
    }
    if (len < s.len) {
        fmt_str(f, "...");
    }
}

static void option_put_known(struct fmt *f)
{
    fmt_str(f, "unknown; known are");
    for (size_t i = 0; i < options_n_rows(); i++) {
        fmt_char(f, ' ');
        fmt_str(f, options_row(i)->name);
    }
}

/* value.at is NULL where the item has no '='. */
static void option_report(struct slice key, struct slice value, options_report_fn report, void *ctx)
{
    if (report == NULL) {
        return;
    }
    char line[OPTION_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line));
    fmt_str(&f, "libgcmalloc: option ");
    option_put_shown(&f, key);
    if (value.at != NULL) {
        fmt_char(&f, '=');
        option_put_shown(&f, value);
    }
    fmt_str(&f, ": ");
    const struct option_row *row = options_find(key.at, key.len);
    if (row == NULL) {
        option_put_known(&f);
    } else {
        fmt_str(&f, value.at == NULL ? "no value; expected " : "expected ");
        options_put_accepted(&f, row);
    }
    fmt_end_line(&f);
    report(line, f.len, ctx);
}

static bool option_set(struct options *out, struct slice key, struct slice value, options_report_fn report,
                       void *ctx)
{
    const struct option_row *row = options_find(key.at, key.len);
    if (row != NULL && value.at != NULL && option_apply(row, out, value)) {
        return true;
    }
    option_report(key, value, report, ctx);
    return false;
}

bool options_set(struct options *out, const char *key, const char *value, options_report_fn report, void *ctx)
{
    struct slice key_slice = {key, strlen(key)};
    struct slice value_slice = {value, strlen(value)};
    return option_set(out, key_slice, value_slice, report, ctx);
}

static bool option_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice option_trim(struct slice s)
{
    while (s.len != 0 && option_is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len != 0 && option_is_blank(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

static bool option_parse_item(struct slice item, struct options *out, options_report_fn report, void *ctx)
{
    const char *equals = memchr(item.at, '=', item.len);
    struct slice key = item;
    struct slice value = {NULL, 0};
    if (equals != NULL) {
        key.len = (size_t)(equals - item.at);
        value.at = equals + 1;
        value.len = item.len - key.len - 1;
    }
    return option_set(out, key, value, report, ctx);
}

size_t options_parse(const char *text, struct options *out, options_report_fn report, void *ctx)
{
    size_t n_bad = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        struct slice item = option_trim((struct slice){text, len});
        if (item.len != 0 && !option_parse_item(item, out, report, ctx)) {
            n_bad++;
        }
        text += len + (text[len] == ',');
    }
    return n_bad;
}
