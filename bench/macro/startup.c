/* Starts /bin/true many times, one after the other; each inherits the library. Measures: what loading it and
 * setting it up costs a program that allocates next to nothing. */
#include <spawn.h>
#include <sys/wait.h>

#include "bench.h"

enum { STARTS_PER_SCALE = 20 };

int main(int argc, char **argv)
{
    char *command[] = {(char *)"/bin/true", NULL};
    uint64_t n_fine = 0;
    for (unsigned n = STARTS_PER_SCALE * bench_scale(argc, argv); n > 0; n--) {
        pid_t child;
        int status;
        if (posix_spawn(&child, command[0], NULL, NULL, command, environ) != 0)
            bench_die(BENCH_EXIT_USAGE, "cannot start /bin/true");
        if (waitpid(child, &status, 0) == child && status == 0)
            n_fine++;
    }
    bench_print_checksum(n_fine);
    return 0;
}
