/* See out.h. */
#include "api/out.h"

#include "os/os.h"

enum { OUT_LABEL_COLUMNS = 14 };

void out_init(struct out *o, int fd)
{
    o->fd = fd;
    o->f = fmt_init(o->line, sizeof(o->line));
}

void out_end_line(struct out *o)
{
    fmt_end_line(&o->f);
    os_write_all(o->fd, o->line, o->f.len);
    o->f = fmt_init(o->line, sizeof(o->line));
}

void out_line(struct out *o, const char *text)
{
    fmt_str(&o->f, text);
    out_end_line(o);
}

void out_label(struct out *o, const char *label)
{
    size_t begin = o->f.len;

    fmt_str(&o->f, "  ");
    fmt_str(&o->f, label);
    while (o->f.len < begin + OUT_LABEL_COLUMNS)
        fmt_char(&o->f, ' ');
}

void out_right(struct out *o, uint64_t value, unsigned width)
{
    unsigned n_digits = 1;

    for (uint64_t rest = value; rest >= 10; rest /= 10)
        n_digits++;
    for (; n_digits < width; width--)
        fmt_char(&o->f, ' ');
    fmt_u64(&o->f, value);
}

void out_ms(struct out *o, uint64_t ns)
{
    uint64_t hundredths = ns / 10000;

    fmt_u64(&o->f, hundredths / 100);
    fmt_char(&o->f, '.');
    fmt_char(&o->f, (char)('0' + hundredths / 10 % 10));
    fmt_char(&o->f, (char)('0' + hundredths % 10));
    fmt_str(&o->f, " ms");
}
