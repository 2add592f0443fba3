#pragma once
// Runs a parsed template on its variables.

#include <string_view>
#include <unordered_map>

#include "text/formats/jinja_ast.h"

namespace nereus::jinja {

using Scope = std::unordered_map<std::string, Value>;

/// The text the template writes. Deterministic but for strftime_now.
/// errors: invalid_argument (raise_exception, wrong types), unsupported, overloaded; the message
/// begins with origin and line
Result<Text> run_template(const Block& block, Scope variables, std::string_view origin);

}  // namespace nereus::jinja
