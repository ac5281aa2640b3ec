/* Where trace lines go. */
#ifndef API_TRACE_FILE_H
#define API_TRACE_FILE_H

#include <stdbool.h>
#include "base/fmt.h"

/* Appends the name that a pattern stands for. true: the process id is part of it. */
bool trace_file_expand(struct fmt *out, const char *pattern);
/* The descriptor for option trace_file: 2 where pattern is empty; -errno where the file cannot be opened. */
int trace_file_open(const char *pattern);

#endif
