/* How much memory there is: limits of control groups, from files put in place of the kernel's. */
#include "os_harness.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { NOT_ALLOWED = 99 };

struct group_file {
    const char *path, *text;
};

struct group_case {
    const char *own_group; /* text of /proc/PID/cgroup */
    struct group_file files[8];
    size_t limit, room;
};

static bool write_text(const char *path, const char *text)
{
    char folder[256];
    int fd;

    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        mkdir(folder, 0700);
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return false;
    close(fd);
    return true;
}

/* In a mount namespace of its own, so that nobody else sees it. */
static bool put_files_in_place(const struct group_case *c)
{
    char own[64];

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    if (mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) != 0)
        return false;
    for (const struct group_file *f = c->files; f->path != NULL; f++) {
        if (!write_text(f->path, f->text))
            return false;
    }
    if (!write_text("/sys/fs/cgroup/own", c->own_group))
        return false;
    snprintf(own, sizeof(own), "/proc/%d/task/%d/cgroup", os_getpid(), os_gettid());
    return mount("/sys/fs/cgroup/own", own, NULL, MS_BIND, NULL) == 0;
}

static int ask_limits(void *arg)
{
    const struct group_case *c = arg;

    if (!put_files_in_place(c))
        return NOT_ALLOWED;
    if (os_vm_cgroup_limit() != c->limit)
        return 1;
    return c->room == SIZE_MAX || os_vm_available() == c->room ? 0 : 2;
}

static void assert_case(const struct group_case *c)
{
    int status = run_in_child(ask_limits, (void *)c);

    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED)
        skip();
    assert_int_equal(status, 0);
}

#define V2 "/sys/fs/cgroup"
#define V1 "/sys/fs/cgroup/memory"

static void the_least_limit_on_the_way_up_counts(void **state)
{
    static const struct group_case c = {
        "0::/a/b\n",
        {{V2 "/a/b/memory.max", "max\n"},
         {V2 "/a/b/memory.current", "1048576\n"},
         {V2 "/a/memory.max", "8388608\n"},
         {V2 "/a/memory.current", "5242880\n"},
         {V2 "/a/memory.stat", "anon 3145728\ninactive_file 1048576\nactive_file 1\n"}},
        8388608,
        4194304, /* 8 M less 5 M, and 1 M that is only cached */
    };

    (void)state;
    assert_case(&c);
}

static void a_group_over_its_limit_has_no_room(void **state)
{
    static const struct group_case c = {
        "0::/a\n", {{V2 "/a/memory.max", "1048576\n"}, {V2 "/a/memory.current", "2097152\n"}}, 1048576, 0};

    (void)state;
    assert_case(&c);
}

static void version_1_goes_before_version_2(void **state)
{
    static const struct group_case c = {
        "9:name=systemd:/\n4:cpu,memory:/a\n0::/b\n",
        {{V1 "/a/memory.limit_in_bytes", "16777216\n"},
         {V1 "/a/memory.usage_in_bytes", "4194304\n"},
         {V1 "/a/memory.stat", "inactive_file 0\ntotal_inactive_file 1048576\n"},
         {V1 "/memory.limit_in_bytes", "9223372036854771712\n"},
         {V2 "/b/memory.max", "1048576\n"}},
        16777216,
        13631488,
    };

    (void)state;
    assert_case(&c);
}

static void no_files_are_no_limit(void **state)
{
    static const struct group_case hidden = {"0::/../hidden\n", {{NULL, NULL}}, SIZE_MAX, SIZE_MAX};
    static const struct group_case none = {"", {{NULL, NULL}}, SIZE_MAX, SIZE_MAX};
    static const struct group_case odd = {"nonsense\n::\n0:\n", {{NULL, NULL}}, SIZE_MAX, SIZE_MAX};

    (void)state;
    assert_case(&hidden);
    assert_case(&none);
    assert_case(&odd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_limit_on_the_way_up_counts),
        cmocka_unit_test(a_group_over_its_limit_has_no_room),
        cmocka_unit_test(version_1_goes_before_version_2),
        cmocka_unit_test(no_files_are_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
