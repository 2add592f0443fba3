#include "model/forecast.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/input_file.h"
#include "base/units.h"
#include "memory/hit_rate.h"
#include "model/kv_format.h"
#include "model/memory_needs.h"

namespace nereus {
namespace {

/// Program, tokenizer, directory of tensors, and what memory_needs adds to them.
constexpr double kProcessBytes = 170e6;
constexpr uint64_t kLogitRows = 8;
/// Verbs of a layer beside its large products: norms, rope, cache rows, router, gathering, adding.
constexpr double kVerbsPerLayer = 16;

/// What a run without --cache keeps the cache's rows in.
KvFormat cache_format(const ModelSize& model) {
    const bool has_panels =
        std::any_of(model.parts.begin(), model.parts.end(),
                    [](const PartSize& part) { return format_of(part.format).panel != nullptr; });
    const auto format = choose_kv_format({}, model.config, has_panels);
    NEREUS_CHECK(format.ok());
    return *format;
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
    Passes(const ModelSize& model, const MachineFigures& machine)
        : model_(model), machine_(machine) {}

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
                t.attention += speed().attention_seconds(kind == AttentionKind::kLatent,
                                                         cache_format(model_), n_rows, work);
            }
        }
        t.verbs = static_cast<double>(model_.config.num_hidden_layers) * kVerbsPerLayer *
                  speed().verb_seconds;
        t.disk = disk_seconds(n_rows, miss_share);
        return t;
    }

    double disk_bytes(double n_rows, double miss_share) const {
        return experts_used(model_.config, n_rows) * miss_share *
               static_cast<double>(model_.n_mixture_layers()) * model_.expert_bytes();
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
    /// A layer asks for its missing experts at once: a few keep a drive less busy than many.
    double disk_seconds(double n_rows, double miss_share) const {
        const double n_bytes = disk_bytes(n_rows, miss_share);
        if (n_bytes == 0) {
            return 0;
        }
        const double many = machine_.disk_random_bytes_per_second;
        const double one = machine_.disk_single_bytes_per_second;
        NEREUS_CHECK(many > 0);
        constexpr double kMany = 8;
        const double asked = experts_used(model_.config, n_rows) * miss_share;
        const double part = std::clamp((asked - 1) / (kMany - 1), 0.0, 1.0);
        return n_bytes / (one > 0 ? one + part * (many - one) : many);
    }

    const ModelSize& model_;
    const MachineFigures& machine_;
};

PassTime prefill_time(const Passes& passes, const ForecastRequest& request, int64_t chunk,
                      double miss_share) {
    PassTime sum;
    for (int64_t begin = 0; begin < request.n_prompt; begin += chunk) {
        const int64_t n = std::min(chunk, request.n_prompt - begin);
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

MemoryNeeds needs_of(const ModelSize& model) {
    const ModelConfig& config = model.config;
    MemoryNeeds needs;
    needs.process_bytes = static_cast<uint64_t>(kProcessBytes) +
                          kLogitRows * sizeof(float) * static_cast<uint64_t>(config.vocab_size);
    needs.dense_bytes = static_cast<uint64_t>(model.dense_bytes());
    needs.expert_bytes = static_cast<uint64_t>(model.n_bytes_of(ModelPart::kRoutedExperts));
    needs.slot_bytes = static_cast<uint64_t>(model.expert_bytes()) + 2 * kDirectAlignment;
    needs.n_experts = model.n_mixture_layers() * config.n_routed_experts;
    needs.n_experts_min = needs.n_experts == 0 ? 0 : config.num_experts_per_tok;
    needs.kv_bytes_per_token =
        static_cast<uint64_t>(kv_spec_of(config, cache_format(model), 1).bytes_per_token());
    needs.row_bytes = activation_bytes_per_row(config);
    return needs;
}

Forecast forecast(const ModelSize& model, const MachineFigures& machine,
                  const ForecastRequest& request) {
    Forecast f;
    const MemoryNeeds needs = needs_of(model);
    f.least_memory_bytes = static_cast<double>(smallest_budget(needs, request.n_context));
    const auto plan =
        plan_memory(needs, {static_cast<uint64_t>(request.memory_bytes), request.n_context});
    const bool can_stream = machine.disk_random_bytes_per_second > 0;
    f.fits = plan.ok() && (can_stream || !plan->streams_experts);
    if (!f.fits) {
        return f;
    }
    f.placement = *plan;
    f.share_cached = needs.n_experts == 0 ? 1
                                          : static_cast<double>(plan->n_slots) /
                                                static_cast<double>(needs.n_experts);
    f.hit_rate = expected_hit_rate(f.share_cached);
    const Passes passes(model, machine);
    const double visible = static_cast<double>(request.n_visible + request.n_prompt) +
                           (static_cast<double>(request.n_generate) + 1) / 2;
    f.decode = passes.time(1, visible, 1, 1 - f.hit_rate);
    f.decode_bytes = decode_bytes(model);
    f.disk_bytes = passes.disk_bytes(1, 1 - f.hit_rate);
    f.decode_tokens_per_second = 1 / f.decode.total();
    f.prefill =
        prefill_time(passes, request, request.chunk > 0 ? request.chunk : plan->prefill_chunk,
                     1 - f.share_cached);
    f.prefill_tokens_per_second = static_cast<double>(request.n_prompt) / f.prefill.total();
    f.first_token_seconds = f.prefill.total() + f.decode.total();
    f.limit = limit_of(f, machine.speed);
    if (machine.disk_sequential_bytes_per_second > 0) {
        f.load_seconds = static_cast<double>(plan->dense_bytes + plan->expert_bytes) /
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
    better.disk_single_bytes_per_second *= 2;
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
