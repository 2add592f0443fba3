#pragma once
// How many numbers a model has, by part: from its configuration alone, so that a model can be
// judged before it is downloaded (models.md 15).

#include <array>
#include <cstdint>
#include <string_view>

#include "model/config.h"

namespace nereus {

enum class ModelPart {
    kEmbedding,
    kAttention,
    kDenseFfn,
    kSharedExperts,
    kRoutedExperts,
    kRouter,
    kNorms,
    kHead,
    kMtp,    ///< multi-token prediction layers, without their copies of embedding and head
    kOther,  ///< tensors that no part claims (RoPE factors)
    kCount
};

inline constexpr size_t kModelParts = static_cast<size_t>(ModelPart::kCount);

/// "embedding", "attention", "dense_ffn", ...: the word in inspect and its JSON.
std::string_view model_part_name(ModelPart part);

/// One number a part.
struct PartCounts {
    std::array<int64_t, kModelParts> values = {};

    int64_t& operator[](ModelPart part) { return values[static_cast<size_t>(part)]; }
    int64_t operator[](ModelPart part) const { return values[static_cast<size_t>(part)]; }
    /// All parts but MTP: the model that answers.
    int64_t total() const;
};

/// Parameters by part. A tied head counts 0.
PartCounts count_parameters(const ModelConfig& config);

/// Parameters that one token passes through: everything, but of the routed experts only the chosen
/// ones. Embedding and head are included. V3: 37.55 billion of 671.03.
int64_t active_parameters(const ModelConfig& config);

/// The share of a part's weights that one decoded token reads: 1 for dense parts, k/n for routed
/// experts, one row for the embedding (all of it when it is the head too), 0 for MTP.
double share_read_per_token(const ModelConfig& config, ModelPart part);

/// The part a tensor of a checkpoint belongs to, by its name in a Hugging Face folder or a GGUF.
ModelPart part_of_tensor(std::string_view name, const ModelConfig& config);

/// Numbers one cached token takes over all layers.
int64_t kv_values_per_token(const ModelConfig& config);

}  // namespace nereus
