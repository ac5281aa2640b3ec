/* What world.c and world_watch.c share. Not part of the contract. */
#ifndef GC_WORLD_INT_H
#define GC_WORLD_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gc/cycle.h"
#include "os/os.h"

/* By thread id: who it is to the registry and to this stop. */
struct world_entry {
    pid_t tid;                /* 0: no entry */
    uint32_t slot_no;         /* index of its slot + 1; 0: not met yet */
    struct os_thread *thread; /* registered record when the stop began, or NULL */
};

struct world_watch {
    uint64_t next_look_ns; /* when to ask /proc about it */
    uint32_t n_looks;
    uint32_t n_stuck;      /* looks that found it unable to answer */
};

/* Whether threads at a published gate stand still: asked when the first such thread is met, since it takes a question
 * for each signal. */
enum world_gates { WORLD_GATES_UNKNOWN, WORLD_GATES_TIGHT, WORLD_GATES_LOOSE };

/* All tables: SCRATCH_WORLD, `capacity` long, the collector's alone. */
struct world {
    struct os_stop_slot *slots;  /* shared with the stop handler: os.h says how */
    struct world_watch *watches; /* by slot */
    uint32_t *open;              /* slots that have not settled */
    pid_t *tids;                 /* last listing; capacity + 1 */
    struct world_entry *table;
    size_t table_mask, n_entries;
    size_t capacity, n_slots, n_open;
    size_t n_refused; /* signals of the last pass that the kernel had no room for */
    uint64_t deadline_ns;
    pid_t self_tid;
    enum world_gates gates;
    bool had_room;    /* the last attempt had room for all threads */
    bool is_stopping; /* os_stop_begin without os_stop_end */
    bool is_stopped;  /* and everybody is proven to stand still */
};
enum { WORLD_N_DEAF = 64 };
extern struct world world;

void world_signal(uint32_t slot_idx);
/* The slot was signalled: world_await waits for it. */
void world_watch(uint32_t slot_idx);
/* Until every watched slot is STOPPED or GONE. */
enum cycle_skip world_await(void);
/* The thread does not exist, has exited, or is a worker of the kernel that never runs the program's code. */
bool world_is_gone(pid_t tid);
/* So it was when it had been signalled, and it was there all the same. Each signal waits in it for ever, as one of those that the user may have
 * queued, and each stop for its answer: so it is asked first from then on, as long as no more than WORLD_N_DEAF others came since. */
bool world_was_deaf(pid_t tid);

#endif
