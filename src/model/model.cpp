// Loading: the family's plan and the checkpoint's tensors become layers.

#include <algorithm>

#include "base/log.h"
#include "base/units.h"
#include "model/blocks/loaded_model.h"
#include "model/kv_format.h"
#include "model/memory_needs.h"

namespace nereus {
namespace {

using AttentionBuilder = Result<std::unique_ptr<AttentionBlock>> (*)(const Build&, int64_t);
using FfnBuilder = Result<std::unique_ptr<FfnBlock>> (*)(const Build&, int64_t);

// Indexed by AttentionKind and FfnKind.
constexpr AttentionBuilder kAttentionBuilders[] = {build_latent_attention, build_grouped_attention};
constexpr FfnBuilder kFfnBuilders[] = {build_dense_ffn, build_expert_ffn};

int64_t rope_width(const ModelConfig& config) {
    return config.kv_lora_rank > 0 ? config.qk_rope_head_dim : config.head_dim;
}

}  // namespace

KvSpec LoadedModel::kv_spec(int64_t max_tokens) const {
    return kv_spec_of(config_, kv_format_,
                      plan_ ? std::min(max_tokens, plan_->cache_tokens_max) : max_tokens);
}

int64_t LoadedModel::bytes_per_token() const {
    int64_t bytes = head_.n_bytes();
    for (const Layer& layer : layers_) {
        bytes += layer.attention->n_bytes() + layer.ffn->n_bytes();
    }
    return bytes;
}

Status LoadedModel::bind_ends(const Build& build) {
    const ModelConfig& c = config_;
    embedding_ = NEREUS_TRY(build.matrix(Part::kEmbedding, 0, c.vocab_size, c.hidden_size));
    final_norm_ = NEREUS_TRY(build.vector(Part::kFinalNorm, 0, c.hidden_size));
    head_ = c.tie_word_embeddings
                ? embedding_
                : NEREUS_TRY(build.matrix(Part::kHead, 0, c.vocab_size, c.hidden_size));
    if (build.has(Part::kRopeFactors, 0)) {
        const int64_t n = rope_width(c) / 2;
        const float* factors = NEREUS_TRY(build.vector(Part::kRopeFactors, 0, n));
        config_.rope_scaling.factors.assign(factors, factors + n);
    }
    rope_ = RopeTable(c, rope_width(c));
    return {};
}

Result<Layer> LoadedModel::bind_layer(const Build& build, int64_t index) const {
    const LayerPlan plan = config_.layers[static_cast<size_t>(index)];
    Layer layer;
    layer.input_norm = NEREUS_TRY(build.vector(Part::kInputNorm, index, config_.hidden_size));
    layer.attention =
        NEREUS_TRY(kAttentionBuilders[static_cast<size_t>(plan.attention)](build, index));
    layer.post_norm = NEREUS_TRY(build.vector(Part::kPostNorm, index, config_.hidden_size));
    layer.ffn = NEREUS_TRY(kFfnBuilders[static_cast<size_t>(plan.ffn)](build, index));
    return layer;
}

Result<ExpertTable> LoadedModel::bind_expert_table(const Build& build) const {
    ExpertTable experts(config_.layers.size());
    for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
        if (config_.layers[static_cast<size_t>(i)].ffn == FfnKind::kExperts) {
            experts[static_cast<size_t>(i)] = NEREUS_TRY(bind_experts(build, i));
        }
    }
    return experts;
}

/// What is in memory and what on disk, where there is a budget.
Status LoadedModel::plan_memory_for(const Checkpoint& checkpoint, const ExpertTable& on_disk,
                                    const LoadOptions& options) {
    MemoryNeeds needs = memory_needs(checkpoint, config_);
    const StreamNeeds stream = stream_needs(checkpoint, on_disk);
    needs.slot_bytes = stream.slot_bytes;
    needs.process_bytes += stream.guess_bytes;
    needs.kv_bytes_per_token = static_cast<uint64_t>(kv_spec(1).bytes_per_token());
    const int64_t context =
        options.context_tokens > 0
            ? options.context_tokens
            : std::min<int64_t>(kPlannedContext, config_.max_position_embeddings);
    auto plan =
        plan_memory(needs, {options.memory_bytes, round_up(context, kv_spec(1).page_tokens)});
    if (!plan.ok()) {
        return make_error(plan.error().code, "{}: {}", checkpoint.path().string(),
                          plan.error().message);
    }
    plan_ = *plan;
    log_info("{}: {}", checkpoint.path().string(), memory_breakdown(*plan_, needs));
    return {};
}

Status LoadedModel::bind(const Checkpoint& checkpoint, const LoadOptions& options) {
    const Build on_disk{config_, checkpoint.kind(), mapped_, mapped_, options.attention_form};
    uint64_t expert_bytes = options.expert_bytes;
    if (options.memory_bytes != kUnlimited) {
        const ExpertTable table = NEREUS_TRY(bind_expert_table(on_disk));
        NEREUS_TRY(plan_memory_for(checkpoint, table, options));
        if (plan_->streams_experts && expert_bytes == kUnlimited) {
            expert_bytes = plan_->expert_bytes;
        }
    }
    const bool streams = expert_bytes != kUnlimited;
    const int64_t n_streamed = options.n_layers_streamed > 0 ? options.n_layers_streamed
                               : plan_                       ? plan_->n_layers_streamed
                                                             : 0;
    const bool copies = options.weights == WeightPlace::kAuto
                            ? streams || n_streamed > 0 || checkpoint.is_pack()
                            : options.weights == WeightPlace::kCopied;
    if (copies) {
        resident_ = NEREUS_TRY(ResidentWeights::create(checkpoint));
        weights_ = WeightSet(checkpoint, resident_.get());
        mapped_ = WeightSet(checkpoint, resident_.get(), true);
    }
    const Build build{config_, checkpoint.kind(), weights_, streams ? mapped_ : weights_,
                      options.attention_form};
    NEREUS_TRY(bind_ends(build));
    if (n_streamed > 0) {
        dense_ = NEREUS_TRY(LayerStream::create(checkpoint, options.reads));
    }
    for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
        weights_.stream_layer(i < config_.num_hidden_layers - n_streamed ? nullptr : dense_.get(),
                              i);
        layers_.push_back(NEREUS_TRY(bind_layer(build, i)));
        if (options.progress && !copies) {
            options.progress(static_cast<double>(i + 1) /
                             static_cast<double>(config_.num_hidden_layers));
        }
    }
    weights_.stream_layer(nullptr, 0);
    ExpertTable experts = NEREUS_TRY(bind_expert_table(build));
    if (copies) {
        NEREUS_TRY(resident_->load(backend_.pool(), options.progress));
    }
    if (!streams) {
        experts_ = create_ram_bank(std::move(experts));
        return {};
    }
    experts_ = NEREUS_TRY(create_ssd_bank(
        checkpoint, std::move(experts),
        {expert_bytes, options.cache_policy, options.reads, options.n_guess_slots}));
    return {};
}

Result<std::unique_ptr<Model>> load_model(const Checkpoint& checkpoint, Backend& backend,
                                          const LoadOptions& options) {
    ModelConfig config = NEREUS_TRY(config_of(checkpoint));
    const bool is_check = options.attention_form == AttentionForm::kExpanded;
    NEREUS_CHECK(!is_check || options.cache.value_or(KvFormat::kF32) == KvFormat::kF32);
    const KvFormat cache =
        NEREUS_TRY(choose_kv_format(options.cache, config, !is_check && has_panels(checkpoint)));
    auto model = std::make_unique<LoadedModel>(checkpoint, backend, std::move(config), cache);
    NEREUS_TRY(model->bind(checkpoint, options));
    return std::unique_ptr<Model>(std::move(model));
}

}  // namespace nereus
