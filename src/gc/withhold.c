/* See withhold.h. */
#include "gc/withhold.h"

#include "base/counters.h"
#include "gc/pacer.h"
#include "gc/twin.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    WITHHOLD_MAX_SKIPS = 2,
    WITHHOLD_LIMIT_SHARE = 8,
    WITHHOLD_WORTH_SHARE = 64, /* of a limit: less is not worth all that is held */
};

static unsigned withhold_n_skips; /* in a row, of the collector */

/* One critical section, so that no stop finds slots that were given up and not yet the doubt: a clone may have seen them held and
 * unreachable, and they serve others now. */
bool withhold_give_up(void)
{
    if (!quarantine_is_on())
        return false;
    os_critical_enter();
    size_t n = quarantine_release_all();
    twin_doubt();
    os_critical_leave();
    return n != 0;
}

/* Collections come that decide about what is held. */
static bool withhold_is_judged(void)
{
    enum cycle_mode mode = cycle_mode();
    return mode != MODE_OFF && mode != MODE_REPORT && pacer_goal_bytes() != SIZE_MAX && !os_seccomp_is_on();
}

void withhold_settings_changed(void)
{
    bool is_judged;

    if (!quarantine_is_on())
        return;
    do { /* two threads may have changed something at once */
        is_judged = withhold_is_judged();
        __atomic_store_n(&quarantine_state.is_holding, is_judged, __ATOMIC_SEQ_CST);
    } while (withhold_is_judged() != is_judged);
    if (!is_judged)
        withhold_give_up();
}

static bool withhold_is_too_much(enum cycle_cause cause, const struct sweep_totals *totals)
{
    size_t limit_bytes = pacer_limit_bytes();
    return cause == CYCLE_LIMIT && totals->live_bytes > limit_bytes - limit_bytes / WITHHOLD_LIMIT_SHARE &&
           totals->held_bytes > limit_bytes / WITHHOLD_WORTH_SHARE;
}

static bool withhold_is_in_vain(enum cycle_cause cause)
{
    if (cause == CYCLE_EXPLICIT || cause == CYCLE_INQUIRY)
        return false;
    return ++withhold_n_skips >= WITHHOLD_MAX_SKIPS || cause == CYCLE_LIMIT;
}

void withhold_after_cycle(enum cycle_cause cause, enum cycle_skip skip, const struct sweep_totals *totals)
{
    if (LIKELY(!quarantine_is_on()))
        return;
    if (UNLIKELY(skip == SKIP_SECCOMP)) {
        withhold_settings_changed(); /* it lasts */
        return;
    }
    if (skip != SKIP_NONE) {
        if (withhold_is_in_vain(cause) && withhold_give_up())
            pacer_look_again(); /* not as late as after other cycles that were skipped */
        return;
    }
    withhold_n_skips = 0;
    counter_set(COUNTER_HELD_BLOCKS, totals->n_held);
    counter_set(COUNTER_HELD_BYTES, totals->held_bytes);
    counter_add(COUNTER_HELD_RELEASED, totals->n_unheld);
    counter_add(COUNTER_HELD_RELEASED_BYTES, totals->unheld_bytes);
    if (pacer_goal_bytes() == SIZE_MAX)
        withhold_settings_changed(); /* a control group has no limit any more */
    else if (withhold_is_too_much(cause, totals))
        withhold_give_up();
}
