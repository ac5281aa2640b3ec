/* Suppressions of leaks, in the words of LeakSanitizer's files: one "leak:PATTERN" a line, # begins a comment.
 *
 * A pattern occurs anywhere in a name; * stands for any characters, ^ at its start and $ at its end tie it to the name's.
 * Lines for other tools are passed over. Pure, without allocation.
 */
#ifndef BASE_SUPPRESS_H
#define BASE_SUPPRESS_H

#include <stdbool.h>
#include <stddef.h>

struct suppress_pattern {
    const char *at; /* in the text that was read, without NUL */
    size_t len;
};
/* The next pattern of a text, which *text is moved behind. false: there is none left. */
bool suppress_next(const char **text, struct suppress_pattern *out);
bool suppress_matches(const struct suppress_pattern *pattern, const char *name);

#endif
