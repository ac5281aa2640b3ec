/* May a cycle run now? For cycle.c: the doors by which forks, vforks, the program's wish and the mode keep
 * cycles out. The functions for the rest of the library are in cycle.h. */
#ifndef GC_CYCLE_GATE_H
#define GC_CYCLE_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "gc/cycle.h"

/* SKIP_NONE, or the reason that holds just now. Asked before the stop and again in it. */
enum cycle_skip cycle_gate_reason(void);
/* Takes CYCLE if nobody has it. pre: critical section. From then on forks wait (cycle_fork_prepare). */
bool cycle_gate_try_enter(void);
void cycle_gate_leave(void);

#endif
