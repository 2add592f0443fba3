#pragma once
// What a model weighs in a number format, by part: from its configuration alone or from its files.
// What a forecast and a budget start from.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "model/config.h"
#include "model/count.h"
#include "model/recipe.h"
#include "tensor/format.h"
#include "weights/checkpoint.h"

namespace nereus {

/// All tensors of a part in one format.
struct PartSize {
    ModelPart part = ModelPart::kOther;
    FormatId format = FormatId::kF32;
    double n_weights = 0;
    double n_bytes = 0;  ///< scales included
};

struct ModelSize {
    ModelConfig config;
    std::string format;  ///< "q4", "as published (fp8)", "as stored"
    std::vector<PartSize> parts;

    double n_bytes() const;
    double n_bytes_of(ModelPart part) const;
    /// Everything but the routed experts.
    double dense_bytes() const { return n_bytes() - n_bytes_of(ModelPart::kRoutedExperts); }
    int64_t n_mixture_layers() const;
    /// One routed expert: gate, up and down. 0 without experts.
    double expert_bytes() const;
};

/// In a pack of this recipe.
ModelSize size_in_recipe(const ModelConfig& config, const Recipe& recipe);

/// As the configuration says it is published: fp8 blocks where it has a quantization_config, else
/// the declared type. config_json is the text that config was read from.
ModelSize size_as_published(const ModelConfig& config, const Json& config_json);

/// As it lies in these files; multi-token prediction is left out.
/// errors: those of config_of
Result<ModelSize> size_of_files(const Checkpoint& checkpoint);

}  // namespace nereus
