#pragma once
// Runs a parsed template on its variables.

#include <string_view>

#include "text/formats/jinja_interpreter.h"

namespace nereus::jinja {

/// The text the template writes. Deterministic but for strftime_now.
/// errors: invalid_argument (raise_exception, wrong types), unsupported, overloaded; the message
/// begins with origin and line
Result<Text> run_template(const Block& block, Scope variables, std::string_view origin);

}  // namespace nereus::jinja
