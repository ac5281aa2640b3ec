/* How many instructions warm malloc and free take: a child runs them, its parent single-steps it and counts
 * every instruction outside the program itself (so the call and our loop do not count, ld.so's trampoline
 * neither, for the pairs before the count have bound the names). Exact, and free of noise. Metrics: the
 * median over up to 101 calls, for 64 bytes and 1000 bytes; the largest of them shows the refills. Some
 * blocks of the size stay alive, so that free never empties a page: giving pages back is another path. */
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "bench.h"

#ifndef __x86_64__
#include <elf.h>
#endif

enum { MAX_CALLS = 101, CALLS_PER_SCALE = 10, N_WARM = 200, N_BLOCKS = 64, N_SIZES = 2 };
enum phase { PHASE_NONE, PHASE_MALLOC, PHASE_FREE };

/* Shared with the child: which call is being made now. The parent looks after each step. */
struct stage {
    volatile unsigned phase, call, size_no;
};

static const size_t sizes[N_SIZES] = {64, 1000};
static unsigned counts[N_SIZES][PHASE_FREE + 1][MAX_CALLS];
static struct stage *stage;
static unsigned n_calls;
static uintptr_t text_start, text_end;

#ifdef __x86_64__
static uintptr_t child_pc(pid_t child)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, child, NULL, &regs) != 0)
        bench_die(BENCH_EXIT_USAGE, "no registers");
    return regs.rip;
}
#else
static uintptr_t child_pc(pid_t child)
{
    struct user_regs_struct regs;
    struct iovec where = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &where) != 0)
        bench_die(BENCH_EXIT_USAGE, "no registers");
    return regs.pc;
}
#endif

/* The first object is the program; all its segments together are "us". */
static int text_find(struct dl_phdr_info *object, size_t size_bytes, void *arg)
{
    (void)size_bytes;
    (void)arg;
    text_start = UINTPTR_MAX;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        text_start = start < text_start ? start : text_start;
        text_end = start + segment->p_memsz > text_end ? start + segment->p_memsz : text_end;
    }
    return 1;
}

static void child_measure(size_t size_bytes)
{
    for (unsigned call = 0; call < n_calls; call++) {
        stage->call = call;
        stage->phase = PHASE_MALLOC;
        void *block = malloc(size_bytes);
        stage->phase = PHASE_NONE;
        bench_escape(block);
        stage->phase = PHASE_FREE;
        free(block);
        stage->phase = PHASE_NONE;
    }
}

static void child_warm(size_t size_bytes)
{
    void *blocks[N_BLOCKS];
    for (unsigned n = 0; n < N_WARM; n++) {
        for (unsigned i = 0; i < N_BLOCKS; i++)
            blocks[i] = malloc(size_bytes);
        bench_escape(blocks);
        for (unsigned i = 0; n < N_WARM - 1 && i < N_BLOCKS; i++)
            free(blocks[i]);
    }
    for (unsigned i = 0; i < N_BLOCKS; i += 2)
        free(blocks[i]);
}

static void child_run(void)
{
    for (unsigned s = 0; s < N_SIZES; s++)
        child_warm(sizes[s]);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (unsigned s = 0; s < N_SIZES; s++) {
        stage->size_no = s;
        child_measure(sizes[s]);
    }
    _exit(0);
}

static void child_step_through(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        bench_die(BENCH_EXIT_USAGE, "the child did not stop");
    for (;;) {
        uintptr_t pc = child_pc(child);
        if (stage->phase != PHASE_NONE && (pc < text_start || pc >= text_end))
            counts[stage->size_no][stage->phase][stage->call]++;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child)
            bench_die(BENCH_EXIT_USAGE, "cannot single-step");
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return;
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            bench_die(BENCH_EXIT_USAGE, "the child died");
    }
}

static int count_compare(const void *a, const void *b)
{
    return (int)*(const unsigned *)a - (int)*(const unsigned *)b;
}

static void counts_print(const char *what, size_t size_bytes, unsigned *calls)
{
    char name[64];
    qsort(calls, n_calls, sizeof *calls, count_compare);
    snprintf(name, sizeof name, "%s-%zu-instructions", what, size_bytes);
    bench_print_metric(name, calls[n_calls / 2]);
    snprintf(name, sizeof name, "%s-%zu-instructions-max", what, size_bytes);
    bench_print_metric(name, calls[n_calls - 1]);
}

int main(int argc, char **argv)
{
    n_calls = CALLS_PER_SCALE * bench_scale(argc, argv) + 1;
    n_calls = n_calls < MAX_CALLS ? n_calls : MAX_CALLS;
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage == MAP_FAILED)
        bench_die(BENCH_EXIT_NO_MEMORY, "no shared page");
    dl_iterate_phdr(text_find, NULL);
    pid_t child = fork();
    if (child == 0)
        child_run();
    child_step_through(child);
    for (unsigned s = 0; s < N_SIZES; s++) {
        counts_print("malloc", sizes[s], counts[s][PHASE_MALLOC]);
        counts_print("free", sizes[s], counts[s][PHASE_FREE]);
    }
    bench_print_checksum(n_calls);
    return 0;
}
