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
    if (!prompt.pieces.empty() && prompt.pieces.back().trusted) {
        std::string_view end = prompt.pieces.back().text;
        end.remove_suffix(end.ends_with('\n') ? 1 : 0);
        syntax.starts_in_thinking = end.ends_with(syntax.think_begin);
    }
    return syntax;
}

}  // namespace nereus
