/* See symbols.h.
 *
 * A file's part is one mapping: head, path, entries in the order of their addresses, text of names. The symbols are read to
 * where the entries will lie, which are shorter, and become entries in place. The file is read and not mapped: one that is
 * cut meanwhile would fault.
 */
#include "os/symbols.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/bits.h"
#include "base/sort.h"
#include "os/os.h"
#include "os/probe.h"

enum {
    SYMBOLS_MAX_BYTES = 512 << 20, /* of symbols or of names; nothing real has more */
    SYMBOLS_MAX_HEADERS = 64,
    SYMBOLS_LOOK_BACK = 32, /* symbols that begin at or before an address, and may yet cover it */
};

struct symbols_entry {
    uint64_t value;
    uint32_t name, size;
};
struct os_symbols_file {
    struct os_symbols_file *older;
    size_t size_bytes;        /* of the mapping */
    uintptr_t base, bias;     /* where it was loaded; what is added to its own addresses */
    struct symbols_entry *entries;
    size_t n_entries, n_text;
    const char *text;         /* ends in a NUL */
    bool is_readable;
    char path[];
};
_Static_assert(sizeof(Elf64_Sym) >= sizeof(struct symbols_entry), "symbols become entries in place");

/* ---- the file ------------------------------------------------------------------------------------------------- */

/* Where symbols and their names lie. */
struct symbols_place {
    uint64_t symbols_at, n_symbols, text_at, n_text;
};

static bool symbols_read_at(int fd, void *to, size_t len, uint64_t at)
{
    for (size_t done = 0; done < len;) {
        long n = os_syscall(SYS_pread64, fd, (long)((char *)to + done), (long)(len - done), (long)(at + done), 0, 0);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* The head of the file is compared with what lies in memory. */
static bool symbols_read_head(int fd, uintptr_t base, Elf64_Ehdr *head)
{
    return symbols_read_at(fd, head, sizeof(*head), 0) && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
           head->e_ident[EI_CLASS] == ELFCLASS64 && memcmp(head, (const void *)base, sizeof(*head)) == 0;
}

static bool symbols_find_bias(int fd, const Elf64_Ehdr *head, uintptr_t base, uintptr_t *bias)
{
    for (unsigned i = 0; i < head->e_phnum && i < SYMBOLS_MAX_HEADERS; i++) {
        Elf64_Phdr p;
        if (!symbols_read_at(fd, &p, sizeof(p), head->e_phoff + i * sizeof(p)))
            return false;
        if (p.p_type != PT_LOAD || p.p_offset >= os_page_size())
            continue;
        *bias = base - bits_round_down(p.p_vaddr - p.p_offset, os_page_size());
        return true;
    }
    return false;
}

static bool symbols_read_section(int fd, const Elf64_Ehdr *head, unsigned i, Elf64_Shdr *section)
{
    return head->e_shentsize == sizeof(*section) && i < head->e_shnum &&
           symbols_read_at(fd, section, sizeof(*section), head->e_shoff + (uint64_t)i * sizeof(*section));
}

static bool symbols_find_place(int fd, const Elf64_Ehdr *head, uint32_t type, struct symbols_place *place)
{
    Elf64_Shdr section, text;

    for (unsigned i = 0; symbols_read_section(fd, head, i, &section); i++) {
        if (section.sh_type != type || !symbols_read_section(fd, head, section.sh_link, &text))
            continue;
        *place = (struct symbols_place){section.sh_offset, section.sh_size / sizeof(Elf64_Sym), text.sh_offset,
                                        text.sh_size};
        return section.sh_size <= SYMBOLS_MAX_BYTES && text.sh_size <= SYMBOLS_MAX_BYTES;
    }
    return false;
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

static bool symbols_is_wanted(const Elf64_Sym *sym, size_t n_text)
{
    unsigned type = ELF64_ST_TYPE(sym->st_info);

    return sym->st_shndx != SHN_UNDEF && sym->st_value != 0 && sym->st_name < n_text &&
           (type == STT_FUNC || type == STT_OBJECT || type == STT_GNU_IFUNC);
}

static void symbols_shorten(struct os_symbols_file *f, size_t n_symbols)
{
    const char *from = (const char *)f->entries;

    for (size_t i = 0; i < n_symbols; i++) {
        Elf64_Sym sym;
        memcpy(&sym, from + i * sizeof(sym), sizeof(sym));
        if (symbols_is_wanted(&sym, f->n_text))
            f->entries[f->n_entries++] =
                (struct symbols_entry){sym.st_value, sym.st_name, sym.st_size < UINT32_MAX ? (uint32_t)sym.st_size : UINT32_MAX};
    }
}

static bool symbols_is_before(const void *a, const void *b)
{
    const struct symbols_entry *x = a, *y = b;

    return x->value != y->value ? x->value < y->value : x->size < y->size;
}

static bool symbols_read(struct os_symbols_file *f, int fd, const struct symbols_place *p)
{
    char *text = (char *)f->entries + p->n_symbols * sizeof(Elf64_Sym);

    if (!symbols_read_at(fd, f->entries, p->n_symbols * sizeof(Elf64_Sym), p->symbols_at) ||
        !symbols_read_at(fd, text, p->n_text, p->text_at))
        return false;
    f->text = text;
    f->n_text = p->n_text; /* the byte behind is zero */
    symbols_shorten(f, p->n_symbols);
    sort_items(f->entries, f->n_entries, sizeof(*f->entries), symbols_is_before);
    return true;
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

static struct os_symbols_file *symbols_map(const char *path, const struct symbols_place *p)
{
    size_t len = bits_round_up(sizeof(struct os_symbols_file) + strlen(path) + 1, sizeof(uint64_t));
    size_t size = len + p->n_symbols * sizeof(Elf64_Sym) + p->n_text + 1;
    long at = os_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct os_symbols_file *f = (struct os_symbols_file *)at;

    if (at < 0 && at > -4096)
        return NULL;
    f->size_bytes = size;
    f->entries = (struct symbols_entry *)((char *)f + len);
    memcpy(f->path, path, strlen(path) + 1);
    return f;
}

/* What is known of a file that cannot be read: just that. */
static struct os_symbols_file *symbols_open(const char *path, uintptr_t base)
{
    struct symbols_place place = {0};
    struct os_symbols_file *f;
    uintptr_t bias = 0;
    Elf64_Ehdr head;
    int fd = os_probe_open(path);
    bool is_readable = fd >= 0 && symbols_read_head(fd, base, &head) && symbols_find_bias(fd, &head, base, &bias);

    if (is_readable && !symbols_find_place(fd, &head, SHT_SYMTAB, &place) &&
        !symbols_find_place(fd, &head, SHT_DYNSYM, &place))
        place = (struct symbols_place){0};
    f = symbols_map(path, &place);
    if (f != NULL) {
        f->base = base;
        f->bias = bias;
        f->is_readable = is_readable && symbols_read(f, fd, &place);
    }
    if (fd >= 0)
        os_probe_close(fd);
    return f;
}

static struct os_symbols_file *symbols_file(struct os_symbols *s, const char *path, uintptr_t base)
{
    struct os_symbols_file *f;

    for (f = s->newest; f != NULL; f = f->older)
        if (f->base == base && strcmp(f->path, path) == 0)
            return f;
    f = symbols_open(path, base);
    if (f == NULL)
        return NULL;
    f->older = s->newest;
    s->newest = f;
    return f;
}

void os_symbols_close(struct os_symbols *s)
{
    while (s->newest != NULL) {
        struct os_symbols_file *f = s->newest;
        s->newest = f->older;
        os_vm_unmap(f, f->size_bytes);
    }
}

/* ---- looking up ----------------------------------------------------------------------------------------------- */

/* How many entries begin at or before an address. */
static size_t symbols_rank(const struct os_symbols_file *f, uint64_t value)
{
    size_t lo = 0, hi = f->n_entries;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->entries[mid].value <= value)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The nearest that covers it; one of no size, as assemblers leave them, covers what lies before the next. */
static const struct symbols_entry *symbols_cover(const struct os_symbols_file *f, uint64_t value)
{
    size_t rank = symbols_rank(f, value);

    for (size_t i = rank; i > 0 && rank - i < SYMBOLS_LOOK_BACK; i--) {
        const struct symbols_entry *e = &f->entries[i - 1];
        if (value - e->value < e->size || (e->size == 0 && i == rank))
            return e;
    }
    return NULL;
}

bool os_symbols_find(struct os_symbols *s, const char *path, uintptr_t base, uintptr_t addr, struct os_symbol *out)
{
    const struct os_symbols_file *f = symbols_file(s, path, base);
    const struct symbols_entry *e;

    if (f == NULL || !f->is_readable)
        return false;
    *out = (struct os_symbol){.name = "", .in_module = addr - f->bias};
    e = symbols_cover(f, addr - f->bias);
    if (e != NULL) {
        out->name = f->text + e->name;
        out->offset = addr - f->bias - e->value;
    }
    return true;
}
