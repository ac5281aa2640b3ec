/* What libc keeps between calls in blocks of its own: records of users and groups, hosts, services, an environment
 * that was set, a buffer of getline, obstacks, tree and hash tables, a directory stream that is half read. Everything is
 * collected and overwritten in between, and nothing of it may have changed. */
#include <dirent.h>
#include <grp.h>
#include <netdb.h>
#include <obstack.h>
#include <pwd.h>
#include <search.h>
#include "trap.h"
#define obstack_chunk_alloc malloc
#define obstack_chunk_free free
enum { N_KEYS = 500 };
static struct obstack stack;
static void *tree;
static struct passwd *user;
static struct group *group;
static struct hostent *host;
static DIR *dir;
static char *line, *setting;
static size_t line_bytes;
static char user_text[512], group_text[512];

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static char *key_of(int i)
{
    char text[32];
    snprintf(text, sizeof(text), "key number %d", i);
    return obstack_copy0(&stack, text, (int)strlen(text));
}

static __attribute__((noinline)) void make(void)
{
    obstack_init(&stack);
    TEST_CHECK(hcreate(N_KEYS * 2) != 0);
    for (int i = 0; i < N_KEYS; i++) {
        char *key = key_of(i);
        TEST_CHECK(tsearch(key, &tree, compare) != NULL);
        TEST_CHECK(hsearch((ENTRY){.key = key, .data = strdup(key)}, ENTER) != NULL);
    }
    user = getpwuid(0);
    group = getgrgid(0);
    host = gethostbyname("127.0.0.1");
    if (user != NULL)
        snprintf(user_text, sizeof(user_text), "%s:%s:%s", user->pw_name, user->pw_dir, user->pw_shell);
    if (group != NULL)
        snprintf(group_text, sizeof(group_text), "%s:%s", group->gr_name, group->gr_mem[0] != NULL ? group->gr_mem[0] : "");
    dir = opendir("/proc/self");
    TEST_CHECK(dir != NULL && readdir(dir) != NULL);
    FILE *f = fopen("/proc/self/status", "r");
    TEST_CHECK(f != NULL && getline(&line, &line_bytes, f) > 0);
    fclose(f);
    TEST_CHECK(setenv("TRAP_SETTING", "a value that libc copied", 1) == 0);
    setting = getenv("TRAP_SETTING");
}

static void check(void)
{
    for (int i = 0; i < N_KEYS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "key number %d", i);
        char ***found = tfind(text, &tree, compare);
        ENTRY *e = NULL;
        TEST_CHECK(found != NULL && strcmp((char *)*found, text) == 0);
        e = hsearch((ENTRY){.key = text}, FIND);
        TEST_CHECK(e != NULL && strcmp(e->data, text) == 0);
    }
    char text[512];
    if (user != NULL) {
        snprintf(text, sizeof(text), "%s:%s:%s", user->pw_name, user->pw_dir, user->pw_shell);
        TEST_CHECK(strcmp(text, user_text) == 0);
    }
    if (group != NULL) {
        snprintf(text, sizeof(text), "%s:%s", group->gr_name, group->gr_mem[0] != NULL ? group->gr_mem[0] : "");
        TEST_CHECK(strcmp(text, group_text) == 0);
    }
    if (host != NULL)
        TEST_CHECK(strcmp(host->h_name, "127.0.0.1") == 0 && memcmp(host->h_addr_list[0], "\x7f\0\0\1", 4) == 0);
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    TEST_CHECK(n > 10 && closedir(dir) == 0);
    TEST_CHECK(strncmp(line, "Name:", 5) == 0 && strcmp(setting, "a value that libc copied") == 0);
}

int main(void)
{
    static const size_t sizes[] = {24, 32, 48, 64, 120, 500, 1000, 1024, 4064, 4096, 32816};
    make();
    trap_clear_stack();
    for (int round = 0; round < 3; round++) {
        TEST_CHECK(trap_collect() || trap_is_emulated());
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            trap_overwrite(sizes[i]);
    }
    check();
    trap_verify();
    return 0;
}
