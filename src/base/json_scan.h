#pragma once
// A pull reader for big or hot JSON (safetensors headers, tokenizer.json): walks one object or
// array without building a document; nested values are handed over as their raw text to be scanned
// or parsed in turn.

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nereus {

/// Calls field(key, raw) for every field of the object in `text`, in order. key is unescaped and
/// valid during the call; raw is the value's JSON text, inside `text`. A key that appears twice
/// reaches `field` twice. Stops at the first error of `field` and returns it.
/// errors: corrupt when the text is not one JSON object (origin is named), unsupported over 4 GiB.
Status scan_object(std::string_view text, std::string_view origin,
                   const std::function<Status(std::string_view key, std::string_view raw)>& field);

/// The same for the elements of an array.
Status scan_array(std::string_view text, std::string_view origin,
                  const std::function<Status(std::string_view raw)>& element);

/// The string in a raw JSON string token, quotes included in `raw`. errors: corrupt
Result<std::string> unescape_json(std::string_view raw, std::string_view origin);

}  // namespace nereus
