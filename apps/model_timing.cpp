#include "apps/model_timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/check.h"
#include "base/drive_speed.h"
#include "base/rng.h"
#include "base/units.h"
#include "model/count.h"

namespace nereus {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The same pseudo-random ids every time: speed must not depend on what was drawn.
int32_t bench_token(int64_t sequence, int64_t position, int64_t vocab_size) {
    const uint64_t bits =
        random_bits(1, static_cast<uint64_t>(sequence), static_cast<uint64_t>(position));
    return static_cast<int32_t>(bits % static_cast<uint64_t>(vocab_size));
}

int64_t chunk_of(const OpenedModel& opened, const TimingPlan& plan) {
    return plan.chunk > 0 ? plan.chunk : opened.model->prefill_chunk();
}

/// A model with the plan's sequences in a cache.
class Run {
  public:
    static Result<Run> create(const OpenedModel& opened, const TimingPlan& plan) {
        // Whole pages for every sequence.
        KvSpec spec = opened.model->kv_spec(0);
        const int64_t page = spec.page_tokens;
        spec.max_tokens = plan.n_sequences * ((plan.tokens_each() + page - 1) / page * page);
        Run run(opened, plan, NEREUS_TRY(KvCache::create(std::move(spec))));
        for (int64_t i = 0; i < plan.n_sequences; ++i) {
            run.slots_.push_back(NEREUS_TRY(run.cache_->add_sequence()));
        }
        NEREUS_TRY(run.fill_context());
        return run;
    }

    Status once(ModelTiming& timing) {
        for (const int32_t slot : slots_) {
            cache_->truncate(slot, plan_.n_context);
        }
        const auto sequences = static_cast<double>(plan_.n_sequences);
        const ExpertBankStats before = opened_.model->expert_stats();
        auto start = Clock::now();
        for (size_t i = 0; i < slots_.size(); ++i) {
            NEREUS_TRY(prefill(i));
        }
        timing.prefill.values.push_back(sequences * static_cast<double>(plan_.n_prompt) /
                                        seconds_since(start));
        const ExpertBankStats between = opened_.model->expert_stats();
        start = Clock::now();
        for (int64_t i = 0; i < plan_.n_generate; ++i) {
            NEREUS_TRY(decode(plan_.n_context + plan_.n_prompt + i));
        }
        timing.decode.values.push_back(sequences * static_cast<double>(plan_.n_generate) /
                                       seconds_since(start));
        timing.prefill_experts += between - before;
        timing.decode_experts += opened_.model->expert_stats() - between;
        return {};
    }

  private:
    Run(const OpenedModel& opened, const TimingPlan& plan, std::unique_ptr<KvCache> cache)
        : opened_(opened), plan_(plan), cache_(std::move(cache)) {}

    void append(Batch& batch, size_t sequence, int64_t position) const {
        batch.tokens.push_back(bench_token(static_cast<int64_t>(sequence), position,
                                           opened_.model->config().vocab_size));
        batch.positions.push_back(static_cast<int32_t>(position));
        batch.slots.push_back(slots_[sequence]);
    }

    Status fill_context() {
        const KvSpec& spec = cache_->spec();
        for (const int32_t slot : slots_) {
            NEREUS_TRY(cache_->append(slot, plan_.n_context));
            for (size_t layer = 0; layer < spec.row_floats.size(); ++layer) {
                const KvRows rows = spec.rows(static_cast<int64_t>(layer));
                std::vector<float> row(static_cast<size_t>(rows.width));
                for (int64_t p = 0; p < plan_.n_context; ++p) {
                    const uint64_t bits = random_bits(2, layer, static_cast<uint64_t>(p));
                    for (size_t i = 0; i < row.size(); ++i) {
                        const auto value = static_cast<int>((bits >> (i % 57)) & 0x7f) - 64;
                        row[i] = static_cast<float>(value) / 64.0F;
                    }
                    const KvPlace place = cache_->place(static_cast<int64_t>(layer), slot, p);
                    opened_.backend->append_kv(
                        {{row.data(), 1, rows.width, rows.width}, {&place, 1}, rows});
                }
            }
        }
        return {};
    }

    Status prefill(size_t sequence) {
        const int64_t last = plan_.n_context + plan_.n_prompt;
        const int64_t chunk = chunk_of(opened_, plan_);
        for (int64_t begin = plan_.n_context; begin < last; begin += chunk) {
            Batch batch;
            for (int64_t i = begin; i < std::min(begin + chunk, last); ++i) {
                append(batch, sequence, i);
            }
            if (begin + chunk >= last) {  // as the engine does: logits of the last token only
                batch.logit_rows = {static_cast<int32_t>(batch.tokens.size()) - 1};
            }
            NEREUS_TRY(opened_.model->forward(batch, *cache_));
        }
        return {};
    }

    Status decode(int64_t position) {
        Batch batch;
        for (size_t i = 0; i < slots_.size(); ++i) {
            append(batch, i, position);
            batch.logit_rows.push_back(static_cast<int32_t>(i));
        }
        NEREUS_TRY(opened_.model->forward(batch, *cache_));
        return {};
    }

    const OpenedModel& opened_;
    const TimingPlan& plan_;
    std::unique_ptr<KvCache> cache_;
    std::vector<int32_t> slots_;
};

/// The drive's speed at this minute, from the file that experts were read from.
Result<double> drive_now(const std::filesystem::path& model) {
    DrivePlan plan;
    plan.block_bytes = {4 * kMiB};
    plan.depths = {4};
    const std::filesystem::path file =
        std::filesystem::is_directory(model) ? largest_file(model) : model;
    const DriveSpeed speed = NEREUS_TRY(measure_drive(file, plan, [](double) {}));
    return speed.random_bytes_per_second(4 * kMiB);
}

/// Bytes of all routed experts, as stored.
double routed_bytes(const OpenedModel& opened) {
    int64_t bytes = 0;
    for (const StoredTensor& tensor : opened.checkpoint->tensors()) {
        if (part_of_tensor(tensor.name, opened.model->config()) == ModelPart::kRoutedExperts) {
            bytes += static_cast<int64_t>(tensor.data.size());
        }
    }
    return static_cast<double>(bytes);
}

/// Multiply-adds of one token's attention with one cached row, all layers.
double attention_per_row(const ModelConfig& config) {
    double sum = 0;
    for (const LayerPlan& layer : config.layers) {
        const int64_t numbers = layer.attention == AttentionKind::kLatent
                                    ? 2 * config.kv_lora_rank + config.qk_rope_head_dim
                                    : 2 * config.head_dim;
        sum += static_cast<double>(config.num_attention_heads * numbers);
    }
    return sum;
}

/// What one run read of experts, where some are on disk.
Json experts_json(const Speeds& speeds, const ExpertBankStats& sum, int64_t n_tokens,
                  double drive_bytes_per_second) {
    const auto runs = static_cast<double>(speeds.values.size());
    const auto used = static_cast<double>(std::max<int64_t>(1, sum.n_hits + sum.n_misses));
    Json json;
    json["hit_rate"] = static_cast<double>(sum.n_hits) / used;
    json["missed"] = static_cast<double>(sum.n_misses) / runs;
    json["missed_bytes"] = static_cast<double>(sum.n_bytes_needed) / runs;
    json["disk_bytes"] = static_cast<double>(sum.n_bytes_read) / runs;
    json["guesses"] = static_cast<double>(sum.n_guesses) / runs;
    json["guesses_right"] = static_cast<double>(sum.n_guesses_right) / runs;
    json["wait_seconds"] = sum.wait_seconds / runs;
    const double limit = streaming_limit(speeds, sum, n_tokens, drive_bytes_per_second);
    if (limit > 0) {
        json["drive_bytes_per_second"] = drive_bytes_per_second;
        json["limit_tokens_per_second"] = limit;
        json["share_of_limit"] =
            static_cast<double>(n_tokens) / speeds.mean_seconds(n_tokens) / limit;
    }
    return json;
}

Json speeds_json(const Speeds& speeds, int64_t n_tokens) {
    Json json;
    json["tokens"] = n_tokens;
    json["tokens_per_second"] = speeds.median();
    json["low"] = speeds.low();
    json["high"] = speeds.high();
    return json;
}

}  // namespace

double Speeds::median() const {
    NEREUS_CHECK(!values.empty());
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Speeds::mean_seconds(int64_t n_tokens) const {
    double seconds = 0;
    for (const double value : values) {
        seconds += static_cast<double>(n_tokens) / value;
    }
    return seconds / static_cast<double>(values.size());
}

double streaming_limit(const Speeds& speeds, const ExpertBankStats& sum, int64_t n_tokens,
                       double drive_bytes_per_second) {
    if (drive_bytes_per_second <= 0 || sum.n_misses == 0) {
        return 0;
    }
    const auto runs = static_cast<double>(speeds.values.size());
    const double reading = static_cast<double>(sum.n_bytes_needed) / runs / drive_bytes_per_second;
    const double computing = speeds.mean_seconds(n_tokens) - sum.wait_seconds / runs;
    return static_cast<double>(n_tokens) / std::max(reading, computing);
}

double Speeds::low() const { return *std::min_element(values.begin(), values.end()); }
double Speeds::high() const { return *std::max_element(values.begin(), values.end()); }

Result<ModelTiming> time_model(const OpenedModel& opened, const TimingPlan& plan) {
    const int64_t limit = opened.model->config().max_position_embeddings;
    if (plan.tokens_each() > limit) {
        return make_error(ErrorCode::kOutOfMemory,
                          "--context {}, --prompt {} and --generate {} make {} tokens; the model's "
                          "context is {}",
                          plan.n_context, plan.n_prompt, plan.n_generate, plan.tokens_each(),
                          limit);
    }
    Run run = NEREUS_TRY(Run::create(opened, plan));
    ModelTiming warm_up;
    NEREUS_TRY(run.once(warm_up));  // pages the weights in
    ModelTiming timing;
    for (int64_t i = 0; i < plan.n_repeat; ++i) {
        NEREUS_TRY(run.once(timing));
    }
    if (timing.decode_experts.n_misses + timing.prefill_experts.n_misses > 0) {
        timing.drive_bytes_per_second = NEREUS_TRY(drive_now(opened.checkpoint->path()));
    }
    return timing;
}

double expected_experts(int64_t n_experts, int64_t top_k, int64_t n_tokens) {
    if (n_experts == 0) {
        return 0;
    }
    const auto n = static_cast<double>(n_experts);
    return n * (1 - std::pow(1 - static_cast<double>(top_k) / n, static_cast<double>(n_tokens)));
}

StepBytes decode_step_bytes(const OpenedModel& opened, const TimingPlan& plan) {
    const ModelConfig& config = opened.model->config();
    StepBytes bytes;
    bytes.weights = static_cast<double>(opened.model->bytes_per_token());
    if (config.n_routed_experts > 0 && plan.n_sequences > 1) {
        const double more = expected_experts(config.n_routed_experts, config.num_experts_per_tok,
                                             plan.n_sequences) -
                            static_cast<double>(config.num_experts_per_tok);
        bytes.weights += more * routed_bytes(opened) / static_cast<double>(config.n_routed_experts);
    }
    const double visible = static_cast<double>(plan.n_context + plan.n_prompt) +
                           (static_cast<double>(plan.n_generate) + 1) / 2;
    bytes.cache = static_cast<double>(plan.n_sequences) * visible *
                  static_cast<double>(opened.model->kv_spec(1).bytes_per_token());
    return bytes;
}

double prefill_multiply_adds(const ModelConfig& config, const TimingPlan& plan) {
    const int64_t ends = config.vocab_size * config.hidden_size;
    const int64_t inner = active_parameters(config) - ends * (config.tie_word_embeddings ? 1 : 2);
    const double visible =
        static_cast<double>(plan.n_context) + (static_cast<double>(plan.n_prompt) + 1) / 2;
    return static_cast<double>(inner) + visible * attention_per_row(config);
}

Json timing_json(const OpenedModel& opened, const TimingPlan& plan, const ModelTiming& timing) {
    const StepBytes bytes = decode_step_bytes(opened, plan);
    const double steps = timing.decode.median() / static_cast<double>(plan.n_sequences);
    const double work = prefill_multiply_adds(opened.model->config(), plan);
    Json json;
    json["isa"] = std::string(opened.backend->isa());
    json["threads"] = opened.pool->n_threads();
    json["repeat"] = plan.n_repeat;
    json["context"] = plan.n_context;
    json["sequences"] = plan.n_sequences;
    json["chunk"] = chunk_of(opened, plan);
    json["prefill"] = speeds_json(timing.prefill, plan.n_prompt);
    json["prefill"]["multiply_adds_per_token"] = work;
    json["prefill"]["multiply_adds_per_second"] = work * timing.prefill.median();
    json["decode"] = speeds_json(timing.decode, plan.n_generate);
    if (timing.prefill_experts.n_misses + timing.decode_experts.n_misses > 0) {
        json["prefill"]["experts"] =
            experts_json(timing.prefill, timing.prefill_experts, plan.n_sequences * plan.n_prompt,
                         timing.drive_bytes_per_second);
        json["decode"]["experts"] =
            experts_json(timing.decode, timing.decode_experts, plan.n_sequences * plan.n_generate,
                         timing.drive_bytes_per_second);
    }
    json["bytes_per_token"] = opened.model->bytes_per_token();
    json["weight_bytes_per_step"] = bytes.weights;
    json["cache_bytes_per_step"] = bytes.cache;
    json["gb_per_second"] = (bytes.weights + bytes.cache) * steps / 1e9;
    return json;
}

}  // namespace nereus
