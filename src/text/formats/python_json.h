#pragma once
// JSON and numbers written as Python writes them (json.dumps with ensure_ascii=False, repr of a
// float): prompts were trained on exactly these bytes.

#include <optional>
#include <string>

#include "base/json.h"

namespace nereus {

/// The arguments of json.dumps.
struct JsonStyle {
    std::optional<std::string> indent;  ///< what a level is indented by; none: all on one line
    std::string item_separator = ", ";
    std::string key_separator = ": ";
    bool ensure_ascii = false;
    bool sort_keys = false;
};
std::string python_json(const Json& json, const JsonStyle& style);

/// `{"a": [1, 2.0]}`: ", " and ": " between items; with `indent` one item a line, as
/// json.dumps(indent=n) does. Strings keep their Unicode.
std::string python_json(const Json& json, std::optional<int> indent = std::nullopt);

/// repr() of a float: shortest digits that read back the same, "1.0", "1e-05", "inf".
std::string python_float(double value);

}  // namespace nereus
