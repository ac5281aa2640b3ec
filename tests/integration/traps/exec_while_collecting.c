/* A process with a thread that collects becomes another program, by each form of exec: no signal of a collection is left
 * over, which would end the new program. An exec that fails leaves everything as it was. */
#include <fcntl.h>
#include <sys/wait.h>
#include "trap.h"
extern char **environ;
enum { N_ROUNDS = 140, N_FORMS = 7, CHILD_STATUS = 42 };
static const char self[] = "/proc/self/exe";

static void exec_by(unsigned form)
{
    char *argv[] = {(char *)"again", (char *)"end", NULL};
    switch (form) {
    case 0:
        execl(self, "again", "end", NULL);
        break;
    case 1:
        execlp(self, "again", "end", NULL);
        break;
    case 2:
        execle(self, "again", "end", NULL, environ);
        break;
    case 3:
        execv(self, argv);
        break;
    case 4:
        execvp(self, argv);
        break;
    case 5:
        execvpe(self, argv, environ);
        break;
    default:
        fexecve(open(self, O_RDONLY), argv, environ);
    }
    TEST_FAIL("exec by form %u failed", form);
}

static void become_another(unsigned round)
{
    trap_collector_start();
    usleep(round * 37 % 3000);
    if (execl("/does/not/exist", "x", NULL) != -1 || errno != ENOENT)
        TEST_FAIL("exec of nothing");
    TEST_CHECK(trap_collect()); /* cycles go on */
    exec_by(round % N_FORMS);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return strcmp(argv[1], "end") == 0 ? CHILD_STATUS : 1;
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        int status = 0;
        pid_t pid = fork();
        TEST_CHECK(pid >= 0);
        if (pid == 0)
            become_another(round);
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_STATUS)
            TEST_FAIL("round %u: status 0x%x", round, (unsigned)status);
    }
    return 0;
}
