/* After main has called pthread_exit, /proc/self is empty without an error; the other threads go on, and
 * collect. */
#include "trap.h"
static void *volatile root;
static pthread_t main_thread;

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    pthread_join(main_thread, NULL);
    usleep(20000);
    trap_verify();
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    TEST_CHECK(root != NULL);
    _exit(0);
}

int main(void)
{
    static struct trap_thread t;
    main_thread = pthread_self();
    root = trap_reveal(trap_new());
    t.hidden = trap_new();
    TEST_CHECK(pthread_create(&t.id, NULL, body, &t) == 0);
    pthread_exit(NULL);
}
