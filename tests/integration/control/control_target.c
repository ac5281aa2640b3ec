/* A process for gcrun --pid to ask.
 *
 * usage: control_target idle|busy|computes|threads|altstack|leaks|maps|doctor
 *     idle      sleeps in poll for ever
 *     busy      allocates and frees without a pause
 *     computes  never allocates, never waits
 *     threads   a sleeping main thread, four that allocate
 *     altstack  idle, with an alternate signal stack
 *     leaks     idle, having lost 7 blocks of 100 bytes
 *     maps      a sleeping main thread, two that compute, and 4000 mappings, all of which outlive main
 *     doctor    idle, with a thread whose name has two lines, and mappings of which it first tells where they are
 * Prints one line when it is ready. SIGTERM ends it with status 0, and only when no call was interrupted by anything
 * else.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile sig_atomic_t is_over;
static char altstack[64 * 1024];
static volatile uintptr_t hidden;
static void *volatile kept[64];

static void on_term(int sig)
{
    (void)sig;
    is_over = 1;
}

static void *churn(void *arg)
{
    for (unsigned i = 0; !is_over; i++) {
        free(kept[i % 64]);
        kept[i % 64] = malloc(16 + i % 500);
    }
    return arg;
}

static void *compute_on(void *arg)
{
    for (volatile unsigned long i = 0;; i++)
        ;
    return arg;
}

static void start_maps(void)
{
    pthread_t thread;

    for (int i = 0; i < 4000; i++)
        mmap(NULL, 4096, i % 2 == 0 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, compute_on, NULL);
}

/* Between two that are read-only, so that the kernel joins it with no other. */
static char *map_apart(const char *what, size_t size, int prot)
{
    char *p = mmap(NULL, size + 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mprotect(p + 4096, size, PROT_READ | PROT_WRITE);
    if (prot != PROT_NONE || strcmp(what, "hidden") == 0)
        p[4096] = 1;
    mprotect(p + 4096, size, prot);
    printf("%s %p-%p\n", what, (void *)(p + 4096), (void *)(p + 4096 + size));
    return p + 4096;
}

static volatile sig_atomic_t is_waiting;

static void *wait_named(void *arg)
{
    is_waiting = 1;
    for (;;)
        pause();
    return arg;
}

static void start_doctor(const char *file)
{
    int (*exclude)(void *, size_t) = (int (*)(void *, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "gc_exclude_roots");
    int fd = open(file, O_RDONLY);
    void *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    pthread_t thread;

    close(fd);
    printf("file %p-%p\n", shared, (void *)((char *)shared + 4096));
    map_apart("guard", 4096, PROT_NONE);
    map_apart("hidden", 8192, PROT_NONE);
    map_apart("code", 4096, PROT_READ | PROT_EXEC);
    char *part = map_apart("part", 8192, PROT_READ | PROT_WRITE), *whole = map_apart("whole", 8192, PROT_READ | PROT_WRITE);
    part[4096] = 1;
    if (exclude == NULL || exclude(part + 4096, 4096) != 0 || exclude(whole, 8192) != 0)
        exit(1);
    pthread_create(&thread, NULL, wait_named, NULL);
    pthread_setname_np(thread, "two\nlines");
    while (!is_waiting)
        usleep(1000);
}

static void *churn_own(void *arg)
{
    while (!is_over)
        free(malloc(100));
    return arg;
}

static __attribute__((noinline)) void *lose(void)
{
    void *volatile p = malloc(100);
    return p;
}

static __attribute__((noinline)) void lose_all(void)
{
    for (int i = 0; i < 7; i++)
        hidden = ~(uintptr_t)lose();
}

/* What a dead frame still holds is no leak. */
static __attribute__((noinline)) void forget(void)
{
    volatile char room[8192];

    memset((char *)room, 0, sizeof(room));
    __asm__ volatile("" : : "r"(room) : "memory");
}

static void compute(void)
{
    for (volatile unsigned long i = 0; !is_over; i++)
        ;
}

/* SIGTERM comes in only here. */
static void idle(void)
{
    sigset_t none;
    sigemptyset(&none);
    while (!is_over) {
        if (ppoll(NULL, 0, NULL, &none) == -1 && errno == EINTR && !is_over) {
            puts("interrupted by somebody else");
            exit(1);
        }
    }
}

static void tell(void)
{
    printf("ready\n");
    fflush(stdout);
}

static void run(const char *how)
{
    pthread_t thread;
    stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};

    if (strcmp(how, "leaks") == 0)
        lose_all();
    if (strcmp(how, "doctor") == 0)
        start_doctor(program_invocation_name);
    forget();
    tell();
    if (strcmp(how, "busy") == 0)
        churn(NULL);
    else if (strcmp(how, "computes") == 0)
        compute();
    else if (strcmp(how, "altstack") == 0)
        sigaltstack(&stack, NULL);
    else if (strcmp(how, "maps") == 0)
        start_maps();
    for (int i = 0; i < 4 && strcmp(how, "threads") == 0; i++)
        pthread_create(&thread, NULL, churn_own, NULL);
    if (!is_over)
        idle();
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_term};
    const char *how = argc > 1 ? argv[1] : "idle";
    sigset_t term;

    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (strcmp(how, "busy") != 0 && strcmp(how, "computes") != 0)
        sigprocmask(SIG_BLOCK, &term, NULL);
    run(how);
    return 0;
}
