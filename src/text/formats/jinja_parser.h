#pragma once
// Template source to syntax tree. What the engine cannot do is refused here, with its line.

#include <string_view>

#include "text/formats/jinja_ast.h"

namespace nereus::jinja {

/// errors: corrupt (syntax), unsupported (a tag, filter or test the engine has not), overloaded
/// (over the limits)
Result<Block> parse_template(std::string_view source, std::string_view origin);

}  // namespace nereus::jinja
