#pragma once
// MemoryPlan: which parts of a model are in memory and which stay on disk, for a budget. A pure
// function of sizes, so that it can be asked for machines and models that are not here.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace nereus {

/// What a model wants, in bytes. Known from a checkpoint, or from a configuration and formats.
struct MemoryNeeds {
    uint64_t process_bytes = 0;         ///< program, tokenizer, directory of tensors, threads
    uint64_t dense_bytes = 0;           ///< all weights but the routed experts
    std::vector<uint64_t> layer_bytes;  ///< of these, what each layer can be read for alone
    uint64_t expert_bytes = 0;          ///< the routed experts
    uint64_t slot_bytes = 0;            ///< one routed expert read from disk, its edges included
    int64_t n_experts = 0;              ///< over all layers
    int64_t n_experts_min = 0;          ///< in memory at least: those one token has in one layer
    uint64_t kv_bytes_per_token = 0;
    uint64_t row_bytes = 0;  ///< activations of one row of a chunk
};

struct MemoryWishes {
    uint64_t budget_bytes = 0;
    int64_t context_tokens = 0;  ///< cached tokens to have room for, over all sequences
};

struct MemoryPlan {
    uint64_t process_bytes = 0, dense_bytes = 0, expert_bytes = 0, cache_bytes = 0,
             activation_bytes = 0;
    int64_t n_layers_streamed = 0;  ///< the last ones; their dense weights are read every pass
    uint64_t dense_streamed_bytes = 0;
    bool streams_experts = false;  ///< n_slots of them in memory, the others on disk
    int64_t n_slots = 0;           ///< n_experts where they do not stream
    int64_t cache_tokens = 0;      ///< that cache_bytes are for
    int64_t cache_tokens_max = 0;  ///< with what else the budget leaves
    int64_t prefill_chunk = 0;     ///< rows of one pass

    uint64_t total_bytes() const {
        return process_bytes + dense_bytes + expert_bytes + cache_bytes + activation_bytes;
    }
};

/// Chunk of a model that is in memory.
inline constexpr int64_t kPrefillChunk = 256;
/// Cached tokens a plan has room for when nobody says how many.
inline constexpr int64_t kPlannedContext = 4096;

/// Everything in memory where it fits; what is left may be more cache. Otherwise experts stream:
/// activations may take a tenth of the budget (a longer chunk reads each expert for more rows, so a
/// prompt takes fewer sweeps), and what is left after all other parts is slots. Where the dense
/// weights alone are too much, as few of the last layers as possible are read for every pass,
/// through two buffers. errors: out_of_memory (names the smallest budget that would work and each
/// part of it)
Result<MemoryPlan> plan_memory(const MemoryNeeds& needs, const MemoryWishes& wishes);

/// The smallest budget that plan_memory accepts for this context.
uint64_t smallest_budget(const MemoryNeeds& needs, int64_t context_tokens);

/// "weights 830 MB, experts 2.61 GB (536 of 1664), cache 255 MB (4096 tokens), ...".
std::string memory_breakdown(const MemoryPlan& plan, const MemoryNeeds& needs);

/// "12G", "512MiB", "3500000000", "1.5g": bytes; G is 1024^3, GB is 1000^3. errors:
/// invalid_argument
Result<uint64_t> parse_bytes(const std::string& text);

}  // namespace nereus
