#pragma once
// What the layer loop and its blocks share: the context of one forward pass, scratch rows, and the
// two interfaces a layer is made of.

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "compute/backend.h"
#include "memory/expert_bank.h"
#include "memory/kv_cache.h"
#include "memory/weight_set.h"
#include "model/blocks/rope_table.h"
#include "model/blocks/tensor_names.h"
#include "model/config.h"
#include "model/model.h"

namespace nereus {

/// Grow-only float buffers, one a purpose, so that a steady decode allocates nothing.
class Scratch {
  public:
    enum Use {
        kHidden,
        kNormed,
        kBlockOut,
        kLogitHidden,
        kLogits,  // the layer loop
        kQ,
        kQLatent,
        kKv,
        kAbsorbed,
        kContext,
        kHeads,
        kExpanded,  // attention
        kGate,
        kUp,
        kRouterLogits,
        kGathered,
        kExpertOut,  // feed-forward
        kUseCount
    };

    Rows rows(Use use, int64_t n_rows, int64_t n_cols) {
        std::vector<float>& buffer = buffers_[use];
        const auto wanted = static_cast<size_t>(n_rows * n_cols);
        if (buffer.size() < wanted) {
            buffer.resize(wanted);
        }
        return {buffer.data(), n_rows, n_cols, n_cols};
    }

  private:
    std::array<std::vector<float>, kUseCount> buffers_;
};

/// One forward pass, as a block sees it.
struct Pass {
    Backend& backend;
    const Batch& batch;
    KvCache& cache;
    Scratch& scratch;
    RopeTable& rope;
    ExpertBank& experts;
    int64_t layer = 0;
    std::vector<PagedRows>& visible;   ///< one per token, of the current layer
    std::vector<KvPlace>& places;      ///< of append_rows
    std::vector<MatmulTask>& tasks;    ///< emptied by whoever uses it
    RoutingSource* routing = nullptr;  ///< chooses the experts where there is one

    int64_t n_tokens() const { return static_cast<int64_t>(batch.tokens.size()); }

    /// Writes the tokens' rows of the current layer into the cache.
    void append_rows(ConstRows rows) const {
        places.clear();
        for (size_t i = 0; i < batch.tokens.size(); ++i) {
            places.push_back(cache.place(layer, batch.slots[i], batch.positions[i]));
        }
        backend.append_kv({rows, places, cache.spec().rows(layer)});
    }

    /// Fills `visible` for a layer: token i sees rows 0 .. positions[i] of its sequence.
    void see_cache(int64_t cache_layer) const {
        const KvSpec& spec = cache.spec();
        visible.clear();
        for (size_t i = 0; i < batch.tokens.size(); ++i) {
            visible.push_back({cache.pages(cache_layer, batch.slots[i]).data(), spec.page_tokens,
                               spec.row_floats[static_cast<size_t>(cache_layer)],
                               batch.positions[i] + 1, spec.format});
        }
    }
};

/// x [n_tokens, hidden_size] -> out [n_tokens, hidden_size], overwritten; appends to the cache.
class AttentionBlock {
  public:
    virtual ~AttentionBlock() = default;
    virtual void run(const Pass& pass, ConstRows x, Rows out) = 0;
    virtual int64_t n_bytes() const = 0;  ///< weight bytes a token reads
};

/// The feed-forward half of a layer; the same shapes.
class FfnBlock {
  public:
    virtual ~FfnBlock() = default;
    /// errors: those of the expert bank
    virtual Status run(const Pass& pass, ConstRows x, Rows out) = 0;
    virtual int64_t n_bytes() const = 0;
};

/// What a block is built from.
struct Build {
    const ModelConfig& config;
    CheckpointKind kind;
    WeightSet& weights;
    AttentionForm attention_form;

    Result<Weight> matrix(Part part, int64_t layer, int64_t rows, int64_t cols) const {
        return weights.matrix(tensor_name(part, kind, layer), rows, cols);
    }
    Result<const float*> vector(Part part, int64_t layer, int64_t n) const {
        return weights.vector(tensor_name(part, kind, layer), n);
    }
    bool has(Part part, int64_t layer) const {
        const std::string name = tensor_name(part, kind, layer);
        return !name.empty() && weights.contains(name);
    }
    /// nullptr when the checkpoint has no such tensor.
    Result<const float*> optional_vector(Part part, int64_t layer, int64_t n) const {
        return has(part, layer) ? vector(part, layer, n) : Result<const float*>(nullptr);
    }
    /// Rows [begin, begin + n) of a matrix. errors: unsupported where they are not whole panels
    Result<Weight> slice(const Weight& all, int64_t begin, int64_t n,
                         const std::string& name) const {
        const int64_t together = all.format->rows_together();
        if (begin % together != 0 || n % together != 0) {
            return make_error(ErrorCode::kUnsupported,
                              "{}: tensor {}: rows {} to {} of {} cannot be used alone, they lie "
                              "in groups of {}; pack the model again",
                              weights.origin(), name, begin, begin + n, all.format->name, together);
        }
        return all.slice_rows(begin, n);
    }
};

Result<std::unique_ptr<AttentionBlock>> build_latent_attention(const Build& build, int64_t layer);
Result<std::unique_ptr<AttentionBlock>> build_grouped_attention(const Build& build, int64_t layer);
Result<std::unique_ptr<FfnBlock>> build_dense_ffn(const Build& build, int64_t layer);
Result<std::unique_ptr<FfnBlock>> build_expert_ffn(const Build& build, int64_t layer);

/// The layer's routed experts, for the bank. Empty for dense layers.
Result<std::vector<ExpertWeights>> bind_experts(const Build& build, int64_t layer);

}  // namespace nereus
