#include "memory/plan.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/arena.h"
#include "base/units.h"

namespace nereus {
namespace {

/// Chunks of a streaming model, longest first.
constexpr int64_t kChunks[] = {2048, 1024, 512, 256, 128, 64, 32, 16};
constexpr int64_t kChunkMin = 16;
constexpr uint64_t kActivationShare = 10;  // of the budget: one part in ten

uint64_t cache_bytes(const MemoryNeeds& needs, int64_t tokens) {
    return needs.kv_bytes_per_token * static_cast<uint64_t>(tokens);
}

uint64_t chunk_bytes(const MemoryNeeds& needs, int64_t chunk) {
    return needs.row_bytes * static_cast<uint64_t>(chunk);
}

/// Arenas end on a huge page.
uint64_t slots_bytes(const MemoryNeeds& needs, int64_t n_slots) {
    return round_up(needs.slot_bytes * static_cast<uint64_t>(n_slots), kHugePageBytes);
}

/// All parts but the experts and the activations.
MemoryPlan plan_fixed_parts(const MemoryNeeds& needs, int64_t context_tokens) {
    MemoryPlan plan;
    plan.process_bytes = needs.process_bytes;
    plan.dense_bytes = round_up(needs.dense_bytes, kHugePageBytes);
    plan.cache_tokens = plan.cache_tokens_max = context_tokens;
    plan.cache_bytes = cache_bytes(needs, context_tokens);
    return plan;
}

MemoryPlan plan_resident(const MemoryNeeds& needs, int64_t context_tokens) {
    MemoryPlan plan = plan_fixed_parts(needs, context_tokens);
    plan.expert_bytes = needs.expert_bytes;
    plan.n_slots = needs.n_experts;
    plan.prefill_chunk = kPrefillChunk;
    plan.activation_bytes = chunk_bytes(needs, kPrefillChunk);
    return plan;
}

/// The last n layers' dense weights on disk, in memory two buffers for the largest of them.
void stream_layers(const MemoryNeeds& needs, int64_t n, MemoryPlan& plan) {
    uint64_t streamed = 0, largest = 0;
    for (int64_t i = 0; i < n; ++i) {
        const uint64_t bytes = *(needs.layer_bytes.rbegin() + i);
        streamed += bytes;
        largest = std::max(largest, bytes);
    }
    plan.n_layers_streamed = n;
    plan.dense_streamed_bytes = streamed;
    const uint64_t buffers =
        static_cast<uint64_t>(std::min<int64_t>(n, 2)) * round_up(largest, kHugePageBytes);
    plan.dense_bytes = round_up(needs.dense_bytes - streamed, kHugePageBytes) + buffers;
}

/// A model on disk as far as it can be: n_streamed layers, this chunk, the fewest experts.
MemoryPlan plan_streamed(const MemoryNeeds& needs, int64_t context_tokens, int64_t chunk,
                         int64_t n_streamed) {
    MemoryPlan plan = plan_fixed_parts(needs, context_tokens);
    stream_layers(needs, n_streamed, plan);
    plan.streams_experts = needs.n_experts > 0;
    plan.n_slots = std::min(needs.n_experts_min, needs.n_experts);
    plan.expert_bytes = slots_bytes(needs, plan.n_slots);
    plan.prefill_chunk = chunk;
    plan.activation_bytes = chunk_bytes(needs, chunk);
    return plan;
}

MemoryPlan plan_smallest(const MemoryNeeds& needs, int64_t context_tokens) {
    MemoryPlan smallest = plan_resident(needs, context_tokens);
    for (int64_t n = 0; n <= static_cast<int64_t>(needs.layer_bytes.size()); ++n) {
        const MemoryPlan plan = plan_streamed(needs, context_tokens, kChunkMin, n);
        if (plan.total_bytes() < smallest.total_bytes()) {
            smallest = plan;
        }
    }
    return smallest;
}

/// The longest chunk and then the fewest streamed layers that fit, but dense weights in memory
/// before long chunks.
std::optional<MemoryPlan> plan_within(const MemoryNeeds& needs, const MemoryWishes& wishes) {
    const auto n_layers = static_cast<int64_t>(needs.layer_bytes.size());
    for (const int64_t n_max : {int64_t{0}, n_layers}) {
        for (const int64_t chunk : kChunks) {
            if (chunk > kChunkMin &&
                chunk_bytes(needs, chunk) > wishes.budget_bytes / kActivationShare) {
                continue;
            }
            for (int64_t n = 0; n <= n_max; ++n) {
                const MemoryPlan plan = plan_streamed(needs, wishes.context_tokens, chunk, n);
                if (plan.total_bytes() <= wishes.budget_bytes) {
                    return plan;
                }
            }
        }
    }
    return std::nullopt;
}

}  // namespace

uint64_t smallest_budget(const MemoryNeeds& needs, int64_t context_tokens) {
    return plan_smallest(needs, context_tokens).total_bytes();
}

Result<MemoryPlan> plan_memory(const MemoryNeeds& needs, const MemoryWishes& wishes) {
    const uint64_t budget = wishes.budget_bytes;
    MemoryPlan resident = plan_resident(needs, wishes.context_tokens);
    if (resident.total_bytes() <= budget) {
        const uint64_t left = budget - resident.total_bytes();
        resident.cache_tokens_max +=
            static_cast<int64_t>(left / std::max<uint64_t>(1, needs.kv_bytes_per_token));
        return resident;
    }
    std::optional<MemoryPlan> plan = plan_within(needs, wishes);
    if (!plan) {
        const MemoryPlan smallest = plan_smallest(needs, wishes.context_tokens);
        return make_error(ErrorCode::kOutOfMemory,
                          "{} of memory do not hold this model; at least {} are needed: {}",
                          human_bytes(budget), human_bytes(smallest.total_bytes()),
                          memory_breakdown(smallest, needs));
    }
    if (plan->streams_experts) {
        const uint64_t left =
            (budget - (plan->total_bytes() - plan->expert_bytes)) / kHugePageBytes * kHugePageBytes;
        plan->n_slots = std::clamp<int64_t>(static_cast<int64_t>(left / needs.slot_bytes),
                                            plan->n_slots, needs.n_experts);
        plan->expert_bytes = slots_bytes(needs, plan->n_slots);
    }
    return *plan;
}

std::string memory_breakdown(const MemoryPlan& plan, const MemoryNeeds& needs) {
    std::string text = fmt::format("weights {}", human_bytes(plan.dense_bytes));
    if (needs.n_experts > 0) {
        text += fmt::format(", experts {} ({} of {})", human_bytes(plan.expert_bytes), plan.n_slots,
                            needs.n_experts);
    }
    if (plan.n_layers_streamed > 0) {
        text += fmt::format(", {} of {} layers read for every pass",
                            human_bytes(plan.dense_streamed_bytes), plan.n_layers_streamed);
    }
    return text + fmt::format(", cache {} ({} tokens), activations {} ({} rows), process {}",
                              human_bytes(plan.cache_bytes), plan.cache_tokens,
                              human_bytes(plan.activation_bytes), plan.prefill_chunk,
                              human_bytes(plan.process_bytes));
}

Result<uint64_t> parse_bytes(const std::string& text) {
    struct Unit {
        std::string_view name;
        double factor;
    };
    static constexpr Unit kUnits[] = {
        {"", 1}, {"k", 1024.0}, {"m", 1048576.0}, {"g", 1073741824.0}, {"t", 1099511627776.0}};
    constexpr double kBytesMax = 1e15;
    double number = 0;  // not strtod, which takes hexadecimal, leading spaces and a locale's comma
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string unit(read.ptr, text.data() + text.size());
    std::transform(unit.begin(), unit.end(), unit.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool is_decimal = unit.size() == 2 && unit[1] == 'b';
    if (unit.ends_with("ib")) {
        unit.resize(unit.size() - 2);
    } else if (unit.ends_with("b")) {
        unit.pop_back();
    }
    for (size_t i = 0; i < std::size(kUnits); ++i) {
        const double bytes =
            number * (is_decimal ? std::pow(1000.0, static_cast<double>(i)) : kUnits[i].factor);
        if (unit == kUnits[i].name && read.ec == std::errc() && bytes >= 1 && bytes <= kBytesMax) {
            return static_cast<uint64_t>(bytes);
        }
    }
    return make_error(
        ErrorCode::kInvalidArgument,
        "\"{}\" is no amount of memory; expected a number and K, M, G or T, as in 12G", text);
}

}  // namespace nereus
