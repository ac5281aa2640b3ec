/* Streams that only libc's chain of open files knows, with buffers given by setvbuf and by libc. */
#include "trap.h"
#define N 10
static int fds[N];

static __attribute__((noinline)) void open_stream(int i)
{
    char name[] = "/tmp/trap-stdio-XXXXXX";
    fds[i] = mkstemp(name);
    TEST_CHECK(fds[i] >= 0);
    unlink(name);
    FILE *f = fdopen(dup(fds[i]), "w");
    TEST_CHECK(f != NULL);
    if (i % 2)
        setvbuf(f, malloc(5000), _IOFBF, 5000);
    fprintf(f, "stream %d %0*d", i, 1000, i); /* stays in the buffer until exit or fflush */
}

int main(void)
{
    for (int i = 0; i < N; i++)
        open_stream(i);
    trap_clear_stack();
    static void *volatile other[3];
    size_t sizes[3] = {sizeof(FILE) + 16, 4096,
                       5000}; /* sizes of streams and buffers, to be handed out again */
    for (int i = 0; i < 3; i++)
        other[i] = trap_reveal(trap_new_sized(sizes[i]));
    trap_verify();
    TEST_CHECK(other[2] != NULL);
    fflush(NULL);
    for (int i = 0; i < N; i++) {
        char want[1100], got[1100] = "";
        snprintf(want, sizeof(want), "stream %d %0*d", i, 1000, i);
        TEST_CHECK(pread(fds[i], got, sizeof(got) - 1, 0) == (ssize_t)strlen(want) && strcmp(got, want) == 0);
    }
    return 0;
}
