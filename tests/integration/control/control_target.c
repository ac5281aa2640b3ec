/* A process for gcrun --pid to ask.
 *
 * usage: control_target idle|busy|computes|threads|altstack|leaks|maps
 *     idle      sleeps in poll for ever
 *     busy      allocates and frees without a pause
 *     computes  never allocates, never waits
 *     threads   a sleeping main thread, four that allocate
 *     altstack  idle, with an alternate signal stack
 *     leaks     idle, having lost 7 blocks of 100 bytes
 *     maps      a sleeping main thread, two that compute, and 4000 mappings, all of which outlive main
 * Prints one line when it is ready. SIGTERM ends it with status 0, and only when no call was interrupted by anything
 * else.
 */
#include <errno.h>
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
