#pragma once
// Where routed experts live. The expert block asks its bank for the ids a batch routed to and
// computes with each as it comes; it does not know whether they were in memory or on disk.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/async_read.h"
#include "base/result.h"
#include "compute/weight.h"
#include "memory/expert_cache.h"
#include "weights/checkpoint.h"

namespace nereus {

/// One routed expert: w_down( silu(w_gate x) * (w_up x) ).
struct ExpertWeights {
    Weight gate;  ///< [moe_intermediate_size, hidden_size]
    Weight up;    ///< [moe_intermediate_size, hidden_size]
    Weight down;  ///< [hidden_size, moe_intermediate_size]
};

/// Experts by layer and id; empty for layers that have none.
using ExpertTable = std::vector<std::vector<ExpertWeights>>;

/// One of the requested experts, in memory now.
struct ReadyExpert {
    size_t index = 0;  ///< into the ids of the request
    ExpertWeights weights;
};

/// What a bank has done since it was made.
struct ExpertBankStats {
    /// Requested experts that earlier uses had left in memory, or that had to be read for this one:
    /// whether a guess had read them, had begun to or had not.
    int64_t n_hits = 0, n_misses = 0;
    int64_t n_guesses = 0;        ///< experts whose reading began before anyone asked for them
    int64_t n_guesses_right = 0;  ///< of these, asked for next
    uint64_t n_bytes_needed = 0;  ///< of the misses
    uint64_t n_bytes_read = 0;    ///< from disk, wrong guesses included
    double wait_seconds = 0;      ///< with nothing left to compute

    ExpertBankStats& operator+=(const ExpertBankStats& other) {
        n_hits += other.n_hits;
        n_misses += other.n_misses;
        n_guesses += other.n_guesses;
        n_guesses_right += other.n_guesses_right;
        n_bytes_needed += other.n_bytes_needed;
        n_bytes_read += other.n_bytes_read;
        wait_seconds += other.wait_seconds;
        return *this;
    }
    /// What was done since `earlier`.
    ExpertBankStats operator-(const ExpertBankStats& earlier) const {
        return {.n_hits = n_hits - earlier.n_hits,
                .n_misses = n_misses - earlier.n_misses,
                .n_guesses = n_guesses - earlier.n_guesses,
                .n_guesses_right = n_guesses_right - earlier.n_guesses_right,
                .n_bytes_needed = n_bytes_needed - earlier.n_bytes_needed,
                .n_bytes_read = n_bytes_read - earlier.n_bytes_read,
                .wait_seconds = wait_seconds - earlier.wait_seconds};
    }
};

/// One request at a time: request(), then next() until it is empty or fails.
/// threads: one at a time.
class ExpertBank {
  public:
    virtual ~ExpertBank() = default;
    /// Which experts the layer's tokens chose, [n_tokens, top_k], before they are asked for: what a
    /// bank guesses the next layer's from.
    virtual void observe(int64_t /*layer*/, std::span<const int32_t> /*choices*/,
                         int64_t /*top_k*/) {}
    /// Asks for experts of a layer (distinct ids); reads of those that are missing begin at once,
    /// so that other work may go on meanwhile.
    virtual void request(int64_t layer, std::span<const int32_t> ids) = 0;
    /// Experts to compute with: first all that were in memory, then those that have arrived, in
    /// order of arrival; waits for one where none has. Each id comes once; empty when all have
    /// come. Valid until the next call, for their memory may then be another expert's.
    /// errors: io (that request has failed and is over; the bank goes on)
    virtual Result<std::span<const ReadyExpert>> next() = 0;
    virtual ExpertBankStats stats() const = 0;
    /// Whether asking early pays.
    virtual bool reads_from_disk() const { return false; }
};

/// All experts in memory: everything is there at once.
std::unique_ptr<ExpertBank> create_ram_bank(ExpertTable experts);

struct StreamOptions {
    uint64_t n_bytes = 0;  ///< memory for experts; the bank takes as many slots as fit
    CachePolicy policy = default_cache_policy();
    AsyncReadOptions reads = {.depth = 64};
    /// Slots for experts that may be asked for next; -1: as many as pay, 0: nothing is guessed.
    int64_t n_guess_slots = -1;
};

struct StreamNeeds {
    uint64_t slot_bytes = 0;   ///< the largest expert, edges of aligned reads included
    int64_t n_experts = 0;     ///< over all layers
    uint64_t guess_bytes = 0;  ///< what guesses are made from, beside the slots
};
StreamNeeds stream_needs(const Checkpoint& checkpoint, const ExpertTable& experts);

/// Experts on disk, as many of them in memory as fit. The table's weights point into the
/// checkpoint's mapping, which says where they are in the files and is never read; scales stay
/// where they are. The checkpoint must outlive the bank. errors: out_of_memory (not even one expert
/// fits; the bytes are named), io, not_found
Result<std::unique_ptr<ExpertBank>> create_ssd_bank(const Checkpoint& checkpoint,
                                                    ExpertTable experts,
                                                    const StreamOptions& options);

}  // namespace nereus
