#pragma once
// What tokenizer.ggml.pre means: a row per name.

#include <string_view>
#include <vector>

#include "text/pre_split.h"

namespace nereus {

struct GgufPreType {
    std::string_view name;
    std::vector<std::string_view> patterns;  ///< split stages, in order
    bool nfc = false;                        ///< the model was trained on text in NFC
    bool ignore_merges = false;              ///< as in BpeSpec
};

/// nullptr when this build has no row of that name; an empty name is "default".
const GgufPreType* find_gguf_pre_type(std::string_view name);

/// The names, for messages: "deepseek-llm, deepseek-coder, ...".
std::string gguf_pre_type_names();

}  // namespace nereus
