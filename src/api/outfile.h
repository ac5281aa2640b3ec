/* Files that the library writes: traces, reports, profiles, answers, snapshots.
 *
 * All of them  are for their owner alone (0600), closed on exec, and not opened through a symbolic link: the name may lie in a
 *              directory that others write to. -errno where one cannot be opened.
 * Patterns     %p is the process id, %% a percent sign.
 */
#ifndef API_OUTFILE_H
#define API_OUTFILE_H

#include <stdbool.h>
#include "base/fmt.h"
#include "os/os.h"

void outfile_init(void); /* constructor: whose settings these are */
/* Appends to out the name that a pattern stands for. true: the process id is part of it. */
bool outfile_expand(struct fmt *out, const char *pattern);
struct os_output outfile_append(const char *pattern); /* to append to, and kept; stderr where pattern is empty */
/* Made or emptied; a child of fork writes to a file of its own even where the name says nothing of that. */
int outfile_empty(const char *pattern);
int outfile_create(const char *path); /* never one that exists */

#endif
