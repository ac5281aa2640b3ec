/* Where trace lines go. */
#ifndef API_TRACE_FILE_H
#define API_TRACE_FILE_H

/* The descriptor for option trace_file: 2 where pattern is empty; -errno where the file cannot be opened. */
int trace_file_open(const char *pattern);

#endif
