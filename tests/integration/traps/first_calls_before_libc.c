/* malloc's first calls come from the preinit functions of the program, before any constructor; there a thread is started,
 * too. What they allocated lives on, and may be freed later. */
#include "trap.h"
static void *volatile early[64];
static void *volatile early_large;
static struct trap_thread thread;

static void at_preinit(int argc, char **argv, char **envp)
{
    (void)argc, (void)argv, (void)envp;
    for (unsigned i = 0; i < 64; i++) {
        early[i] = i % 2 == 0 ? malloc(16 + i * 40) : calloc(1, 16 + i * 40);
        test_fill(early[i], 16 + i * 40, i);
    }
    early_large = malloc(3 << 20);
    early_large = realloc((void *)early_large, 5 << 20);
    memset((void *)early_large, 1, 5 << 20);
    thread.hidden = trap_new();
    trap_thread_start(&thread, trap_thread_holding);
}
static void (*const preinit[])(int, char **, char **) __attribute__((section(".preinit_array"), used)) = {at_preinit};

int main(void)
{
    trap_verify();
    for (unsigned i = 0; i < 64; i++) {
        TEST_CHECK(test_is_filled(early[i], 16 + i * 40, i));
        if (!trap_is_peer())
            TEST_CHECK(gc_find_object(early[i], NULL) == early[i]);
        free(early[i]);
        early[i] = NULL;
    }
    free((void *)early_large);
    early_large = NULL;
    trap_thread_end(&thread);
    return 0;
}
