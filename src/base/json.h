#pragma once
// JSON documents. Key order is kept: prompts and schemas depend on it. Input is bounded in size and
// depth before anything is built.

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json_fwd.h"
#include "base/result.h"

namespace nereus {

struct JsonLimits {
    uint64_t max_bytes = 64ULL << 20;
    int max_depth = 64;
};

/// Parses one document. origin names it in errors ("models/x/config.json").
/// errors: corrupt (syntax with byte offset, invalid UTF-8, duplicate keys), unsupported (limits).
Result<Json> parse_json(std::string_view text, std::string_view origin, JsonLimits limits = {});

/// One line, Unicode kept, invalid UTF-8 replaced by U+FFFD; never throws.
std::string dump_json(const Json& json);

}  // namespace nereus
