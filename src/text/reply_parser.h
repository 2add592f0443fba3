#pragma once
// Divides a reply into reasoning and answer while it streams. Fed with bytes in any pieces; never
// emits half a UTF-8 character, nor a prefix that might still become a tag.
//
// The rules, which look at the bytes and not at how they arrive:
//   - Reasoning starts at once when the prompt opened it (starts_in_thinking), or where <think>
//     stands at the very start of the reply, after at most kLeadingSpaceMax - 1 blanks.
//   - It ends at the first </think>. All later tags are text of the answer.
//   - Outside thinking a </think> at the very start (after blanks) is dropped: some models repeat
//   it.
//   - Newlines (\n, \r) right behind <think> (in the prompt or in the reply) and behind </think>
//     belong to neither part; so do blanks in front of a dropped tag. All else is kept.
//   - A byte that is no UTF-8 becomes U+FFFD.
// So reply = blanks <think> newlines reasoning </think> newlines answer, with only tags, those
// blanks and those newlines missing from the parts.

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

/// The parts do not depend on how the bytes were cut into feeds. threads: one caller at a time.
class ReplyParser {
  public:
    /// So many blanks at the start are text: what is held back stays bounded.
    static constexpr size_t kLeadingSpaceMax = 64;

    explicit ReplyParser(ReplySyntax syntax);

    /// Text that is certain now. Adjacent events of one part are joined.
    std::vector<ReplyEvent> feed(std::string_view bytes);
    /// What was held back, at the end of the reply.
    std::vector<ReplyEvent> finish();

    /// Everything so far, by part.
    const std::string& reasoning() const { return reasoning_; }
    const std::string& answer() const { return answer_; }
    bool in_reasoning() const { return part_ == ReplyPart::kReasoning; }

  private:
    enum class State { kStart, kNewlines, kText };
    /// What one step of the state machine found: go on, or wait for more bytes.
    enum class Progress { kMore, kWait };

    std::vector<ReplyEvent> drain(bool at_end);
    Progress step(bool at_end, std::vector<ReplyEvent>& events);
    Progress read_start(bool at_end);
    Progress skip_newlines();
    Progress read_text(bool at_end, std::vector<ReplyEvent>& events);
    void open_part(ReplyPart part, size_t n_drop);
    void emit(size_t n_bytes, std::vector<ReplyEvent>& events);

    ReplySyntax syntax_;
    std::string held_;
    std::string reasoning_;
    std::string answer_;
    State state_ = State::kStart;
    ReplyPart part_ = ReplyPart::kAnswer;
};

}  // namespace nereus
