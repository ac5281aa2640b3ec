/* Options as text: what a row accepts, and what a field holds. */
#include "base/options.h"

static void option_put_words(struct fmt *f, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (i != 0) {
            fmt_str(f, words[i + 1] == NULL ? " or " : ", ");
        }
        fmt_str(f, words[i]);
    }
}

static void option_put_range(struct fmt *f, const struct option_row *row, const char *what)
{
    fmt_str(f, what);
    fmt_str(f, " from ");
    fmt_i64(f, row->lo);
    fmt_str(f, " to ");
    if (row->type == OPTION_BYTES || row->type == OPTION_LIMIT) {
        fmt_bytes(f, (uint64_t)row->hi);
    } else {
        fmt_i64(f, row->hi);
    }
}

void options_put_accepted(struct fmt *f, const struct option_row *row)
{
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        fmt_str(f, "yes or no");
        break;
    case OPTION_INT:
    case OPTION_PERCENT:
        option_put_range(f, row, "an integer");
        break;
    case OPTION_LIMIT:
        option_put_words(f, row->words);
        fmt_str(f, " or ");
        option_put_range(f, row, "bytes, such as 64M,");
        break;
    case OPTION_BYTES:
        option_put_range(f, row, "bytes, such as 64M,");
        break;
    case OPTION_ENUM:
        option_put_words(f, row->words);
        break;
    case OPTION_PATH:
        fmt_str(f, "a path of at most ");
        fmt_u64(f, OPTION_PATH_MAX - 1);
        fmt_str(f, " bytes");
        break;
    }
}

/* Unlike fmt_bytes it drops nothing: the largest unit that leaves a whole number. */
static void option_put_bytes(struct fmt *f, uint64_t n_bytes)
{
    size_t unit = 0;
    while (n_bytes != 0 && n_bytes % 1024 == 0 && unit < 4) {
        n_bytes /= 1024;
        unit++;
    }
    fmt_u64(f, n_bytes);
    if (unit != 0) {
        fmt_char(f, "KMGT"[unit - 1]);
    }
}

void options_put_value(struct fmt *f, const struct option_row *row, const struct options *o)
{
    const char *field = (const char *)o + row->offset;
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        fmt_str(f, *(const bool *)field ? "yes" : "no");
        break;
    case OPTION_INT:
    case OPTION_PERCENT:
        fmt_i64(f, *(const int32_t *)field);
        break;
    case OPTION_LIMIT:
        if (*(const uint64_t *)field > INT64_MAX) {
            fmt_str(f, row->words[UINT64_MAX - *(const uint64_t *)field]);
            break;
        }
        /* fallthrough */
    case OPTION_BYTES:
        option_put_bytes(f, *(const uint64_t *)field);
        break;
    case OPTION_ENUM:
        fmt_str(f, row->words[*(const uint32_t *)field]);
        break;
    case OPTION_PATH:
        fmt_str(f, field);
        break;
    }
}
