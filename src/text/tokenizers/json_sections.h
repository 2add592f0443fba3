#pragma once
// The small sections of tokenizer.json: normalizer, pre_tokenizer, decoder, post_processor and one
// added token. Each is a table from the component's type to what it means in a BpeSpec.

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "text/tokenizers/bpe_spec.h"

namespace nereus {

/// errors of all: corrupt (a field is missing or of the wrong type), unsupported (a component type
/// or option this build has not; it is named)
Status read_normalizer(const Json& json, std::string_view origin, BpeSpec& spec);
/// Sets split_rules and byte_level.
Status read_pre_tokenizer(const Json& json, std::string_view origin, BpeSpec& spec);
Status read_decoder(const Json& json, std::string_view origin, BpeSpec& spec);
/// Only the BOS that a template writes first is taken from it.
Status read_post_processor(const Json& json, std::string_view origin, BpeSpec& spec);
Result<AddedToken> read_added_token(const Json& json, std::string_view origin);

/// The value of a field with a type: missing, null (where a default is given) or of another type.
Result<bool> json_bool(const Json& object, const char* key, bool missing, std::string_view origin);
Result<std::string> json_string(const Json& object, const char* key, std::string_view origin);

}  // namespace nereus
