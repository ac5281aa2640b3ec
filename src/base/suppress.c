/* See suppress.h. The pieces between the stars are found one after another, each as early as it occurs; only a last piece
 * that is tied to the end of the name has but one place. */
#include "base/suppress.h"

#include <string.h>

static const char suppress_prefix[] = "leak:";

static bool suppress_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool suppress_parse(const char *line, size_t len, struct suppress_pattern *out)
{
    const size_t n_prefix = sizeof(suppress_prefix) - 1;

    while (len != 0 && suppress_is_blank(line[len - 1]))
        len--;
    while (len != 0 && suppress_is_blank(*line)) {
        line++;
        len--;
    }
    if (len <= n_prefix || memcmp(line, suppress_prefix, n_prefix) != 0)
        return false;
    *out = (struct suppress_pattern){line + n_prefix, len - n_prefix};
    return true;
}

bool suppress_next(const char **text, struct suppress_pattern *out)
{
    while (**text != '\0') {
        const char *line = *text;
        size_t len = strcspn(line, "\n");
        *text = line + len + (line[len] == '\n');
        if (suppress_parse(line, len, out))
            return true;
    }
    return false;
}

/* The first place of a piece in a name, or NULL. */
static const char *suppress_find(const char *name, const char *piece, size_t len)
{
    size_t n = strlen(name);

    for (; n >= len; name++, n--)
        if (memcmp(name, piece, len) == 0)
            return name;
    return NULL;
}

static bool suppress_ends_with(const char *name, const char *piece, size_t len)
{
    size_t n = strlen(name);

    return n >= len && memcmp(name + n - len, piece, len) == 0;
}

bool suppress_matches(const struct suppress_pattern *pattern, const char *name)
{
    const char *at = pattern->at, *end = at + pattern->len;
    bool is_at_start = at < end && *at == '^', is_at_end = at < end && end[-1] == '$';

    at += is_at_start;
    end -= is_at_end && end > at;
    for (;;) {
        const char *star = memchr(at, '*', (size_t)(end - at));
        size_t len = (size_t)((star != NULL ? star : end) - at);
        if (star == NULL && is_at_end && !is_at_start)
            return suppress_ends_with(name, at, len);
        const char *found = is_at_start ? (strncmp(name, at, len) == 0 ? name : NULL) : suppress_find(name, at, len);
        if (found == NULL)
            return false;
        if (star == NULL)
            return !is_at_end || found[len] == '\0';
        name = found + len;
        at = star + 1;
        is_at_start = false;
    }
}
