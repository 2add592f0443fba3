#pragma once
// How fast a model will be on a machine and what it needs, before it is there: a pure function of
// the model's size, measured figures of the machine and a budget of memory.
//
// A token's time is the sum of what it has to do: every weight it uses at the measured time of its
// format, attention over the rows it sees, a fixed cost for each verb, and experts that are not in
// memory at the speed of the drive, while those that are there are computed. A prompt is the same
// for all rows of a chunk, with the experts that its rows use together read once.

#include <cstdint>
#include <string>
#include <vector>

#include "compute/machine_speed.h"
#include "memory/plan.h"
#include "model/model_size.h"

namespace nereus {

struct MachineFigures {
    MachineSpeed speed;
    /// Of the drive that holds the model: experts at random, many or one at a time, and in order.
    double disk_random_bytes_per_second = 0;
    double disk_single_bytes_per_second = 0;  ///< 0: as many at a time
    double disk_sequential_bytes_per_second = 0;
};

struct ForecastRequest {
    double memory_bytes = 0;   ///< the whole budget
    int64_t n_context = 4096;  ///< cached tokens that have to fit
    int64_t n_prompt = 512;    ///< tokens of the prompt whose time is forecast
    int64_t n_visible = 0;     ///< cached before it
    int64_t n_generate = 64;   ///< decoded after it: the mean length of the cache counts
    int64_t chunk = 0;         ///< tokens of a prefill pass; 0: as memory/plan.h chooses
};

enum class SpeedLimit { kMemory, kCompute, kDisk, kOverhead };
/// "memory", "compute", "disk", "overhead"
std::string speed_limit_name(SpeedLimit limit);

/// Seconds of one pass. Reads of experts overlap with the computing of experts; the rest adds up.
struct PassTime {
    double dense = 0, experts = 0, attention = 0, verbs = 0;
    double disk = 0;

    double compute() const { return dense + experts + attention + verbs; }
    double total() const;
};

struct Forecast {
    /// False: the smallest budget that would do is least_memory_bytes, and nothing else is set.
    bool fits = false;
    double least_memory_bytes = 0;
    MemoryPlan placement;
    double share_cached = 1;                 ///< of the routed experts
    double hit_rate = 1;                     ///< of the uses while decoding
    double decode_bytes = 0;                 ///< weights a decoded token reads, from memory or disk
    double disk_bytes = 0;                   ///< of these from disk
    PassTime decode;                         ///< one token
    PassTime prefill;                        ///< the whole prompt
    SpeedLimit limit = SpeedLimit::kMemory;  ///< of decode
    double decode_tokens_per_second = 0;
    double prefill_tokens_per_second = 0;
    double first_token_seconds = 0;  ///< the prompt and one token; the model is loaded
    double load_seconds = 0;         ///< until all that stays in memory is there
};

/// What a drive, a memory or a recipe would have to be for more speed: the same forecast again with
/// one thing better.
struct Remedy {
    std::string what;  ///< "twice the memory (48 GB)"
    double decode_tokens_per_second = 0;
    double first_token_seconds = 0;
};

/// The input of memory/plan.h, of a model that need not be there.
MemoryNeeds needs_of(const ModelSize& model);

Forecast forecast(const ModelSize& model, const MachineFigures& machine,
                  const ForecastRequest& request);

/// The best first; only what helps decode by at least a tenth. smaller: the same model in fewer
/// bits, or nothing.
std::vector<Remedy> remedies(const ModelSize& model, const MachineFigures& machine,
                             const ForecastRequest& request, const ModelSize* smaller);

}  // namespace nereus
