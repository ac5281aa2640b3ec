/* A snapshot of the heap: all blocks that the roots reach, what refers to what, and the roots by name.
 *
 * What    at the next stop the process is cloned, as by fork but without its handlers; the program goes on, and the
 *         clone reads its own copy of everything and writes the file. It has no exit signal: the program's wait and
 *         SIGCHLD never see it.
 *         Format: Chrome's .heapsnapshot, JSON (snapshot_write.c).
 * Order   snapshot_claim; the file; snapshot_begin; cycle_run; snapshot_end.
 * Locks   one snapshot at a time: snapshot_claim says so, before anybody touches another's file.
 */
#ifndef GC_SNAPSHOT_H
#define GC_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot_request {
    int fd;           /* to write to; the caller's, who closes it */
    const char *part; /* the file's name while it is written; removed on failure */
    const char *path; /* its name when it is complete */
};
bool snapshot_claim(void); /* false: another one is being made; else snapshot_end must follow */
/* At the next stop. pre: claimed. r: until snapshot_end. */
void snapshot_begin(const struct snapshot_request *r);
/* The cycle is over, complete or not. is_awaited: until the file is complete, and its outcome; else the clone works on,
 * and only whether it was made. 0 or a positive errno value: ECANCELED, no cycle came to marking; EIO, the clone could not
 * write. Not in a critical section. */
int snapshot_end(bool is_awaited);
/* A clone that has ended leaves the kernel's table. Any time. */
void snapshot_reap(void);
void snapshot_fork_child(void);

/* ---- cycle.c ---- */
void snapshot_at_stop(void); /* world stopped, marks complete */

#endif
