// Llama, the base of R1-Distill-Llama. GGUF converters permute q and k to interleaved pairs
// (models.md 14.2).

#include "model/families/config_source.h"
#include "model/families/families.h"

namespace nereus {
namespace {

Status read_llama(const ConfigSource& source, ModelConfig& config) {
    if (NEREUS_TRY(source.boolean_or("mlp_bias", false))) {
        return source.unsupported("mlp_bias", "true", "false");
    }
    if (NEREUS_TRY(source.integer_or("n_routed_experts", 0)) > 0) {
        return source.unsupported("expert_count", "above 0", "llama without experts");
    }
    return read_grouped_dense(source, config);
}

}  // namespace

const Family kLlama = {"llama", "llama", RopeLayout::kRotateHalf, RopeLayout::kInterleaved,
                       read_llama};

}  // namespace nereus
