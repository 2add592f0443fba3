#include "apps/chat_output.h"

#include <unistd.h>

#include <cstdio>

#include "apps/command.h"
#include "terminal/markdown.h"
#include "terminal/progress.h"
#include "terminal/thinking.h"

namespace nereus {
namespace {

constexpr const char* kPrefillLabel = "Reading the prompt";

/// A bar on stderr while the prompt is read; only where somebody sees it.
class PrefillBar {
  public:
    explicit PrefillBar(ChatStreams& streams)
        : progress_(streams.to_err(),
                    streams.err.can_style ? ProgressMode::kBar : ProgressMode::kSilent,
                    kPrefillLabel, streams.err.columns) {}
    void update(int64_t n_done, int64_t n_prompt) {
        fraction_ =
            static_cast<double>(n_done) / static_cast<double>(std::max<int64_t>(1, n_prompt));
        tick();
    }
    /// The first chunk of a big model takes a minute; somebody waits from its beginning.
    void tick() {
        if (!finished_) {
            progress_.update(fraction_);
        }
    }
    void finish() {
        finished_ = true;
        progress_.finish();
    }

  private:
    Progress progress_;
    double fraction_ = 0;
    bool finished_ = false;
};

/// Reasoning and answer of one reply on terminals or pipes.
class TextView final : public AnswerView {
  public:
    TextView(ChatStreams& streams, ThinkMode think, bool reasoning_to_stdout)
        : streams_(streams),
          bar_(streams),
          reasoning_fd_(reasoning_to_stdout ? STDOUT_FILENO : STDERR_FILENO),
          reasoning_traits_(reasoning_to_stdout ? streams.out : streams.err),
          thinking_(reasoning_to_stdout ? streams.to_out() : streams.to_err(), reasoning_traits_,
                    think != ThinkMode::kHide),
          markdown_(streams.to_out(), streams.out) {}

    void prefill(int64_t n_done, int64_t n_prompt) override { bar_.update(n_done, n_prompt); }
    void waiting() override { bar_.tick(); }

    void text(const ReplyEvent& event, const Answer& so_far) override {
        bar_.finish();
        if (event.part == ReplyPart::kReasoning) {
            thinking_.write(event.text);
            return;
        }
        end_thinking(so_far);
        if (!event.text.empty()) {
            ends_with_newline_ = event.text.back() == '\n';
            markdown_.write(event.text);
        }
    }

    void finish(const Answer& answer) override {
        bar_.finish();
        end_thinking(answer);
        markdown_.finish();
        if (!ends_with_newline_) {
            streams_.to_out()("\n");
        }
    }

  private:
    void end_thinking(const Answer& so_far) {
        if (thinking_.started()) {
            const TerminalTraits now = traits_of(reasoning_fd_, streams_.wishes);
            // A pipe gets the reasoning itself and nothing about it.
            thinking_.finish(now.is_terminal ? describe_thinking(so_far) : "", now);
        }
    }

    ChatStreams& streams_;
    PrefillBar bar_;
    int reasoning_fd_;
    TerminalTraits reasoning_traits_;
    ThinkingView thinking_;
    MarkdownWriter markdown_;
    bool ends_with_newline_ = false;
};

class JsonView final : public AnswerView {
  public:
    explicit JsonView(ChatStreams& streams) : streams_(streams) {}

    void prefill(int64_t n_done, int64_t n_prompt) override {
        line({{"type", "prefill"}, {"done", n_done}, {"total", n_prompt}});
    }
    void text(const ReplyEvent& event, const Answer&) override {
        const bool reasoning = event.part == ReplyPart::kReasoning;
        line({{"type", reasoning ? "reasoning" : "answer"}, {"text", event.text}});
    }
    void finish(const Answer& answer) override { line(answer_to_json(answer)); }

  private:
    void line(const Json& json) { streams_.to_out()(dump_json(json) + "\n"); }

    ChatStreams& streams_;
};

}  // namespace

TerminalSink ChatStreams::to_out() {
    return [this](std::string_view bytes) {
        if (write_status.ok()) {
            write_status = write_result(bytes);
        }
    };
}

TerminalSink ChatStreams::to_err() {
    return [](std::string_view bytes) {
        std::fwrite(bytes.data(), 1, bytes.size(), stderr);
        std::fflush(stderr);
    };
}

std::unique_ptr<AnswerView> create_chat_view(ChatStreams& streams, ThinkMode think) {
    return std::make_unique<TextView>(streams, think, true);
}

std::unique_ptr<AnswerView> create_plain_view(ChatStreams& streams, ThinkMode think) {
    return std::make_unique<TextView>(streams, think, false);
}

std::unique_ptr<AnswerView> create_json_view(ChatStreams& streams) {
    return std::make_unique<JsonView>(streams);
}

}  // namespace nereus
