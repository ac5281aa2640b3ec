/* How much memory there is.
 *
 * What    MemAvailable, resident size, and the limits of the process's control groups,
 *         versions 1 and 2. A group's limit holds for all groups below it, so the
 *         path of our group is walked up to the root and the least one counts. Cached
 *         pages of files that nobody used of late go before anything is killed: they
 *         are room.
 *         What a container hides is unknown, which is no limit.
 */
#include "os/os.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "os/kernel.h"
#include "os/process.h"
#include "os/text_inl.h"

#define VM_INFO_PATH_BYTES 1024
#define VM_INFO_V2_ROOT "/sys/fs/cgroup"
#define VM_INFO_V1_ROOT "/sys/fs/cgroup/memory"

/* A number behind blanks; behind, where asked for: its end. */
static size_t vm_info_number(const char *p, const char **behind)
{
    uint64_t v;

    while (*p == ' ' || *p == '\t')
        p++;
    p = text_number(p, 10, &v);
    if (behind != NULL)
        *behind = p;
    return v;
}

/* ---- control groups ------------------------------------------------------------------ */

struct vm_info_group {
    char path[VM_INFO_PATH_BYTES]; /* directory of our group */
    size_t root_len;               /* of the path: not walked above */
    const char *limit_name, *usage_name, *cached_key;
    char text[8192]; /* of a file */
};

/* A line of /proc/self/cgroup is "number:controllers:path"; version 2 has number 0 and no controllers. */
static bool vm_info_is_memory_line(const char *line, bool *is_v2)
{
    const char *controllers = strchr(line, ':');
    const char *end = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    const char *found;

    if (end == NULL)
        return false;
    *is_v2 = end == controllers + 1;
    found = *is_v2 ? NULL : strstr(controllers, "memory");
    return *is_v2 || (found != NULL && found < end);
}

static bool vm_info_set_group(struct vm_info_group *g, const char *path, size_t path_len, bool is_v2)
{
    const char *root = is_v2 ? VM_INFO_V2_ROOT : VM_INFO_V1_ROOT;

    g->root_len = strlen(root);
    if (g->root_len + path_len >= VM_INFO_PATH_BYTES - 64) /* room for a file's name */
        return false;
    memcpy(g->path, root, g->root_len);
    memcpy(g->path + g->root_len, path, path_len);
    g->path[g->root_len + path_len] = '\0';
    g->limit_name = is_v2 ? "/memory.max" : "/memory.limit_in_bytes";
    g->usage_name = is_v2 ? "/memory.current" : "/memory.usage_in_bytes";
    g->cached_key = is_v2 ? "\ninactive_file " : "\ntotal_inactive_file ";
    return true;
}

/* A version 1 line for memory goes before version 2: with both mounted the controller is in the former. */
static bool vm_info_find_group(struct vm_info_group *g)
{
    bool has_found = false, is_v2;

    if (os_file_read("/proc/thread-self/cgroup", g->text, sizeof(g->text)) <= 0)
        return false;
    for (char *line = g->text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (vm_info_is_memory_line(line, &is_v2) && (!has_found || !is_v2)) {
            const char *path = strchr(strchr(line, ':') + 1, ':') + 1;

            has_found |= vm_info_set_group(g, path, strcmp(path, "/") == 0 ? 0 : strlen(path), is_v2);
        }
    }
    return has_found;
}

static long vm_info_read_file(struct vm_info_group *g, const char *name, char *text, size_t text_size)
{
    size_t len = strlen(g->path);
    long n;

    memcpy(g->path + len, name, strlen(name) + 1);
    n = os_file_read(g->path, text, text_size);
    g->path[len] = '\0';
    return n;
}

static size_t vm_info_read_group(struct vm_info_group *g, const char *name)
{
    char text[64];
    long n = vm_info_read_file(g, name, text, sizeof(text));

    return n <= 0 || text[0] < '0' || text[0] > '9' ? SIZE_MAX : vm_info_number(text, NULL);
}

static size_t vm_info_cached(struct vm_info_group *g)
{
    const char *line;

    if (vm_info_read_file(g, "/memory.stat", g->text, sizeof(g->text)) <= 0)
        return 0;
    line = strstr(g->text, g->cached_key);
    return line == NULL ? 0 : vm_info_number(line + strlen(g->cached_key), NULL);
}

/* What the group may still take before it meets its limit. */
static size_t vm_info_group_room(struct vm_info_group *g, size_t limit)
{
    size_t usage = vm_info_read_group(g, g->usage_name);
    size_t cached = vm_info_cached(g);

    if (usage == SIZE_MAX)
        return limit;
    usage -= cached < usage ? cached : usage;
    return usage < limit ? limit - usage : 0;
}

static bool vm_info_go_up(struct vm_info_group *g)
{
    char *slash = strrchr(g->path, '/');

    if (strlen(g->path) <= g->root_len)
        return false;
    *slash = '\0';
    return true;
}

/* Least limit on the way up, and least room. */
static void vm_info_walk_up(struct vm_info_group *g, size_t *limit, size_t *room)
{
    do {
        size_t group_limit = vm_info_read_group(g, g->limit_name);
        size_t group_room;

        if (group_limit >= SIZE_MAX / 32) /* none; in version 1 that is a huge number */
            continue;
        group_room = vm_info_group_room(g, group_limit);
        *limit = group_limit < *limit ? group_limit : *limit;
        *room = group_room < *room ? group_room : *room;
    } while (vm_info_go_up(g));
}

/* Asked by a malloc, whose caller's stack may be a page: what is read lies in a mapping for as long. */
static void vm_info_group_limits(size_t *limit, size_t *room)
{
    struct vm_info_group *g;
    long got;

    *limit = *room = SIZE_MAX;
    if (os_seccomp_is_on())
        return;
    got = os_syscall(SYS_mmap, 0, sizeof(*g), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (kernel_is_error(got))
        return;
    g = (struct vm_info_group *)got;
    if (vm_info_find_group(g))
        vm_info_walk_up(g, limit, room);
    os_syscall(SYS_munmap, got, sizeof(*g), 0, 0, 0, 0);
}

/* ---- the contract ------------------------------------------------------------------------ */

size_t os_vm_cgroup_limit(void)
{
    size_t limit, room;

    vm_info_group_limits(&limit, &room);
    return limit;
}

static size_t vm_info_mem_available(void)
{
    char text[256]; /* it is the third line */
    const char *line;

    if (os_seccomp_is_on() || os_file_read("/proc/meminfo", text, sizeof(text)) <= 0)
        return SIZE_MAX;
    line = strstr(text, "MemAvailable:");
    return line == NULL ? SIZE_MAX : vm_info_number(line + strlen("MemAvailable:"), NULL) * 1024;
}

size_t os_vm_available(void)
{
    size_t available = vm_info_mem_available();
    size_t limit, room;

    vm_info_group_limits(&limit, &room);
    return room < available ? room : available;
}

size_t os_vm_address_limit(void)
{
    struct {
        uint64_t soft, hard;
    } limit;

    if (os_seccomp_is_on() || os_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0) != 0)
        return SIZE_MAX;
    return limit.soft;
}

size_t os_vm_resident(void)
{
    char text[256];
    const char *p;

    if (os_file_read("/proc/thread-self/statm", text, sizeof(text)) <= 0)
        return 0;
    vm_info_number(text, &p);
    return vm_info_number(p, NULL) * os_page_size();
}

/* The process's, also where a thread is asked for, without a walk through all of them. */
size_t os_vm_resident_peak(void)
{
    struct rusage usage = {0};

    if (os_syscall(SYS_getrusage, RUSAGE_THREAD, (long)&usage, 0, 0, 0, 0) != 0 || usage.ru_maxrss <= 0)
        return SIZE_MAX;
    return (size_t)usage.ru_maxrss * 1024;
}
