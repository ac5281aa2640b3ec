/* A program into which the library is linked with its names hidden (--exclude-libs), so that libc has another malloc than the program
 * itself: what one of them gave may be freed by the other. And its function clone is not libc's. */
#include "test_util.h"
#include <unistd.h>
struct object;
int n_clones;
struct object *own_clone(struct object *o, int how, long n) __asm__("clone");
struct object *own_clone(struct object *o, int how, long n)
{
    n_clones += how == 3 && n == -1;
    return o;
}

int main(void)
{
    static const char line[] = "a line that is longer than what the program gave for it\n";
    char *got = malloc(8);
    size_t size = 8;
    int fds[2];
    TEST_CHECK(pipe(fds) == 0 && write(fds[1], line, sizeof(line) - 1) == sizeof(line) - 1);
    FILE *f = fdopen(fds[0], "r");
    TEST_CHECK(f != NULL && getline(&got, &size, f) == sizeof(line) - 1 && strcmp(got, line) == 0);
    free(got);
    free(strdup(line));
    got = realloc(strdup(line), 1000);
    TEST_CHECK(strcmp(got, line) == 0);
    free(got);
    TEST_CHECK(own_clone((struct object *)&n_clones, 3, -1) == (struct object *)&n_clones && n_clones == 1);
    return 0;
}
