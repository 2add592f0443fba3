#pragma once
// What it costs to start a parallel section, without any work in it.

#include "base/json.h"
#include "base/thread_pool.h"

namespace nereus {

/// Seconds, medians. Together: until every thread has begun, which is what a long product waits
/// for at most; a section that is over before sleepers come does not wait for them at all.
struct DispatchTimes {
    double empty = 0;            ///< an empty section right after another
    double together = 0;         ///< the same until every thread takes part
    double together_asleep = 0;  ///< after 2 ms in which the workers went to sleep
};

DispatchTimes measure_dispatch(ThreadPool& pool);
Json dispatch_json(const DispatchTimes& times);

}  // namespace nereus
