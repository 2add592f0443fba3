#include "model/forecast.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/units.h"
#include "memory/hit_rate.h"
#include "model/kv_format.h"

namespace nereus {
namespace {

/// Program, libraries, tokenizer and logits.
constexpr double kProcessBytes = 100e6;
/// Experts in flight: reads land in slots, so what is more is a few pieces for each drive.
constexpr double kBufferBytes = 64e6;
/// Verbs of a layer beside its large products: norms, rope, cache rows, router, gathering, adding.
constexpr double kVerbsPerLayer = 16;
/// A dense layer that is not in memory is read for every pass; the smallest piece that has to fit
/// is the largest layer, and one more to be read meanwhile.
constexpr double kLayersInMemory = 2;

double dense_layer_bytes(const ModelSize& model) {
    const double ends =
        model.n_bytes_of(ModelPart::kEmbedding) + model.n_bytes_of(ModelPart::kHead);
    return (model.dense_bytes() - ends) / static_cast<double>(model.config.num_hidden_layers);
}

/// Rows of a pass through the widest scratch: hidden, projections and the experts' rows.
double activation_bytes(const ModelConfig& config, int64_t n_rows) {
    const int64_t chosen = std::max<int64_t>(1, config.num_experts_per_tok);
    const int64_t heads = config.num_attention_heads;
    const int64_t attention =
        config.kv_lora_rank > 0
            ? heads * (2 * config.kv_lora_rank + 2 * config.qk_rope_head_dim + config.v_head_dim)
            : 3 * heads * config.head_dim;
    const int64_t inner = std::max(config.intermediate_size, chosen * config.moe_intermediate_size);
    const int64_t floats =
        4 * config.hidden_size + attention + 2 * inner + 2 * chosen * config.hidden_size;
    return 4.0 * static_cast<double>(floats * n_rows + config.vocab_size);
}

/// In the format that a run without --cache chooses.
double kv_bytes_per_token(const ModelSize& model) {
    const bool has_panels = std::any_of(
        model.parts.begin(), model.parts.end(),
        [](const PartSize& part) { return format_of(part.format).panel != nullptr; });
    const auto format = choose_kv_format({}, model.config, has_panels);
    NEREUS_CHECK(format.ok());
    return static_cast<double>(kv_spec_of(model.config, *format, 1).bytes_per_token());
}

/// Fills memory in order of use: what every token needs, then experts.
Placement place(const ModelSize& model, const ForecastRequest& request) {
    Placement p;
    p.kv_bytes = kv_bytes_per_token(model) * static_cast<double>(request.n_context);
    p.activation_bytes = activation_bytes(model.config, request.chunk);
    p.process_bytes = kProcessBytes;
    const double dense = model.dense_bytes();
    const double routed = model.n_bytes_of(ModelPart::kRoutedExperts);
    const double fixed = p.memory_bytes();
    if (fixed + dense + routed <= request.memory_bytes) {
        p.dense_bytes = dense;
        p.expert_bytes_cached = routed;
        return p;
    }
    p.buffer_bytes = kBufferBytes;
    const double experts_at_least = std::min(
        routed, model.expert_bytes() * static_cast<double>(model.config.num_experts_per_tok));
    const double room = request.memory_bytes - p.memory_bytes() - experts_at_least;
    p.dense_bytes = std::clamp(room, 0.0, dense);
    p.dense_streamed_bytes = dense - p.dense_bytes;
    p.expert_bytes_cached =
        std::min(routed, experts_at_least + std::max(0.0, room - p.dense_bytes));
    p.expert_bytes_on_disk = routed - p.expert_bytes_cached;
    return p;
}

double least_memory(const ModelSize& model, const ForecastRequest& request) {
    ForecastRequest none = request;
    none.memory_bytes = 0;
    const Placement p = place(model, none);
    return p.memory_bytes() +
           std::min(model.dense_bytes(), kLayersInMemory * dense_layer_bytes(model));
}

/// Experts of a layer that n rows choosing independently use on average.
double experts_used(const ModelConfig& config, double n_rows) {
    const auto n = static_cast<double>(config.n_routed_experts);
    const auto k = static_cast<double>(config.num_experts_per_tok);
    return n == 0 ? 0 : n * (1 - std::pow(1 - k / n, n_rows));
}

/// Multiply-adds of one query with one cached row, all layers of that kind of attention.
double attention_per_row(const ModelConfig& config, AttentionKind kind) {
    double sum = 0;
    for (const LayerPlan& layer : config.layers) {
        if (layer.attention == kind) {
            sum += static_cast<double>(config.num_attention_heads *
                                       (kind == AttentionKind::kLatent
                                            ? 2 * config.kv_lora_rank + config.qk_rope_head_dim
                                            : 2 * config.head_dim));
        }
    }
    return sum;
}

class Passes {
  public:
    Passes(const ModelSize& model, const MachineFigures& machine, const Placement& placement)
        : model_(model), machine_(machine), placement_(placement) {}

    /// n_rows tokens together, each seeing n_visible rows on average; with_head of them want
    /// logits.
    PassTime time(double n_rows, double n_visible, double with_head, double miss_share) const {
        PassTime t;
        for (const PartSize& size : model_.parts) {
            if (size.part == ModelPart::kRoutedExperts) {
                t.experts += experts_seconds(size, n_rows);
            } else if (size.part == ModelPart::kHead || size.part == ModelPart::kEmbedding) {
                t.dense += is_head(size.part) && with_head > 0
                               ? size.n_weights * speed().weight_seconds(size.format, with_head)
                               : 0;
            } else if (size.part != ModelPart::kNorms && size.part != ModelPart::kOther) {
                t.dense += size.n_weights * speed().weight_seconds(size.format, n_rows);
            }
        }
        for (const AttentionKind kind : {AttentionKind::kLatent, AttentionKind::kGrouped}) {
            const double work = n_rows * n_visible * attention_per_row(model_.config, kind);
            if (work > 0) {
                t.attention +=
                    speed().attention_seconds(kind == AttentionKind::kLatent, n_rows, work);
            }
        }
        t.verbs = static_cast<double>(model_.config.num_hidden_layers) * kVerbsPerLayer *
                  speed().verb_seconds;
        t.disk = disk_seconds(n_rows, miss_share);
        return t;
    }

    double disk_bytes(double n_rows, double miss_share) const {
        const double used = experts_used(model_.config, n_rows) * miss_share *
                            static_cast<double>(model_.n_mixture_layers()) * model_.expert_bytes();
        return used + placement_.dense_streamed_bytes;
    }

  private:
    const MachineSpeed& speed() const { return machine_.speed; }
    bool is_head(ModelPart part) const {
        return part == ModelPart::kHead || model_.config.tie_word_embeddings;
    }
    /// The used experts, each with its share of the rows.
    double experts_seconds(const PartSize& size, double n_rows) const {
        const double used = experts_used(model_.config, n_rows);
        const double rows_each =
            std::max(1.0, n_rows * static_cast<double>(model_.config.num_experts_per_tok) / used);
        return size.n_weights * used / static_cast<double>(model_.config.n_routed_experts) *
               speed().weight_seconds(size.format, rows_each);
    }
    double disk_seconds(double n_rows, double miss_share) const {
        const double n_bytes = disk_bytes(n_rows, miss_share);
        if (n_bytes == 0) {
            return 0;
        }
        NEREUS_CHECK(machine_.disk_random_bytes_per_second > 0);
        return n_bytes / machine_.disk_random_bytes_per_second;
    }

    const ModelSize& model_;
    const MachineFigures& machine_;
    const Placement& placement_;
};

PassTime prefill_time(const Passes& passes, const ForecastRequest& request, double miss_share) {
    PassTime sum;
    for (int64_t begin = 0; begin < request.n_prompt; begin += request.chunk) {
        const int64_t n = std::min(request.chunk, request.n_prompt - begin);
        const double visible =
            static_cast<double>(request.n_visible + begin) + (static_cast<double>(n) + 1) / 2;
        const bool last = begin + n == request.n_prompt;
        const PassTime t = passes.time(static_cast<double>(n), visible, last ? 1 : 0, miss_share);
        sum.dense += t.dense;
        sum.experts += t.experts;
        sum.attention += t.attention;
        sum.verbs += t.verbs;
        sum.disk += t.disk;
    }
    return sum;
}

/// What takes the largest part. A product of one row that runs near the memory's speed waits for
/// it, a slower one for its own instructions.
SpeedLimit limit_of(const Forecast& f, const MachineSpeed& speed) {
    if (f.decode.disk > f.decode.compute()) {
        return SpeedLimit::kDisk;
    }
    if (f.decode.verbs > f.decode.dense + f.decode.experts) {
        return SpeedLimit::kOverhead;
    }
    const double at_memory_speed = f.decode_bytes / speed.read_bytes_per_second;
    const bool near = at_memory_speed > 0.6 * f.decode.compute();
    return near ? SpeedLimit::kMemory : SpeedLimit::kCompute;
}

double decode_bytes(const ModelSize& model) {
    double sum = 0;
    for (const PartSize& size : model.parts) {
        sum += size.n_bytes * share_read_per_token(model.config, size.part);
    }
    return sum;
}

}  // namespace

std::string speed_limit_name(SpeedLimit limit) {
    constexpr const char* kNames[] = {"memory", "compute", "disk", "overhead"};
    return kNames[static_cast<size_t>(limit)];
}

double PassTime::total() const { return dense + attention + verbs + std::max(experts, disk); }

Forecast forecast(const ModelSize& model, const MachineFigures& machine,
                  const ForecastRequest& request) {
    Forecast f;
    f.least_memory_bytes = least_memory(model, request);
    f.placement = place(model, request);
    f.fits = request.memory_bytes >= std::min(f.least_memory_bytes, f.placement.memory_bytes());
    const bool can_stream = machine.disk_random_bytes_per_second > 0;
    if (!f.fits || (f.placement.streams() && !can_stream)) {
        f.fits = false;
        return f;
    }
    const double routed = model.n_bytes_of(ModelPart::kRoutedExperts);
    f.share_cached = routed == 0 ? 1 : f.placement.expert_bytes_cached / routed;
    f.hit_rate = expected_hit_rate(f.share_cached);
    const Passes passes(model, machine, f.placement);
    const double visible = static_cast<double>(request.n_visible + request.n_prompt) +
                           (static_cast<double>(request.n_generate) + 1) / 2;
    f.decode = passes.time(1, visible, 1, 1 - f.hit_rate);
    f.decode_bytes = decode_bytes(model);
    f.disk_bytes = passes.disk_bytes(1, 1 - f.hit_rate);
    f.decode_tokens_per_second = 1 / f.decode.total();
    f.prefill = prefill_time(passes, request, 1 - f.share_cached);
    f.prefill_tokens_per_second = static_cast<double>(request.n_prompt) / f.prefill.total();
    f.first_token_seconds = f.prefill.total() + f.decode.total();
    f.limit = limit_of(f, machine.speed);
    if (machine.disk_sequential_bytes_per_second > 0) {
        f.load_seconds = (f.placement.dense_bytes + f.placement.expert_bytes_cached) /
                         machine.disk_sequential_bytes_per_second;
    }
    return f;
}

std::vector<Remedy> remedies(const ModelSize& model, const MachineFigures& machine,
                             const ForecastRequest& request, const ModelSize* smaller) {
    const Forecast now = forecast(model, machine, request);
    std::vector<Remedy> found;
    const auto consider = [&](const std::string& what, const Forecast& f) {
        if (f.fits && f.decode_tokens_per_second > 1.1 * now.decode_tokens_per_second) {
            found.push_back({what, f.decode_tokens_per_second, f.first_token_seconds});
        }
    };
    ForecastRequest more = request;
    more.memory_bytes *= 2;
    consider(
        fmt::format("twice the memory ({})", human_bytes(static_cast<uint64_t>(more.memory_bytes))),
        forecast(model, machine, more));
    MachineFigures better = machine;
    better.disk_random_bytes_per_second *= 2;
    better.disk_sequential_bytes_per_second *= 2;
    consider(fmt::format("a drive twice as fast ({}/s)",
                         human_bytes(static_cast<uint64_t>(better.disk_random_bytes_per_second))),
             forecast(model, better, request));
    better = machine;
    better.speed.verb_seconds /= 2;
    for (ProductSpeed& each : better.speed.products) {
        each.weight_seconds /= 2;
    }
    for (AttentionSpeed& each : better.speed.attention) {
        each.multiply_adds_per_second *= 2;
    }
    consider("twice the cores and memory channels", forecast(model, better, request));
    if (smaller != nullptr) {
        consider(fmt::format("fewer bits ({})", smaller->format),
                 forecast(*smaller, machine, request));
    }
    std::sort(found.begin(), found.end(), [](const Remedy& a, const Remedy& b) {
        return a.decode_tokens_per_second > b.decode_tokens_per_second;
    });
    return found;
}

}  // namespace nereus
