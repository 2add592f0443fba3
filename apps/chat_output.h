#pragma once
// Where the parts of an answer go: a person's terminal, a pipe, or JSON lines.

#include <memory>
#include <string>

#include "apps/chat_answer.h"
#include "terminal/style.h"

namespace nereus {

/// The outputs of the process and what they can do.
struct ChatStreams {
    TerminalWishes wishes;
    TerminalTraits out, err;
    /// First failed write to stdout.
    Status write_status;
    TerminalSink to_out();
    TerminalSink to_err();
};

/// Shows one answer. threads: one.
class AnswerView {
  public:
    virtual ~AnswerView() = default;
    virtual void prefill(int64_t n_done, int64_t n_prompt) = 0;
    /// Nothing new, several times a second: a bar that shows that something goes on.
    virtual void waiting() {}
    virtual void text(const ReplyEvent& event, const Answer& so_far) = 0;
    virtual void finish(const Answer& answer) = 0;
};

/// In a chat: reasoning dim, then folded; the answer as Markdown; both on stdout.
std::unique_ptr<AnswerView> create_chat_view(ChatStreams& streams, ThinkMode think);
/// For one prompt: the answer alone on stdout, reasoning on stderr.
std::unique_ptr<AnswerView> create_plain_view(ChatStreams& streams, ThinkMode think);
/// One JSON object a line on stdout: prefill, reasoning, answer, done.
std::unique_ptr<AnswerView> create_json_view(ChatStreams& streams);

}  // namespace nereus
