/* glibc changes credentials by signalling every thread with the number that stops ours: neither may lose a
 * delivery. */
#include "trap.h"
#define N_THREADS 6
static _Atomic int stop;

static void *body(void *arg)
{
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 1000; i++)
            free(malloc(64 + (size_t)i));
        TEST_CHECK(getuid() == 0);
    }
    return arg;
}

int main(void)
{
    if (geteuid() != 0)
        TEST_SKIP("not root");
    static void *volatile root;
    root = trap_reveal(trap_new());
    pthread_t ids[N_THREADS], collector = trap_collector_start();
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        TEST_CHECK(seteuid(65534) == 0 && geteuid() == 65534);
        TEST_CHECK(seteuid(0) == 0 && geteuid() == 0);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(ids[i], NULL);
    trap_collector_end(collector);
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
