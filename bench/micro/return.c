/* Does memory go back to the kernel after a peak? Small blocks, about 40 MiB for each unit of the scale, all
 * freed but one in a thousand, then a second of light work elsewhere; then the rest is freed and the light
 * work goes on for another second. Metrics: resident at the peak, at once after the frees, and after each of
 * the two seconds. */
#include "bench.h"

enum {
    BLOCKS_PER_SCALE = 64 * 1024,
    KEEP_EVERY = 1000,
    MAX_WORK_MS = 1000,
    WORK_MS_PER_SCALE = 100,
    TICK_MS = 10,
    OPS_A_TICK = 200
};

static void light_work(struct bench_rng *rng, unsigned work_ms)
{
    for (unsigned ms = 0; ms < work_ms; ms += TICK_MS) {
        for (unsigned op = 0; op < OPS_A_TICK; op++) {
            void *block = bench_malloc(bench_rng_size(rng, 4, 13));
            bench_escape(block);
            free(block);
        }
        bench_sleep_ms(TICK_MS);
    }
}

static double resident_mib(void)
{
    return (double)bench_resident_kib() / 1024;
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(22);
    unsigned scale = bench_scale(argc, argv);
    unsigned work_ms = scale * WORK_MS_PER_SCALE < MAX_WORK_MS ? scale * WORK_MS_PER_SCALE : MAX_WORK_MS;
    size_t n_blocks = (size_t)BLOCKS_PER_SCALE * scale, kept_bytes = 0;
    void **blocks = bench_malloc(n_blocks * sizeof *blocks);
    for (size_t i = 0; i < n_blocks; i++) {
        size_t size_bytes = bench_rng_size(&rng, 6, 11);
        blocks[i] = bench_malloc(size_bytes);
        memset(blocks[i], 1, size_bytes);
        kept_bytes += i % KEEP_EVERY == 0 ? size_bytes : 0;
    }
    double peak_mib = resident_mib();
    for (size_t i = 0; i < n_blocks; i++)
        if (i % KEEP_EVERY != 0)
            free(blocks[i]);
    double freed_mib = resident_mib();
    light_work(&rng, work_ms);
    double later_mib = resident_mib();
    for (size_t i = 0; i < n_blocks; i += KEEP_EVERY)
        free(blocks[i]);
    free(blocks);
    light_work(&rng, work_ms);
    double end_mib = resident_mib();
    bench_print_metric("return-peak-MiB", peak_mib);
    bench_print_metric("return-freed-MiB", freed_mib);
    bench_print_metric("return-1s-later-MiB", later_mib);
    bench_print_metric("return-all-1s-later-MiB", end_mib);
    bench_print_checksum(kept_bytes);
    return 0;
}
