#pragma once
// Divides a reply into reasoning, answer and tool calls while it streams. Fed with bytes in any
// pieces; never emits half a UTF-8 character, nor a prefix that might still become a tag.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_format.h"

namespace nereus {

enum class ReplyPart { kReasoning, kAnswer };

struct ReplyEvent {
    ReplyPart part = ReplyPart::kAnswer;
    std::string text;
};

/// The parts do not depend on how the bytes were cut into feeds.
class ReplyParser {
  public:
    explicit ReplyParser(ReplySyntax syntax);

    /// Text that is certain now. Adjacent events of one part are joined.
    std::vector<ReplyEvent> feed(std::string_view bytes);
    /// What was held back, at the end of the reply; invalid bytes become U+FFFD.
    std::vector<ReplyEvent> finish();

    /// Everything so far, by part; the separator newlines after </think> belong to neither.
    const std::string& reasoning() const { return reasoning_; }
    const std::string& answer() const { return answer_; }
    bool in_reasoning() const { return in_reasoning_; }

  private:
    std::vector<ReplyEvent> drain(bool at_end);

    ReplySyntax syntax_;
    std::string held_;
    std::string reasoning_;
    std::string answer_;
    bool in_reasoning_ = false;
    bool answer_started_ = false;
    bool reasoning_seen_ = false;
};

}  // namespace nereus
