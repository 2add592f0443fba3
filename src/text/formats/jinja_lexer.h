#pragma once
// Cuts a template into literal text and the tokens inside {{ }} and {% %}, with Jinja's whitespace
// rules as chat templates are rendered (trim_blocks and lstrip_blocks on).

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus::jinja {

enum class TokenKind {
    kData,        ///< text outside tags
    kPrintBegin,  ///< {{
    kPrintEnd,    ///< }}
    kBlockBegin,  ///< {%
    kBlockEnd,    ///< %}
    kName,
    kString,   ///< text: unescaped
    kInteger,  ///< text: decimal digits
    kFloat,
    kOperator,  ///< text: "+", "==", "(", ...
    kEnd,
};

struct Token {
    TokenKind kind = TokenKind::kEnd;
    std::string text;
    int line = 0;
};

/// The last token is kEnd. Comments and raw blocks are resolved here.
/// errors: corrupt (with line), unsupported, overloaded (over kSourceBytesMax)
Result<std::vector<Token>> tokenize_template(std::string_view source, std::string_view origin);

}  // namespace nereus::jinja
