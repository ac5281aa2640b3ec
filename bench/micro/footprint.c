/* What a program of one line takes: private and resident memory after one malloc, KiB, and how much address
 * space. */
#include "bench.h"

static double address_space_mib(void)
{
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n_read = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    text[n_read > 0 ? n_read : 0] = '\0';
    return (double)strtoul(text, NULL, 10) * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

int main(int argc, char **argv)
{
    bench_scale(argc, argv);
    char *volatile block = bench_malloc(1);
    *block = 'x';
    size_t private_kib = bench_smaps_kib("Private_"), resident_kib = bench_resident_kib();
    double mib = address_space_mib();
    bench_print_metric("footprint-private-KiB", (double)private_kib);
    bench_print_metric("footprint-resident-KiB", (double)resident_kib);
    bench_print_metric("footprint-address-space-MiB", mib);
    bench_print_checksum((uint64_t)*block);
    return 0;
}
