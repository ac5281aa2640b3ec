/* Reading and editing the environment in place.
 *
 * Callers   the constructor only, while the process has one thread.
 */
#include "api/environment.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char *environment_value(const char *entry, const char *name)
{
    size_t len = strlen(name);

    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

static char **environment_find(char **envp, const char *name)
{
    for (; envp != NULL && *envp != NULL; envp++) {
        if (environment_value(*envp, name) != NULL)
            return envp;
    }
    return NULL;
}

const char *environment_get(char **envp, const char *name)
{
    char **entry = environment_find(envp, name);

    return entry != NULL ? environment_value(*entry, name) : NULL;
}

static void environment_remove(char **entry)
{
    for (; *entry != NULL; entry++)
        entry[0] = entry[1];
}

static bool environment_is_separator(char c)
{
    return c == ':' || c == ' ';
}

/* Does the item of LD_PRELOAD name our library, whatever its version? */
static bool environment_is_ours(const char *item, size_t len)
{
    static const char name[] = "libgcmalloc.so";
    const char *base = item;

    for (size_t i = 0; i < len; i++)
        base = item[i] == '/' ? item + i + 1 : base;
    return (size_t)(item + len - base) >= sizeof(name) - 1 && memcmp(base, name, sizeof(name) - 1) == 0;
}

/* The list without our library, written over itself. */
static void environment_strip_preload(char *list)
{
    char *out = list;

    for (char *item = list; *item != '\0';) {
        size_t len = 0, end;
        while (item[len] != '\0' && !environment_is_separator(item[len]))
            len++;
        end = len + (item[len] != '\0');
        if (!environment_is_ours(item, len)) {
            memmove(out, item, end);
            out += end;
        }
        item += end;
    }
    *out = '\0';
}

void environment_disinherit(char **envp)
{
    char **settings = environment_find(envp, "GCMALLOC"), **preload;

    if (settings != NULL)
        environment_remove(settings);
    preload = environment_find(envp, "LD_PRELOAD");
    if (preload == NULL)
        return;
    environment_strip_preload(*preload + sizeof("LD_PRELOAD=") - 1);
    if (*environment_get(preload, "LD_PRELOAD") == '\0')
        environment_remove(preload);
}
