/* What fork needs of us: no lock is held across it; the child rebuilds what threads that are gone were
 * changing.
 *
 * What    handlers for fork, and the same repair for a child of a fork that calls no handlers (found by a
 *         page that the kernel wipes in children).
 * Invariants  registered by the first constructor of the process, so that the prepare handler runs last and
 *         the child's first: other handlers may call malloc.
 * Not here  each storey's own repair.
 */
#include <pthread.h>
#include "api/alloc.h"
#include "api/control.h"
#include "api/interpose.h"
#include "api/watch.h"
#include "gc/finalizer.h"
#include "gc/pacer.h"
#include "gc/roots.h"
#include "gc/snapshot.h"
#include "gc/twin.h"
#include "gc/world.h"
#include "os/critical_inl.h"
#include "os/os.h"

static void fork_prepare(void)
{
    cycle_fork_prepare();
}

static void fork_parent(void)
{
    cycle_fork_parent();
    api_exit_slow();
}

/* The order: who we are; the threads that are gone, while their records still say where their stacks lie; the
 * heap, which the rest allocates from; what hangs on blocks; the cycle last, because from then on one may
 * run. */
static void fork_rebuild(void)
{
    os_critical_enter();
    os_process_fork_child();
    roots_fork_child();
    os_thread_fork_child();
    os_stop_fork_child();
    world_fork_child();
    heap_fork_child();
    finalizer_fork_child();
    watch_fork_child();
    interpose_signal_fork_child();
    control_fork_child();
    snapshot_fork_child();
    twin_fork_child();
    pacer_fork_child();
    cycle_fork_child();
    os_critical_leave();
}

static void fork_child(void)
{
    fork_rebuild();
    api_exit_slow();
}

void api_fork_repair(void)
{
    fork_rebuild();
}

void api_fork_install(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}
