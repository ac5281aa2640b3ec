/* Where trace lines go. */
#ifndef API_TRACE_FILE_H
#define API_TRACE_FILE_H

#include "base/fmt.h"

/* Appends pattern with %p and %% replaced. */
void trace_file_expand(struct fmt *out, const char *pattern);
/* The descriptor for option trace_file: 2 where pattern is empty; -errno where the file cannot be opened. */
int trace_file_open(const char *pattern);

#endif
