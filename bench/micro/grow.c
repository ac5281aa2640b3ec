/* One buffer grown by realloc, 16 bytes a call, to 4 MiB; ns for each call. Then by a half each time, 64
 * bytes to 64 MiB, every page written: us for the whole climb. */
#include "bench.h"

enum {
    STEP_BYTES = 16,
    END_BYTES = 4 << 20,
    CLIMB_FROM_BYTES = 64,
    CLIMB_TO_BYTES = 64 << 20,
    PAGE_BYTES = 4096
};

static double creep_ns(void)
{
    unsigned char *buffer = NULL;
    unsigned n_calls = 0;
    uint64_t start_ns = bench_now_ns();
    for (size_t size_bytes = STEP_BYTES; size_bytes <= END_BYTES; size_bytes += STEP_BYTES, n_calls++) {
        buffer = bench_checked(realloc(buffer, size_bytes));
        buffer[size_bytes - 1] = 1;
    }
    double ns = (double)(bench_now_ns() - start_ns) / n_calls;
    free(buffer);
    return ns;
}

static double climb_us(void)
{
    unsigned char *buffer = NULL;
    size_t written_bytes = 0;
    uint64_t start_ns = bench_now_ns();
    for (size_t size_bytes = CLIMB_FROM_BYTES; size_bytes <= CLIMB_TO_BYTES; size_bytes += size_bytes / 2) {
        buffer = bench_checked(realloc(buffer, size_bytes));
        for (; written_bytes < size_bytes; written_bytes += PAGE_BYTES)
            buffer[written_bytes] = 1;
    }
    double us = (double)(bench_now_ns() - start_ns) / 1000;
    free(buffer);
    return us;
}

int main(int argc, char **argv)
{
    unsigned n_rounds = bench_scale(argc, argv);
    double ns = 0, us = 0;
    for (unsigned round = 0; round < n_rounds; round++) {
        ns += creep_ns();
        us += climb_us();
    }
    bench_print_metric("grow-by-16-ns/call", ns / n_rounds);
    bench_print_metric("grow-by-half-us", us / n_rounds);
    bench_print_checksum(n_rounds);
    return 0;
}
