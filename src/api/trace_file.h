/* Where lines of traces and reports go. */
#ifndef API_TRACE_FILE_H
#define API_TRACE_FILE_H

#include <stdbool.h>
#include "base/fmt.h"

/* Appends to out the name that a pattern stands for. true: the process id is part of it. */
bool trace_file_expand(struct fmt *out, const char *pattern);
/* A descriptor to append to: 2 where pattern is empty; -errno where the file cannot be opened. */
int trace_file_open(const char *pattern);

#endif
