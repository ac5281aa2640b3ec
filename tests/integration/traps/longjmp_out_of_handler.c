/* A handler leaves by siglongjmp, out of a blocking call and out of malloc-heavy code, while another thread
 * collects. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include "trap.h"
static sigjmp_buf where;
static volatile sig_atomic_t is_armed;

static void handler(int signo)
{
    (void)signo;
    if (is_armed) {
        is_armed = 0;
        siglongjmp(where, 1);
    }
}

static volatile pthread_t main_id;
static _Atomic int stop;

static void *killer(void *arg)
{
    while (!atomic_load(&stop)) {
        usleep(1500);
        if (is_armed)
            pthread_kill(main_id, SIGUSR1);
    }
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    main_id = pthread_self();
    static void *volatile root;
    root = trap_reveal(trap_new());
    pthread_t id, collector = trap_collector_start();
    pthread_create(&id, NULL, killer, NULL);
    for (volatile int i = 0; i < 200; i++) {
        if (sigsetjmp(where, 1) == 0) {
            is_armed = 1;
            while (is_armed)
                poll(NULL, 0, 10000);
        }
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE);
        free(malloc(1000));
    }
    atomic_store(&stop, 1);
    pthread_join(id, NULL);
    trap_collector_end(collector);
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
