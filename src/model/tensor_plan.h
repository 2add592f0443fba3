#pragma once
// Which tensors a model has, by its configuration alone: names, shapes and roles, as published or
// as a pack holds them. Packing, synthetic models and number formats by role start from this list.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "weights/checkpoint.h"

namespace nereus {

/// What a tensor is for; recipes choose a number format by it.
enum class TensorRole {
    kEmbedding,
    kHead,
    kAttention,
    kLatentHeads,  ///< k_b and v_b: small, and published advice is not to round them hard
    kDenseFfn,
    kSharedExpert,
    kRoutedExpert,
    kRouter,
    kVector,  ///< norms, biases, factors
    kCount
};

inline constexpr size_t kTensorRoles = static_cast<size_t>(TensorRole::kCount);

/// Where the rows of a pack's tensor come from in a published checkpoint.
enum class RowSource {
    kSame,      ///< rows first_row ... of the source tensor
    kKeyHalf,   ///< per head, the first qk_nope_head_dim rows of kv_b, transposed
    kValueHalf  ///< per head, the other v_head_dim rows of kv_b
};

/// The vector space that a tensor's columns read or its rows write, where a pack may change its
/// basis (turning.h).
enum class Space {
    kOwn,
    kResidual,  ///< the stream between blocks: [hidden_size]
    kValues     ///< values of attention: per head [v_head_dim]
};

struct ModelTensor {
    std::string name;
    TensorRole role = TensorRole::kVector;
    int64_t rows = 1;  ///< 1 for vectors
    int64_t cols = 0;
    int64_t layer = -1;     ///< -1 outside layers
    int64_t expert = -1;    ///< of routed experts that are tensors of their own
    int64_t n_stacked = 1;  ///< experts in one tensor of a GGUF; rows counts them all
    /// Rows that a model slices off together (a head's); panel formats need multiples of 16.
    int64_t slice_rows = 0;
    bool optional = false;  ///< there or not, whatever the configuration says
    RowSource source = RowSource::kSame;
    std::string source_name;     ///< for packs: the published tensor
    int64_t source_rows = 0;     ///< rows of that tensor
    int64_t source_first = 0;    ///< first of its rows (an expert of a stack)
    Space reads = Space::kOwn;   ///< of its columns
    Space writes = Space::kOwn;  ///< of its rows, or of a vector's numbers
    /// The norm between the residual stream and its columns; of that norm, its own name.
    std::string norm;
};

/// How a checkpoint holds latent attention's heads and the routed experts.
enum class TensorLayout {
    kPublished,   ///< kv_b in one; experts one by one (Hugging Face) or stacked (GGUF)
    kSplitHeads,  ///< k_b and v_b; otherwise the same (newer GGUF)
    kPack         ///< k_b and v_b; experts one by one
};

/// All tensors that the forward pass binds (no multi-token prediction), layer by layer; the three
/// of a routed expert follow each other.
std::vector<ModelTensor> model_tensors(const ModelConfig& config, CheckpointKind kind,
                                       TensorLayout layout);

}  // namespace nereus
