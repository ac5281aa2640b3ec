/* See pacer_thrift.h. */
#include "gc/pacer_thrift.h"

enum { THRIFT_RECOVERED_SHARE = 8 };

static unsigned thrift_percent(size_t used, size_t dead_bytes, unsigned budget_percent)
{
    return dead_bytes < used / THRIFT_RECOVERED_SHARE || budget_percent > THRIFT_PERCENT ? budget_percent : THRIFT_PERCENT;
}

size_t thrift_distance(const struct thrift_past *past, unsigned budget_percent)
{
    size_t used = past->live_bytes + past->dead_bytes;
    size_t taken = used > past->was_live_bytes ? used - past->was_live_bytes : 0;
    unsigned percent = thrift_percent(used, past->dead_bytes, budget_percent);
    if (percent == 0 || percent >= 100 || past->between_ns == 0)
        return SIZE_MAX;
    double wanted_ns = (double)past->cycle_ns * (100 - percent) / percent;
    double bytes = (double)taken * wanted_ns / (double)past->between_ns;
    return bytes < (double)(SIZE_MAX / 2) ? (size_t)bytes : SIZE_MAX;
}

size_t thrift_limit(size_t due_bytes, size_t thrifty_bytes)
{
    size_t least = due_bytes / 100 * THRIFT_LEAST_PERCENT;
    if (thrifty_bytes >= due_bytes)
        return due_bytes;
    return thrifty_bytes > least ? thrifty_bytes : least;
}
