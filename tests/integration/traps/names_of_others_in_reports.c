/* What the reports tell of files and threads is one line of plain text each, whatever the program called them. Starts itself again. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

#define ODD "odd\n\033[2Jname"

static int odd(const char *folder)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/" ODD, folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    TEST_CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    TEST_CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    close(fd);
    unlink(path);
    prctl(PR_SET_NAME, ODD);
    return 0;
}

static void check(const char *text)
{
    if (strstr(text, "odd?") == NULL)
        TEST_FAIL("no such name in the report");
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' && *c != '\n')
            TEST_FAIL("a character %d in the report", *c);
    for (const char *line = text; line != NULL; line = strchr(line + 1, '\n'))
        if (strncmp(line, "\nname", 5) == 0 || strncmp(line, "\n?[2J", 5) == 0)
            TEST_FAIL("a line that is the rest of a name: %.20s", line + 1);
}

static void check_file(const char *path)
{
    static char text[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    TEST_CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    check(text);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/gcmalloc-names-XXXXXX", settings[128], path[128];
    int status = 0;

    if (argc == 2)
        return odd(argv[1]);
    if (trap_is_peer())
        return 0;
    TEST_CHECK(mkdtemp(folder) != NULL);
    for (int i = 0; i < 2; i++) {
        const char *what = i == 0 ? "stats" : "doctor";
        snprintf(path, sizeof(path), "%s/%s", folder, what);
        snprintf(settings, sizeof(settings), "%s=1,stats_file=%s", what, path);
        setenv("GCMALLOC", settings, 1);
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "again", folder, NULL);
            _exit(127);
        }
        TEST_CHECK(waitpid(child, &status, 0) == child && status == 0);
        check_file(path);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}
