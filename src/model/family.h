#pragma once
// Families: what distinguishes one model_type from another, as rows of a table. A family is one
// file in families/ and one line in family.cpp; the forward pass asks the row, never the name.

#include <span>
#include <string_view>

#include "base/result.h"
#include "model/config.h"

namespace nereus {

class ConfigSource;

struct Family {
    std::string_view model_type;         ///< config.json "model_type"
    std::string_view gguf_architecture;  ///< GGUF "general.architecture"
    RopeLayout rope_layout;              ///< of the weights in a Hugging Face folder
    RopeLayout gguf_rope_layout;         ///< of the weights in a GGUF (llama's q, k are permuted)
    /// Reads what is particular to the family into a config whose common fields are set, and plans
    /// the layers. The source speaks config.json's names whatever the file is.
    Status (*read)(const ConfigSource& source, ModelConfig& config);
};

/// All families this build runs.
std::span<const Family* const> all_families();

/// nullptr when unknown.
const Family* find_family(std::string_view model_type);

/// "deepseek_v2, deepseek_v3, ...", for messages.
std::string family_names();

}  // namespace nereus
