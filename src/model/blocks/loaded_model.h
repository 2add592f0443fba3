#pragma once
// The Model made by load_model: a list of layers over shared blocks. Included by model.cpp and
// forward.cpp only.

#include "model/blocks/block.h"

namespace nereus {

struct Layer {
    const float* input_norm = nullptr;  ///< [hidden_size]
    std::unique_ptr<AttentionBlock> attention;
    const float* post_norm = nullptr;  ///< [hidden_size]
    std::unique_ptr<FfnBlock> ffn;
};

/// How many rows each sequence of a batch gains; the memory serves every pass.
class RowGains {
  public:
    void clear() {
        for (const int32_t slot : slots_) {
            by_slot_[static_cast<size_t>(slot)] = 0;
        }
        slots_.clear();
    }
    /// The count before. slot: of a living sequence.
    int64_t add_one(int32_t slot) {
        int64_t& gain = by_slot_[static_cast<size_t>(slot)];
        if (gain == 0) {
            slots_.push_back(slot);
        }
        return gain++;
    }
    int64_t of(int32_t slot) const { return by_slot_[static_cast<size_t>(slot)]; }
    std::span<const int32_t> slots() const { return slots_; }

  private:
    std::vector<int64_t> by_slot_ = std::vector<int64_t>(kMaxSequences);
    std::vector<int32_t> slots_;
};

class LoadedModel final : public Model {
  public:
    LoadedModel(const Checkpoint& checkpoint, Backend& backend, ModelConfig config,
                KvFormat kv_format)
        : backend_(backend),
          config_(std::move(config)),
          kv_format_(kv_format),
          weights_(checkpoint) {}

    /// Binds every tensor. errors: see load_model
    Status bind(CheckpointKind kind, const LoadOptions& options);

    const ModelConfig& config() const override { return config_; }
    KvSpec kv_spec(int64_t max_tokens) const override;
    Result<ConstRows> forward(const Batch& batch, KvCache& cache) override;
    void observe_hidden(HiddenObserver observer) override { observer_ = std::move(observer); }
    void override_routing(RoutingSource* source) override { routing_ = source; }
    int64_t bytes_per_token() const override;

  private:
    Status bind_ends(const Build& build);
    Result<Layer> bind_layer(const Build& build, int64_t index) const;
    Status run_layers(const Batch& batch, KvCache& cache);
    ConstRows project_logits(const Batch& batch);
    float eps() const { return static_cast<float>(config_.rms_norm_eps); }
    void observe(int64_t layer, ConstRows hidden) const {
        if (observer_) {
            observer_(layer, hidden);
        }
    }

    Backend& backend_;
    ModelConfig config_;
    KvFormat kv_format_;
    WeightSet weights_;
    Weight embedding_;                   ///< [vocab_size, hidden_size]
    const float* final_norm_ = nullptr;  ///< [hidden_size]
    Weight head_;                        ///< [vocab_size, hidden_size]; the embedding when tied
    std::vector<Layer> layers_;
    std::unique_ptr<ExpertBank> experts_;
    RopeTable rope_;
    HiddenObserver observer_;
    RoutingSource* routing_ = nullptr;
    Scratch scratch_;
    RowGains gains_;
    std::vector<PagedRows> visible_;
    std::vector<KvPlace> places_;
    std::vector<MatmulTask> tasks_;
};

}  // namespace nereus
