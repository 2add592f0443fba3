#pragma once
// The model's reasoning on a terminal: dim while it streams, then folded into one line.

#include <memory>
#include <string>
#include <string_view>

#include "terminal/style.h"

namespace nereus {

/// Draws one block of reasoning. threads: one.
class ThinkingView {
  public:
    /// live: show the text while it streams; otherwise only the summary appears.
    ThinkingView(TerminalSink sink, TerminalTraits traits, bool live);
    ~ThinkingView();
    ThinkingView(const ThinkingView&) = delete;
    ThinkingView& operator=(const ThinkingView&) = delete;

    void write(std::string_view text);
    /// Ends the block with `summary` ("": with nothing). Without a terminal the text is written as
    /// it is. The rows above are replaced by it where the terminal can do so and still shows them
    /// all (`now`: its size has not changed since and is tall enough); else they stay and the
    /// summary follows.
    void finish(std::string_view summary, const TerminalTraits& now);
    bool started() const { return started_; }

  private:
    struct Writer;
    std::unique_ptr<Writer> writer_;
    TerminalSink sink_;
    TerminalTraits traits_;
    bool live_;
    bool started_ = false;
    bool in_text_ = false;  ///< leading newlines are not shown
    char last_ = '\n';      ///< byte written where nothing is drawn
};

}  // namespace nereus
