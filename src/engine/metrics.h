#pragma once
// Counters of one engine since it started, for /stats and for a server's metrics page.

#include <cstdint>

namespace nereus {

struct EngineMetrics {
    int64_t requests_submitted = 0;  ///< accepted into the queue
    int64_t requests_refused = 0;    ///< bad arguments or a full queue
    int64_t requests_finished = 0;   ///< stop or length
    int64_t requests_cancelled = 0;
    int64_t requests_failed = 0;   ///< the model returned an error
    int64_t tokens_prefilled = 0;  ///< rows computed for prompts
    int64_t tokens_reused = 0;     ///< prompt rows found in the cache
    int64_t tokens_generated = 0;
    int64_t n_steps = 0;    ///< forward passes
    int64_t n_parked = 0;   ///< times a reader was too slow and its sequence left the batch
    int64_t n_evicted = 0;  ///< kept sequences dropped to make room
    int32_t running_now = 0, waiting_now = 0, kept_now = 0;
};

}  // namespace nereus
