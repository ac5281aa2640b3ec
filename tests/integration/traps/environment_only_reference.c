/* Strings that only environ knows, by putenv and by setenv. */
#include "trap.h"
static uintptr_t hidden[20];

static __attribute__((noinline)) void put(int i)
{
    hidden[i] = trap_new();
    char *text = trap_reveal(hidden[i]);
    trap_forget(hidden[i]); /* its content becomes a string */
    memset(text, 'a' + i, TRAP_SIZE);
    snprintf(text, TRAP_SIZE, "TRAP_%d=%0*d", i, 150, i);
    TEST_CHECK(putenv(text) == 0);
}

int main(void)
{
    char name[32], value[200];
    for (int i = 0; i < 20; i++) {
        put(i);
        snprintf(name, sizeof(name), "SET_%d", i);
        snprintf(value, sizeof(value), "%0*d", 190, i * 7);
        TEST_CHECK(setenv(name, value, 1) == 0);
    }
    trap_clear_stack();
    static void *volatile other;
    other = trap_reveal(trap_new());
    trap_verify();
    TEST_CHECK(other != NULL);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "TRAP_%d", i);
        snprintf(value, sizeof(value), "%0*d", 150, i);
        TEST_CHECK(getenv(name) != NULL && strcmp(getenv(name), value) == 0);
        snprintf(name, sizeof(name), "SET_%d", i);
        snprintf(value, sizeof(value), "%0*d", 190, i * 7);
        TEST_CHECK(getenv(name) != NULL && strcmp(getenv(name), value) == 0);
    }
    return 0;
}
