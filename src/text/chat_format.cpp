#include "text/chat_format.h"

#include "text/formats/prompt_builder.h"

namespace nereus {

std::string Prompt::text() const {
    std::string text;
    for (const PromptPiece& piece : pieces) {
        text += piece.text;
    }
    return text;
}

ReplySyntax reply_syntax_of(const Prompt& prompt) {
    ReplySyntax syntax;
    const auto& pieces = prompt.pieces;
    // A last piece from the request is the beginning of the reply (prefix: true).
    const bool has_prefix = pieces.size() > 1 && !pieces.back().trusted;
    if (pieces.empty() ||
        (has_prefix && pieces.back().text.find(syntax.think_end) != std::string::npos)) {
        return syntax;
    }
    const PromptPiece& last = has_prefix ? pieces[pieces.size() - 2] : pieces.back();
    std::string_view end = last.text;
    const bool ends_line = end.ends_with('\n');
    end.remove_suffix(ends_line ? 1 : 0);
    syntax.starts_in_thinking = last.trusted && end.ends_with(syntax.think_begin);
    if (syntax.starts_in_thinking && !has_prefix) {
        syntax.empty_thought = (ends_line ? "\n" : "\n\n") + syntax.think_end + "\n\n";
    }
    return syntax;
}

}  // namespace nereus
