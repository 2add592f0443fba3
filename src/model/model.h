#pragma once
// A loaded model: tokens in, logits out. Attention and experts run on a Backend; what is kept
// between calls lives in the caller's KvCache.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "compute/backend.h"
#include "memory/expert_bank.h"
#include "memory/kv_cache.h"
#include "memory/plan.h"
#include "model/config.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Flat work for one forward pass: prefill chunks, decode rows and several sequences alike. Token i
/// belongs to sequence slots[i] at positions[i]; a sequence's tokens appear in ascending positions
/// that continue its cache. logit_rows: indices of tokens whose logits are wanted, ascending.
struct Batch {
    std::vector<int32_t> tokens;
    std::vector<int32_t> positions;
    std::vector<int32_t> slots;
    std::vector<int32_t> logit_rows;
};

class RoutingSource;

/// Called with the residual stream [n_tokens, hidden_size] after the embedding (layer 0), after
/// every layer (1 ...), and after the final norm in place of the last layer's.
using HiddenObserver = std::function<void(int64_t layer, ConstRows hidden)>;

/// Weights bound to a backend. threads: one forward at a time.
class Model {
  public:
    virtual ~Model() = default;
    virtual const ModelConfig& config() const = 0;
    virtual KvSpec kv_spec(int64_t max_tokens) const = 0;
    /// Appends the batch's tokens to the cache and returns logits [logit_rows.size(), vocab_size],
    /// valid until the next forward.
    /// errors: invalid_argument (token or position out of range), out_of_memory (cache full); the
    /// cache is unchanged then.
    virtual Result<ConstRows> forward(const Batch& batch, KvCache& cache) = 0;
    virtual void observe_hidden(HiddenObserver observer) = 0;
    /// From now on this chooses the experts (routing_source.h); nullptr: the router again. It must
    /// outlive its use.
    virtual void override_routing(RoutingSource* source) = 0;
    /// Weight bytes a single decoded token reads: dense parts plus top_k experts a layer.
    virtual int64_t bytes_per_token() const = 0;
    /// Rows of a prompt that one pass should take: more where each expert must come from disk.
    virtual int64_t prefill_chunk() const { return kPrefillChunk; }
    /// What is in memory and what on disk; nothing without a budget.
    virtual std::optional<MemoryPlan> memory_plan() const { return std::nullopt; }
    /// Which routed experts were in memory and what came from disk, since the model was loaded.
    virtual ExpertBankStats expert_stats() const { return {}; }
};

/// Reports a fraction in [0, 1] of loading.
using LoadProgress = std::function<void(double fraction)>;

/// How latent attention is computed. Both give the same logits within float rounding; the absorbed
/// form is the product's, the expanded one its check (and slow).
enum class AttentionForm { kAbsorbed, kExpanded };

/// Where weights are while the model runs: in the mapped files, or copied into huge pages.
/// kAuto: packs are copied, whose tensors are all read; other files stay mapped.
enum class WeightPlace { kAuto, kMapped, kCopied };

inline constexpr uint64_t kUnlimited = UINT64_MAX;

struct LoadOptions {
    WeightPlace weights = WeightPlace::kAuto;
    /// What weights, cache, activations and the process may take together (memory/plan.h). What
    /// does not fit stays on disk and is read when a token wants it; kv_spec() gives no more tokens
    /// than fit.
    uint64_t memory_bytes = kUnlimited;
    /// Cached tokens that must fit the budget; 0: kPlannedContext, or the model's context if less.
    int64_t context_tokens = 0;
    /// Memory for routed experts alone, in place of the plan's.
    uint64_t expert_bytes = kUnlimited;
    /// How many of the last layers' dense weights are read for every pass; 0: the plan says.
    int64_t n_layers_streamed = 0;
    CachePolicy cache_policy = default_cache_policy();  ///< of experts that are on disk
    AsyncReadOptions reads = StreamOptions().reads;
    int64_t n_guess_slots = StreamOptions().n_guess_slots;    ///< see StreamOptions
    AttentionForm attention_form = AttentionForm::kAbsorbed;  ///< expanded: f32 caches only
    std::optional<KvFormat> cache;  ///< of the cache's rows; without: see model/kv_format.h
    LoadProgress progress;
};

/// Binds the checkpoint's tensors to the family's names and checks every shape. The checkpoint and
/// backend must outlive the model.
/// errors: unsupported (family; cache), not_found (tensor), corrupt (shape; names expected and
/// found), out_of_memory, io (a copy)
Result<std::unique_ptr<Model>> load_model(const Checkpoint& checkpoint, Backend& backend,
                                          const LoadOptions& options = {});

}  // namespace nereus
