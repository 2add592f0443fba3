#include "model/routing_source.h"

#include <algorithm>

#include "base/check.h"
#include "memory/kv_cache.h"

namespace nereus {
namespace {

class ReplayedRouting final : public RoutingSource {
  public:
    explicit ReplayedRouting(RoutingTrace trace) : trace_(std::move(trace)), next_(kMaxSequences) {
        for (size_t slot = 0; slot < next_.size(); ++slot) {
            const auto sequence = static_cast<int64_t>(slot) % trace_.n_sequences();
            next_[slot] = trace_.sequence_begins[static_cast<size_t>(sequence)];
        }
    }

    void choose(int64_t layer, const Batch& batch, std::span<int32_t> ids,
                std::span<float> gates) override {
        const int64_t recorded = layer - trace_.first_layer;
        NEREUS_CHECK(recorded >= 0 && recorded < trace_.n_layers);
        const auto top_k = static_cast<size_t>(trace_.top_k);
        NEREUS_CHECK(ids.size() == batch.slots.size() * top_k);
        if (recorded == 0) {
            take_tokens(batch);
        }
        for (size_t row = 0; row < tokens_.size(); ++row) {
            const auto chosen = trace_.ids_of(tokens_[row], recorded);
            const auto weights = trace_.gates_of(tokens_[row], recorded);
            std::copy(chosen.begin(), chosen.end(),
                      ids.begin() + static_cast<int64_t>(row * top_k));
            std::copy(weights.begin(), weights.end(),
                      gates.begin() + static_cast<int64_t>(row * top_k));
        }
    }

  private:
    /// A pass begins: the next token of the trace for every row.
    void take_tokens(const Batch& batch) {
        tokens_.clear();
        for (const int32_t slot : batch.slots) {
            int64_t& next = next_[static_cast<size_t>(slot)];
            tokens_.push_back(next);
            next = (next + 1) % trace_.n_tokens();
        }
    }

    RoutingTrace trace_;
    std::vector<int64_t> next_;    ///< token of the trace, by slot
    std::vector<int64_t> tokens_;  ///< of the rows of this pass
};

}  // namespace

Result<std::unique_ptr<RoutingSource>> replay_routing(RoutingTrace trace,
                                                      const ModelConfig& config) {
    const auto is_mixture = [](const LayerPlan& layer) { return layer.ffn == FfnKind::kExperts; };
    const auto first = std::find_if(config.layers.begin(), config.layers.end(), is_mixture);
    const int64_t first_layer = first - config.layers.begin();
    const int64_t n_layers = std::count_if(first, config.layers.end(), is_mixture);
    if (trace.n_layers != n_layers || trace.first_layer != first_layer ||
        trace.n_experts != config.n_routed_experts || trace.top_k != config.num_experts_per_tok) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the trace has {} mixture layers from {} on, {} of {} experts a token; "
                          "the model has {} "
                          "from {} on, {} of {}",
                          trace.n_layers, trace.first_layer, trace.top_k, trace.n_experts, n_layers,
                          first_layer, config.num_experts_per_tok, config.n_routed_experts);
    }
    return std::unique_ptr<RoutingSource>(std::make_unique<ReplayedRouting>(std::move(trace)));
}

}  // namespace nereus
