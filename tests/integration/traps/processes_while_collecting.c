/* system, popen, wordexp, posix_spawn, daemon, by turns or one of them alone, from two threads, while another one collects; the
 * program at last replaces itself in the middle of a cycle. usage: processes_while_collecting [KIND] */
#include <spawn.h>
#include <sys/wait.h>
#include <wordexp.h>
#include "trap.h"
extern char **environ;
enum { N_ROUNDS = 12 };
static const char *only; /* NULL: all of them */

static void expect_success(pid_t pid)
{
    int status = 0;
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        TEST_FAIL("child's status 0x%x", (unsigned)status);
}

static void call_shell(void)
{
    TEST_CHECK(system("exit 3") == 3 << 8);
}

static void expand(void)
{
    wordexp_t words = {0};
    TEST_CHECK(wordexp("a $(echo b c) ${HOME:-x}", &words, 0) == 0);
    TEST_CHECK(words.we_wordc == 4 && strcmp(words.we_wordv[2], "c") == 0);
    wordfree(&words);
}

static void read_pipe(void)
{
    char line[64] = "";
    FILE *f = popen("echo through a pipe", "r");
    TEST_CHECK(f != NULL && fgets(line, sizeof(line), f) != NULL && strcmp(line, "through a pipe\n") == 0);
    TEST_CHECK(pclose(f) == 0);
}

static void spawn(void)
{
    char *argv[] = {(char *)"true", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 5, "/dev/null", 0, 0);
    TEST_CHECK(posix_spawnp(&pid, "true", &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    expect_success(pid);
}

/* The child that is left writes a byte, after a collection of its own. */
static void become_daemon(void)
{
    int fds[2];
    char byte = 0;
    TEST_CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        if (daemon(1, 1) != 0)
            _exit(1);
        trap_gc(TRAP_GC_FULL);
        memset(malloc(1000), 1, 1000);
        _exit(write(fds[1], "d", 1) == 1 ? 0 : 1);
    }
    expect_success(pid);
    TEST_CHECK(read(fds[0], &byte, 1) == 1 && byte == 'd');
    close(fds[0]);
    close(fds[1]);
}

static const struct {
    const char *name;
    void (*run)(void);
} kinds[] = {
    {"system", call_shell},
    {"wordexp", expand},
    {"popen", read_pipe},
    {"posix_spawn", spawn},
    {"daemon", become_daemon},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void *body(void *arg)
{
    void *volatile block = trap_reveal((uintptr_t)arg);
    for (int i = 0; i < N_ROUNDS; i++) {
        for (size_t k = 0; k < N_KINDS; k++)
            if (only == NULL || strcmp(only, kinds[k].name) == 0)
                kinds[k].run();
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE);
    }
    TEST_CHECK(~(uintptr_t)block == (uintptr_t)arg);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return 0; /* replaced itself */
    only = argc == 2 ? argv[1] : NULL;
    pthread_t ids[2];
    for (int i = 0; i < 2; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)trap_new()) == 0);
    pthread_t collector = trap_collector_start();
    for (int i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    trap_collector_end(collector);
    for (int i = 0; i < 2; i++)
        trap_forget(trap_targets[i].hidden);
    trap_round(TRAP_SIZE, false);
    trap_collector_start();
    usleep(3000);
    execl("/proc/self/exe", "again", "the", "end", NULL);
    TEST_FAIL("exec");
}
