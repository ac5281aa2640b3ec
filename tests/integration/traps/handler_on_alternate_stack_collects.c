/* A handler on its alternate stack collects, which happens on a stack of the library's: to the kernel the alternate stack is
 * free meanwhile, and a request from outside, or a fault that the collector expects, must not begin at its end, where the
 * handler's own frame is. */
#include <signal.h>
#include <sys/mman.h>
#include "trap.h"
enum { STOP_SIGNAL = 33, REQUEST_MAGIC = 0x67634d61, STACK_BYTES = 256 * 1024, N_NODES = 100000, N_ROUNDS = 60 };
static _Atomic pid_t tid;

static __attribute__((noinline)) void check_frame(volatile unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0x5a)
            TEST_FAIL("the handler's frame was overwritten");
}

static void handler(int signo)
{
    volatile unsigned char frame[16384];
    (void)signo;
    memset((void *)frame, 0x5a, sizeof(frame));
    TEST_CHECK(trap_collect());
    check_frame(frame, sizeof(frame));
}

/* What it asks for means nothing. */
static void asks(void)
{
    pid_t parent = getppid();
    while (getppid() == parent) {
        siginfo_t info;
        memset(&info, 0, sizeof(info));
        info.si_signo = STOP_SIGNAL;
        info.si_code = SI_QUEUE;
        info.si_errno = REQUEST_MAGIC;
        info.si_pid = getpid();
        syscall(SYS_rt_tgsigqueueinfo, parent, atomic_load(&tid), STOP_SIGNAL, &info);
        usleep(20);
    }
    _exit(0);
}

static void grow(void)
{
    static void **volatile list;
    for (int i = 0; i < N_NODES; i++) {
        void **node = malloc(64);
        node[0] = list;
        list = node;
    }
}

int main(void)
{
    if (trap_is_peer())
        TEST_SKIP("nobody else takes requests");
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    stack_t own = {.ss_size = STACK_BYTES};
    own.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(own.ss_sp != MAP_FAILED && sigaltstack(&own, NULL) == 0);
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    grow();
    atomic_store(&tid, (pid_t)syscall(SYS_gettid));
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0)
        asks();
    for (int i = 0; i < N_ROUNDS; i++)
        raise(SIGUSR1);
    kill(child, SIGKILL);
    TEST_CHECK(sigaltstack(NULL, &own) == 0 && own.ss_flags == 0 && own.ss_size == STACK_BYTES);
    trap_verify();
    return 0;
}
