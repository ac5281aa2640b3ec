/* Asking for a snapshot, making the clone, and reaping it; see snapshot.h. */
#include "gc/snapshot.h"

#include <errno.h>

#include "base/bits.h"
#include "base/check.h"
#include "gc/roots.h"
#include "gc/roots_doctor.h"
#include "gc/snapshot_int.h"
#include "heap/meta.h"
#include "os/os.h"

enum { SNAPSHOT_EXIT_FAILED = 1 };

static struct {
    uint32_t is_busy; /* atomic */
    const struct snapshot_request *request; /* NULL: none is wanted at the next stop */
    pid_t clone;  /* 0: none that is not reaped */
    int error;    /* of making it, positive */
} snapshot_state;

struct snapshot snapshot;

void *snapshot_room(size_t n_bytes)
{
    static size_t n_used; /* of the region: the marker's part is over */
    char *base = meta_scratch_reserve(SCRATCH_OTHER, n_used + n_bytes);

    if (base == NULL)
        return NULL;
    n_used += bits_round_up(n_bytes, sizeof(uint64_t));
    return base + n_used - bits_round_up(n_bytes, sizeof(uint64_t));
}

/* ---- the clone ------------------------------------------------------------------------------------------------ */

static bool snapshot_make(int fd)
{
    snapshot_number_blocks();
    if (!roots_reopen_in_clone() || !snapshot_names_read() || !snapshot_collect_roots() || !snapshot_sites_read())
        return false;
    os_close_all_but(fd); /* what peers wait for must not be held open longer than the program itself holds it */
    return snapshot_write(fd) && !snapshot.is_void;
}

static NORETURN void snapshot_run_clone(const struct snapshot_request *r)
{
    bool is_made = snapshot_make(r->fd);

    if (is_made)
        is_made = os_file_rename(r->part, r->path) == 0;
    if (!is_made)
        os_file_remove(r->part);
    os_exit_group(is_made ? 0 : SNAPSHOT_EXIT_FAILED);
}

void snapshot_at_stop(void)
{
    const struct snapshot_request *r = snapshot_state.request;
    long pid;

    if (LIKELY(r == NULL))
        return;
    snapshot_state.request = NULL;
    pid = roots_has_userfault() ? -EPERM : os_clone_process(true);
    if (pid == 0)
        snapshot_run_clone(r);
    snapshot_state.clone = pid > 0 ? (pid_t)pid : 0;
    snapshot_state.error = pid > 0 ? 0 : EAGAIN;
}

/* ---- the program's side --------------------------------------------------------------------------------------- */

/* -EAGAIN: it still runs. */
static int snapshot_wait(bool is_awaited, bool *is_success)
{
    int error = os_clone_wait(snapshot_state.clone, is_awaited, is_success);

    if (error != -EAGAIN)
        snapshot_state.clone = 0;
    return error;
}

void snapshot_reap(void)
{
    uint32_t expected = 0;
    bool is_success;

    if (LIKELY(snapshot_state.clone == 0) || !__atomic_compare_exchange_n(&snapshot_state.is_busy, &expected, 1, false,
                                                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    if (snapshot_state.clone != 0)
        snapshot_wait(false, &is_success);
    __atomic_store_n(&snapshot_state.is_busy, 0, __ATOMIC_RELEASE);
}

bool snapshot_claim(void)
{
    uint32_t expected = 0;

    snapshot_reap();
    if (snapshot_state.clone != 0 || !__atomic_compare_exchange_n(&snapshot_state.is_busy, &expected, 1, false,
                                                                  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    snapshot_state.error = ECANCELED;
    return true;
}

void snapshot_begin(const struct snapshot_request *r)
{
    snapshot_state.request = r;
}

static int snapshot_outcome(void)
{
    struct os_gate_frame frame;
    bool is_success = false;
    int error;

    os_gate_publish(&frame);
    error = snapshot_wait(true, &is_success);
    os_gate_leave(&frame);
    return error == 0 && is_success ? 0 : EIO;
}

int snapshot_end(bool is_awaited)
{
    int error = snapshot_state.error;

    snapshot_state.request = NULL;
    if (error == 0 && is_awaited)
        error = snapshot_outcome();
    __atomic_store_n(&snapshot_state.is_busy, 0, __ATOMIC_RELEASE);
    return error;
}

void snapshot_fork_child(void)
{
    snapshot_state.is_busy = 0;
    snapshot_state.clone = 0;
    snapshot_state.request = NULL;
}
