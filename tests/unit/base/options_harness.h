/* What the two tests of the options share: parsing on top of the defaults, and the lines that came of it. */
#ifndef TESTS_UNIT_BASE_OPTIONS_HARNESS_H
#define TESTS_UNIT_BASE_OPTIONS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/options.h"

static char told[65536]; /* all lines since the last call of parse */
static size_t told_len;
static size_t n_told;
static struct options before, after;

static void tell(const char *line, size_t len, void *ctx)
{
    assert_ptr_equal(ctx, &n_told);
    assert_true(len > 0 && len <= 512);
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1);
    assert_int_equal(strncmp(line, "libgcmalloc: option ", 20), 0);
    for (size_t i = 0; i + 1 < len; i++) {
        assert_true(line[i] >= ' ' && line[i] <= '~');
    }
    n_told++;
    if (told_len + len < sizeof(told)) {
        memcpy(told + told_len, line, len);
        told_len += len;
        told[told_len] = '\0';
    }
}

static void defaults_into(struct options *o)
{
    memset(o, 0, sizeof(*o));
    options_init(o);
}

static void start_telling(void)
{
    told_len = 0;
    n_told = 0;
    told[0] = '\0';
}

static void assert_unchanged(void)
{
    assert_memory_equal(&before, &after, sizeof(before));
}

#define FOR_EACH_ROW(row)                                                                                    \
    for (size_t row_no = 0; row_no < options_n_rows(); row_no++)                                             \
        for (const struct option_row *row = options_row(row_no); row != NULL; row = NULL)

#endif
