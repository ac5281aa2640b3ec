/* gcrun: run a command under libgcmalloc.
 *
 * What    finds the library, looks at the command, sets LD_PRELOAD and GCMALLOC, executes. It looks first,
 *         because the dynamic linker is silent about programs that it cannot preload: static ones,
 *         set-user-ID ones, those of another machine or another libc.
 * Status  125 gcrun itself failed, 126 the command cannot be run (so), 127 it was not found; else the
 *         command's own.
 * Options the library's own: names, bounds and help come from its table, which is linked in. A bad value is
 *         told here, before the command runs.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/compiler.h"
#include "base/options.h"

enum { STATUS_FAILED = 125, STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127 };
enum { SCRIPT_DEPTH_MAX = 4 }; /* the kernel's own bound on interpreters of interpreters */

/* The settings that have an option here. */
static const char *const gcrun_keys[] = {"trace", "percent", "limit", "mode", "stress"};

__attribute__((noreturn, format(printf, 2, 3))) static void gcrun_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("gcrun: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(status);
}

__attribute__((format(printf, 1, 2))) static char *gcrun_format(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        gcrun_fail(STATUS_FAILED, "out of memory");
    va_end(args);
    return text;
}

static void gcrun_print_help(void)
{
    puts("usage: gcrun [option ...] [--] command [argument ...]\n"
         "Run a command with libgcmalloc as its allocator: memory that it leaks is reclaimed.\n");
    for (size_t i = 0; i < N_ELEMENTS(gcrun_keys); i++) {
        const struct option_row *row = options_find(gcrun_keys[i], strlen(gcrun_keys[i]));
        printf("  --%s%s\n      ", row->name, strcmp(row->name, "trace") == 0 ? "[=FILE]" : "=VALUE");
        for (const char *p = row->help; *p; p++) {
            if (*p != '`')
                putchar(*p);
        }
        putchar('\n');
    }
    puts("  --version\n      print the version\n"
         "  --help\n      print this\n\n"
         "VALUE may be an argument of its own. These and more: GCMALLOC=key=value,... in gcmalloc(3).");
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static void settings_report(const char *line, size_t len, void *ctx)
{
    (void)ctx;
    fprintf(stderr, "gcrun: %.*s", (int)len, line);
}

/* The settings that the options ask for, as text for GCMALLOC, and as the library will read them. */
struct settings {
    char *text;
    struct options parsed;
};

static void settings_add(struct settings *s, const char *key, const char *value)
{
    if (strchr(value, ','))
        gcrun_fail(STATUS_FAILED, "a value cannot hold a comma: %s", value);
    if (!options_set(&s->parsed, key, value, settings_report, NULL))
        exit(STATUS_FAILED);
    char *more = gcrun_format("%s%s%s=%s", s->text, *s->text ? "," : "", key, value);
    free(s->text);
    s->text = more;
}

/* The key that "--key" or "--key=value" names; *value is NULL without "=". */
static const char *option_find(const char *arg, const char **value)
{
    const char *name = arg + strspn(arg, "-");
    size_t len = strcspn(name, "=");
    *value = name[len] ? name + len + 1 : NULL;
    for (size_t i = 0; name == arg + 2 && i < N_ELEMENTS(gcrun_keys); i++) {
        if (strlen(gcrun_keys[i]) == len && strncmp(gcrun_keys[i], name, len) == 0)
            return gcrun_keys[i];
    }
    gcrun_fail(STATUS_FAILED, "unknown option %s (--help lists them)", arg);
}

static int option_apply(char **argv, int i, struct settings *s)
{
    const char *value;
    const char *key = option_find(argv[i], &value);
    if (strcmp(key, "trace") == 0) {
        settings_add(s, "trace", "1");
        if (value)
            settings_add(s, "trace_file", value);
        return i + 1;
    }
    if (!value)
        value = argv[++i];
    if (!value)
        gcrun_fail(STATUS_FAILED, "option --%s needs a value", key);
    settings_add(s, key, value);
    return i + 1;
}

/* Index of the command in argv. */
static int gcrun_parse(char **argv, struct settings *settings)
{
    int i = 1;
    while (argv[i] && argv[i][0] == '-') {
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
            if (argv[i][2] == 'h')
                gcrun_print_help();
            else
                puts("gcrun " GCRUN_VERSION);
            exit(fflush(stdout) ? STATUS_FAILED : 0);
        }
        i = option_apply(argv, i, settings);
    }
    return i;
}

/* ---- the library --------------------------------------------------------------------------------------- */

/* By its soname, not by the file that it points to today: an upgrade must not break running children. */
static char *library_try(const char *dir, const char *more)
{
    char *joined = gcrun_format("%s/%s", dir, more);
    char *real = realpath(joined, NULL);
    char *lib = real ? gcrun_format("%s/" GCRUN_LIB_NAME, real) : NULL;
    free(joined);
    free(real);
    return lib && access(lib, R_OK) == 0 ? lib : NULL;
}

static char *library_find(void)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    char *lib = NULL;
    if (len > 0) {
        self[len] = 0;
        *strrchr(self, '/') = 0;
        lib = library_try(self, "");
        if (!lib)
            lib = library_try(self, GCRUN_LIB_RELATIVE);
    }
    if (!lib)
        lib = library_try(GCRUN_LIB_DIR, "");
    if (!lib)
        gcrun_fail(STATUS_FAILED, GCRUN_LIB_NAME " is neither beside gcrun nor in " GCRUN_LIB_DIR);
    if (strpbrk(lib, " :"))
        gcrun_fail(STATUS_FAILED, "LD_PRELOAD cannot name a path with a space or a colon: %s", lib);
    return lib;
}

/* ---- the command --------------------------------------------------------------------------------------- */

static bool file_is_runnable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* As execvp searches: the first runnable file wins, one that exists is remembered for the message. */
static char *command_search_path(const char *name)
{
    const char *dirs = getenv("PATH");
    char *seen = NULL;
    for (const char *dir = dirs ? dirs : "/bin:/usr/bin";; dir++) {
        int len = (int)strcspn(dir, ":");
        char *path = len ? gcrun_format("%.*s/%s", len, dir, name) : gcrun_format("./%s", name);
        if (file_is_runnable(path))
            return path;
        if (access(path, F_OK) == 0)
            seen = path;
        dir += len;
        if (!*dir)
            break;
    }
    return seen;
}

static char *command_find(char *name)
{
    char *path = strchr(name, '/') ? name : command_search_path(name);
    if (!path || access(path, F_OK) != 0)
        gcrun_fail(STATUS_NOT_FOUND, "%s: command not found", name);
    if (!file_is_runnable(path))
        gcrun_fail(STATUS_CANNOT_RUN, "%s: not an executable file", path);
    return path;
}

struct elf_facts {
    unsigned char class, data;
    Elf64_Half machine;
    char interp[PATH_MAX]; /* "" : static */
};

static void elf_read_interp(int fd, const Elf64_Ehdr *h, struct elf_facts *facts)
{
    for (unsigned i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr ph;
        off_t at = (off_t)(h->e_phoff + (uint64_t)i * sizeof ph);
        if (pread(fd, &ph, sizeof ph, at) != sizeof ph)
            return;
        if (ph.p_type == PT_INTERP && ph.p_filesz < sizeof facts->interp &&
            pread(fd, facts->interp, ph.p_filesz, (off_t)ph.p_offset) == (ssize_t)ph.p_filesz)
            return;
    }
}

/* false: not an ELF file. interp is read for 64-bit files only; others are refused before it matters. */
static bool elf_read(int fd, struct elf_facts *facts)
{
    Elf64_Ehdr h = {0};
    memset(facts, 0, sizeof *facts);
    if (pread(fd, &h, sizeof h, 0) < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    facts->class = h.e_ident[EI_CLASS];
    facts->data = h.e_ident[EI_DATA];
    facts->machine = h.e_machine;
    if (facts->class == ELFCLASS64)
        elf_read_interp(fd, &h, facts);
    return true;
}

static const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* gcrun's own file is the measure: same machine, same dynamic linker. */
static void command_check_elf(const char *path, const struct elf_facts *facts)
{
    struct elf_facts own;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !elf_read(fd, &own))
        return; /* no /proc: nothing to compare with, let the command try */
    close(fd);
    if (facts->class != own.class || facts->data != own.data || facts->machine != own.machine)
        gcrun_fail(STATUS_CANNOT_RUN, "%s: wrong architecture: the library cannot be loaded into it", path);
    if (!facts->interp[0])
        gcrun_fail(STATUS_CANNOT_RUN, "%s: statically linked: nothing can be preloaded into it", path);
    if (strcmp(path_base(facts->interp), path_base(own.interp)) != 0)
        gcrun_fail(STATUS_CANNOT_RUN, "%s: needs another dynamic linker (%s): another libc", path,
                   facts->interp);
}

static void command_check_privilege(const char *path, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return;
    if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
        gcrun_fail(STATUS_CANNOT_RUN, "%s: set-user-ID: the dynamic linker ignores LD_PRELOAD for it", path);
    if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
        gcrun_fail(STATUS_CANNOT_RUN, "%s: set-group-ID: the dynamic linker ignores LD_PRELOAD for it", path);
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        gcrun_fail(STATUS_CANNOT_RUN,
                   "%s: has file capabilities: the dynamic linker ignores LD_PRELOAD for it", path);
}

/* The interpreter that a first line of "#! path argument" names, into line; NULL where there is none. */
static char *script_interpreter(int fd, char *line, size_t size)
{
    ssize_t len = pread(fd, line, size - 1, 0);
    if (len < 3 || line[0] != '#' || line[1] != '!')
        return NULL;
    line[len] = 0;
    line[strcspn(line, "\n")] = 0;
    char *path = line + 2 + strspn(line + 2, " \t");
    path[strcspn(path, " \t")] = 0;
    return *path ? path : NULL;
}

static void command_check(const char *path, int depth)
{
    char line[PATH_MAX];
    struct elf_facts facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* executable but not readable: nothing can be said, exec decides */
    if (elf_read(fd, &facts)) {
        command_check_privilege(path, fd);
        command_check_elf(path, &facts);
    } else {
        const char *interpreter = script_interpreter(fd, line, sizeof line);
        if (interpreter && depth < SCRIPT_DEPTH_MAX)
            command_check(interpreter, depth + 1);
    }
    close(fd);
}

/* ---- the environment ----------------------------------------------------------------------------------- */

static void environment_set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        gcrun_fail(STATUS_FAILED, "cannot set %s: %s", name, strerror(errno));
}

static bool preload_names(const char *preload, const char *lib)
{
    size_t len = strlen(lib);
    for (const char *p = preload; *p; p += strcspn(p, " :"), p += strspn(p, " :")) {
        if (strcspn(p, " :") == len && memcmp(p, lib, len) == 0)
            return true;
    }
    return false;
}

static void environment_prepare(const char *lib, const char *settings)
{
    const char *preload = getenv("LD_PRELOAD");
    const char *inherited = getenv("GCMALLOC");
    if (!preload || !*preload)
        environment_set("LD_PRELOAD", lib);
    else if (!preload_names(preload, lib))
        environment_set("LD_PRELOAD", gcrun_format("%s:%s", lib, preload));
    if (*settings)
        environment_set("GCMALLOC",
                        inherited && *inherited ? gcrun_format("%s,%s", inherited, settings) : settings);
}

int main(int argc, char **argv)
{
    struct settings settings = {.text = gcrun_format("%s", "")};
    options_init(&settings.parsed);
    int at = argc > 0 ? gcrun_parse(argv, &settings) : 0;
    if (argc == 0 || !argv[at])
        gcrun_fail(STATUS_FAILED, "no command (--help tells how it is used)");
    char *lib = library_find();
    char *path = command_find(argv[at]);
    command_check(path, 0);
    environment_prepare(lib, settings.text);
    execvp(path, argv + at);
    gcrun_fail(STATUS_CANNOT_RUN, "%s: %s", path, strerror(errno));
}
