/* Prints the table of options for README.md, markers included, from the rows that the parser uses. */
#include <stdio.h>
#include <stdlib.h>
#include "base/fmt.h"
#include "base/options.h"

enum {
    TEXT_MAX = 65536,
};

static void put_row(struct fmt *f, const struct option_row *row, const struct options *defaults)
{
    fmt_str(f, "| `");
    fmt_str(f, row->name);
    fmt_str(f, "` | ");
    options_put_accepted(f, row);
    fmt_str(f, " | ");
    if (row->type == OPTION_PATH) {
        fmt_str(f, "none");
    } else {
        fmt_char(f, '`');
        options_put_value(f, row, defaults);
        fmt_char(f, '`');
    }
    fmt_str(f, " | ");
    fmt_str(f, row->help);
    fmt_str(f, " |\n");
}

int main(void)
{
    static char text[TEXT_MAX];
    static struct options defaults;
    struct fmt f = fmt_init(text, sizeof(text));
    options_init(&defaults);
    fmt_str(&f, "<!-- options -->\n| option | values | default | what it does |\n|---|---|---|---|\n");
    for (size_t i = 0; i < options_n_rows(); i++) {
        put_row(&f, options_row(i), &defaults);
    }
    fmt_str(&f, "<!-- /options -->\n");
    if (f.truncated || fwrite(text, 1, f.len, stdout) != f.len || fflush(stdout) != 0) {
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
