#pragma once
// Collects a prompt run by run and says what its ending means for the reply.

#include <string_view>

#include "text/chat_format.h"

namespace nereus {

class PromptBuilder {
  public:
    void add(std::string_view text, bool trusted) {
        if (text.empty()) {
            return;
        }
        if (prompt_.pieces.empty() || prompt_.pieces.back().trusted != trusted) {
            prompt_.pieces.push_back({std::string(text), trusted});
        } else {
            prompt_.pieces.back().text += text;
        }
    }
    /// What the format writes.
    void marker(std::string_view text) { add(text, true); }
    /// What came with the request.
    void plain(std::string_view text) { add(text, false); }

    Prompt take() && { return std::move(prompt_); }

  private:
    Prompt prompt_;
};

/// starts_in_thinking when the format itself ended the prompt in <think> or <think>\n, or did so
/// before the beginning of the reply that the request gave (and that does not close it).
ReplySyntax reply_syntax_of(const Prompt& prompt);

}  // namespace nereus
