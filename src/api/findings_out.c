/* See findings_out.h. */
#include "api/findings_out.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "os/os.h"
#include "os/probe.h"
#include "os/walk.h"

extern char *__cxa_demangle(const char *name, char *text, size_t *size, int *status) __attribute__((weak));

static char findings_program[PATH_MAX] BULKY;

void findings_init(void)
{
    if (findings_program[0] != '\0')
        return;
    long n = os_probe_readlink(OS_PROBE_NO_FOLDER, "/proc/self/exe", findings_program, sizeof(findings_program) - 1);

    findings_program[n > 0 ? n : 0] = '\0';
}

/* ---- text ---- */

void findings_out_init(struct findings_out *out, int fd, enum findings_where where)
{
    findings_init();
    out->fd = fd;
    out->error = 0;
    out->where = where;
    out->symbols = (struct os_symbols){0};
    out->f = fmt_init(out->buffer, sizeof(out->buffer));
}

static void findings_out_flush(struct findings_out *out)
{
    int e = out->error == 0 ? os_write_all(out->fd, out->f.buf, out->f.len) : 0;

    if (e < 0)
        out->error = -e;
    out->f = fmt_init(out->buffer, sizeof(out->buffer));
}

struct fmt *findings_out_text(struct findings_out *out)
{
    if (out->f.cap - out->f.len < FINDINGS_ROOM)
        findings_out_flush(out);
    return &out->f;
}

int findings_out_finish(struct findings_out *out)
{
    findings_out_flush(out);
    os_symbols_close(&out->symbols);
    return out->error;
}

/* ---- addresses ---- */

/* base 0: not known. */
static struct findings_place place_find(uintptr_t pc, uintptr_t *base)
{
    struct os_place place;

    *base = 0;
    if (!os_walk_place(pc - 1, &place))
        return (struct findings_place){.module = "", .offset = pc - 1, .symbol = ""};
    *base = place.base;
    return (struct findings_place){
        .module = place.module[0] != '\0' ? place.module : findings_program, .offset = place.offset, .symbol = ""};
}

struct findings_place findings_place_nolock(uintptr_t pc)
{
    uintptr_t base;

    return place_find(pc, &base);
}

/* Where ld.so is too old for the other way. */
static void place_ask_linker(struct findings_place *place, uintptr_t pc)
{
    Dl_info info;

    if (dladdr((void *)(pc - 1), &info) == 0 || info.dli_fname == NULL)
        return;
    place->module = info.dli_fname;
    place->offset = pc - 1 - (uintptr_t)info.dli_fbase;
    if (info.dli_sname != NULL)
        place->symbol = info.dli_sname;
}

/* Names that compilers make of types may have thousands of characters. */
static const char *place_cut(struct findings_out *out, const char *symbol)
{
    struct fmt f = fmt_init(out->symbol, sizeof(out->symbol));

    if (strlen(symbol) < sizeof(out->symbol))
        return symbol;
    fmt_str(&f, symbol);
    return fmt_cstr(&f);
}

/* The C++ runtime of the program, if there is one, makes names readable. */
static const char *place_demangle(struct findings_out *out, const char *symbol)
{
    struct fmt f = fmt_init(out->symbol, sizeof(out->symbol));
    int status = -1;
    char *text;

    if (symbol[0] != '_' || symbol[1] != 'Z' || __cxa_demangle == NULL || out->where != FINDINGS_AT_EASE)
        return place_cut(out, symbol);
    text = __cxa_demangle(symbol, NULL, NULL, &status);
    if (text == NULL || status != 0)
        return place_cut(out, symbol);
    fmt_str(&f, text);
    free(text);
    return fmt_cstr(&f);
}

struct findings_place findings_place(struct findings_out *out, uintptr_t pc)
{
    uintptr_t base;
    struct findings_place place = place_find(pc, &base);
    struct os_symbol symbol;

    if (place.module[0] == '\0' && out->where == FINDINGS_AT_EASE)
        place_ask_linker(&place, pc);
    else if (base != 0 && os_symbols_find(&out->symbols, place.module, base, pc - 1, &symbol))
        place.symbol = symbol.name;
    place.symbol = place_demangle(out, place.symbol);
    return place;
}
