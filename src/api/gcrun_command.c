/* Finding the command, and refusing what cannot be preloaded.
 *
 * What    the dynamic linker is silent about programs that it does not preload into: static ones, set-user-ID ones, those
 *         of another machine or another libc. So gcrun looks first, and says so.
 */
#include "api/gcrun.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPT_DEPTH_MAX = 4 }; /* the kernel's own bound on interpreters of interpreters */

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

char *command_find(char *name)
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

static void command_check_file(const char *path, int depth)
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
            command_check_file(interpreter, depth + 1);
    }
    close(fd);
}

void command_check(const char *path)
{
    command_check_file(path, 0);
}
