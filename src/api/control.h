/* How gcrun asks a running process, and where the answer lies: the words that both sides must know.
 *
 * gcrun queues the stop signal with the magic number of requests (os/os.h) and a value: the request's number in the
 * low byte, above it an id that nobody can guess, not 0. It repeats that until a file appears: DIRECTORY/gcmalloc-ID.part
 * while the answer is being written, DIRECTORY/gcmalloc-ID when it is complete. The id is in 8 hexadecimal digits.
 */
#ifndef API_CONTROL_H
#define API_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

enum control_request {
    CONTROL_REPORT = 1, /* stats, doctor, and leaks where they are recorded */
    CONTROL_STATS,
    CONTROL_SNAPSHOT, /* the file is written by a clone of the process; repeated afterwards, the request reaps it */
    CONTROL_COLLECT,
    CONTROL_OFF, /* no collection any more */
};
enum { CONTROL_REQUEST_BITS = 8, CONTROL_PATH_MAX = 64 };
#define CONTROL_FILE_PREFIX "/gcmalloc-"
#define CONTROL_PART_SUFFIX ".part"
/* Tried in this order. */
#define CONTROL_DIRECTORIES {"/tmp", "/dev/shm", "/var/tmp"}

/* The library's side. */
void control_init(void);       /* constructor */
/* The process ends: no request is answered any more. false: an answer that was begun takes too long. */
bool control_end(void);
void control_fork_child(void);

#endif
