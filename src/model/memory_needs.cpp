#include "model/memory_needs.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/input_file.h"
#include "base/machine_memory.h"
#include "base/units.h"
#include "model/count.h"

namespace nereus {
namespace {

/// Beside the parts of the plan: stacks, rings, heap between blocks, code not yet touched. Measured
/// at 20 to 30 MiB after loading V2-Lite.
constexpr uint64_t kProcessMargin = 64 * kMiB;
/// Logits of the sequences that decode together (EngineLimits::max_running).
constexpr uint64_t kLogitRows = 8;

/// In memory wherever the matrix is; each with the head of its allocation.
uint64_t scale_bytes(const StoredTensor& tensor) {
    constexpr uint64_t kAllocation = 16;
    return kAllocation +
           sizeof(float) * static_cast<uint64_t>(ceil_div<int64_t>(tensor.shape.rows(), 128) *
                                                 ceil_div<int64_t>(tensor.shape.cols(), 128));
}

/// The layer of "model.layers.7.mlp..." or "blk.7...".
std::optional<size_t> layer_of(std::string_view name) {
    for (const std::string_view prefix : {"model.layers.", "blk."}) {
        size_t layer = 0;
        if (name.starts_with(prefix) &&
            std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer).ec ==
                std::errc()) {
            return layer;
        }
    }
    return std::nullopt;
}

uint64_t attention_values(const ModelConfig& c) {
    const int64_t heads = c.num_attention_heads;
    if (c.kv_lora_rank == 0) {
        return static_cast<uint64_t>((2 * heads + 2 * c.num_key_value_heads) * c.head_dim);
    }
    const int64_t query = c.qk_nope_head_dim + c.qk_rope_head_dim;
    const int64_t row = c.kv_lora_rank + c.qk_rope_head_dim;
    return static_cast<uint64_t>(c.q_lora_rank + row +
                                 heads * (query + row + c.kv_lora_rank + c.v_head_dim));
}

uint64_t ffn_values(const ModelConfig& c) {
    const int64_t routed =
        c.num_experts_per_tok * (2 * c.moe_intermediate_size + 2 * c.hidden_size);
    const int64_t shared = 2 * c.n_shared_experts * c.moe_intermediate_size;
    return static_cast<uint64_t>(routed + shared + 2 * c.intermediate_size + c.n_routed_experts);
}

}  // namespace

uint64_t activation_bytes_per_row(const ModelConfig& config) {
    const uint64_t values = 3 * static_cast<uint64_t>(config.hidden_size) +
                            attention_values(config) + ffn_values(config);
    // Rounded copies and tiles of the products: at most a quarter more.
    return values * sizeof(float) * 5 / 4;
}

MemoryNeeds memory_needs(const Checkpoint& checkpoint, const ModelConfig& config) {
    MemoryNeeds needs;
    needs.layer_bytes.resize(config.layers.size());
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        const ModelPart part = part_of_tensor(tensor.name, config);
        const uint64_t n_bytes = tensor.data.size() + 2 * kDirectAlignment;
        if (tensor.scales != nullptr) {
            needs.dense_bytes += scale_bytes(tensor);
        }
        if (part == ModelPart::kRoutedExperts) {
            needs.expert_bytes += n_bytes;
        } else if (part != ModelPart::kMtp) {
            needs.dense_bytes += n_bytes;
            const std::optional<size_t> layer = layer_of(tensor.name);
            if (layer && *layer < needs.layer_bytes.size()) {
                needs.layer_bytes[*layer] += n_bytes;
            }
        }
    }
    const auto n_layers =
        std::count_if(config.layers.begin(), config.layers.end(),
                      [](const LayerPlan& layer) { return layer.ffn == FfnKind::kExperts; });
    needs.n_experts = n_layers * config.n_routed_experts;
    needs.n_experts_min = n_layers == 0 ? 0 : config.num_experts_per_tok;
    needs.row_bytes = activation_bytes_per_row(config);
    needs.process_bytes = process_memory().resident + kProcessMargin +
                          kLogitRows * sizeof(float) * static_cast<uint64_t>(config.vocab_size);
    return needs;
}

}  // namespace nereus
