/* A module for redis-server with a leak and a chain in it, known by their lines.
 *
 *     planted.leak N      loses N blocks of 240 bytes; each comes from the line that says LEAK
 *     planted.keep        keeps a block of 120 bytes by planted_head -> 56 -> 120; the reply is its address. From the line that
 *                         says KEEP
 * The little of the server's interface that it takes is declared here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*command_fn)(void *ctx, void **argv, int argc);

static int (*module_get_api)(const char *name, void *function);
static void (*module_set_attributes)(void *ctx, const char *name, int version, int api_version);
static int (*module_create_command)(void *ctx, const char *name, command_fn fn, const char *flags, int first, int last,
                                    int step);
static int (*module_string_to_integer)(const void *string, long long *out);
static int (*module_reply_with_text)(void *ctx, const char *text);

static void **volatile planted_head; /* volatile: written and never read, it would not be there */
static volatile uintptr_t planted_hidden;

#define PLACE __attribute__((noinline))

PLACE static void *planted_lose(void)
{
    char *volatile p = malloc(240); /* LEAK */

    memset(p, 1, 240);
    return p;
}

PLACE static void *planted_keep(void)
{
    void *volatile p = malloc(120); /* KEEP */

    memset(p, 1, 120);
    return p;
}

/* What a dead frame still holds is no leak. */
PLACE static void planted_forget(void)
{
    volatile char room[4096];

    memset((char *)room, 0, sizeof(room));
    __asm__ volatile("" : : "r"(room) : "memory");
}

static int command_leak(void *ctx, void **argv, int argc)
{
    long long n = 1;

    if (argc == 2)
        module_string_to_integer(argv[1], &n);
    for (long long i = 0; i < n; i++)
        planted_hidden = ~(uintptr_t)planted_lose();
    planted_forget();
    return module_reply_with_text(ctx, "lost");
}

static int command_keep(void *ctx, void **argv, int argc)
{
    char text[32];

    (void)argv;
    (void)argc;
    planted_head = calloc(1, 56);
    planted_head[2] = planted_keep();
    snprintf(text, sizeof(text), "%p", planted_head[2]);
    return module_reply_with_text(ctx, text);
}

__attribute__((visibility("default"))) int RedisModule_OnLoad(void *ctx, void **argv, int argc)
{
    (void)argv;
    (void)argc;
    module_get_api = (int (*)(const char *, void *))(uintptr_t)*(void **)ctx;
    module_get_api("RedisModule_SetModuleAttribs", &module_set_attributes);
    module_get_api("RedisModule_CreateCommand", &module_create_command);
    module_get_api("RedisModule_StringToLongLong", &module_string_to_integer);
    module_get_api("RedisModule_ReplyWithSimpleString", &module_reply_with_text);
    module_set_attributes(ctx, "planted", 1, 1);
    return module_create_command(ctx, "planted.leak", command_leak, "", 0, 0, 0) != 0 ||
           module_create_command(ctx, "planted.keep", command_keep, "", 0, 0, 0) != 0;
}
