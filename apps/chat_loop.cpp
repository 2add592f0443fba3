#include "apps/chat_loop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "apps/chat_commands.h"
#include "apps/chat_interrupt.h"
#include "base/units.h"
#include "terminal/line_editor.h"

namespace nereus {
namespace {

using Clock = std::chrono::steady_clock;

/// Two Ctrl+C within this time leave.
constexpr auto kLeaveWindow = std::chrono::seconds(1);
constexpr const char* kPrompt = ">>> ";

/// meanwhile: called several times a second.
Result<Answer> answer_once(const ChatSetup& setup, const ChatSession& session, ModelInput input,
                           AnswerView& view, const InterruptWatch& interrupts,
                           const std::function<void()>& meanwhile = {}) {
    AnswerCallbacks callbacks;
    callbacks.prefill = [&](int64_t n_done, int64_t n_prompt) { view.prefill(n_done, n_prompt); };
    callbacks.text = [&](const ReplyEvent& event, const Answer& so_far) {
        view.text(event, so_far);
        return setup.streams.write_status.ok();
    };
    callbacks.stopped = [&] {
        view.waiting();
        if (meanwhile) {
            meanwhile();
        }
        return interrupts.count() > 0;
    };
    Answer answer =
        NEREUS_TRY(generate(setup.opened, setup.engine, std::move(input), session.sampling(),
                            session.settings.max_new_tokens, callbacks));
    view.finish(answer);
    return answer;
}

/// The chat on a terminal. Every method draws; the session knows nothing of it.
class ChatLoop {
  public:
    ChatLoop(const ChatSetup& setup, ChatSession session)
        : setup_(setup), session_(std::move(session)) {
        LineEditorOptions options;
        // A redirected stdout gets answers only; the prompt then goes to stderr.
        options.output_fd = setup.streams.out.is_terminal ? STDOUT_FILENO : STDERR_FILENO;
        options.wishes = setup.streams.wishes;
        options.history_path = setup.history_path;
        options.complete = complete_chat_command;
        options.placeholder = setup.raw ? "A text to continue" : "Say something (/help)";
        editor_ = LineEditor::create(std::move(options));
    }

    Result<ExitCode> run() {
        greet();
        for (;;) {
            const LineRead line = NEREUS_TRY(editor_->read(kPrompt));
            if (const std::string warning = editor_->take_warning(); !warning.empty()) {
                note(fmt::format("The history is not kept: {}", warning));
            }
            if (line.outcome == LineOutcome::kEnd) {
                return kExitOk;
            }
            if (line.outcome == LineOutcome::kInterrupt) {
                if (interrupted_before()) {
                    return kExitInterrupted;
                }
                note("Ctrl+C again leaves, and so does /bye.");
                continue;
            }
            prompt_interrupts_ = 0;
            const InterruptWatch interrupts;
            const AfterCommand after = take_line(line.text);
            if (after == AfterCommand::kLeave) {
                return kExitOk;
            }
            if (after == AfterCommand::kAnswer) {
                answer(interrupts);
            }
            if (interrupts.count() > 1) {
                return kExitInterrupted;
            }
            NEREUS_TRY(Status(setup_.streams.write_status));
        }
    }

  private:
    void greet() {
        const auto n_bytes = setup_.opened.checkpoint->n_file_bytes();
        note(fmt::format("{} ({}, {}), context {} tokens. /help shows the commands.",
                         setup_.model_name, setup_.opened.model->config().model_type,
                         human_bytes(n_bytes), setup_.engine.limits().context_tokens));
    }

    void say(std::string_view text, std::string_view style) {
        const TerminalTraits now = traits_of(STDERR_FILENO, setup_.streams.wishes);
        setup_.streams.to_err()(styled(wrapped(neutralise(text), now), style, now) + "\n");
    }
    void note(std::string_view text) { say(text, sgr::kDim); }
    void complain(std::string_view text) { say(text, sgr::kRed); }

    /// True for the second Ctrl+C at the prompt, or the first one right after a stopped answer.
    bool interrupted_before() {
        const bool just_stopped = Clock::now() - stopped_at_ < kLeaveWindow;
        return ++prompt_interrupts_ > 1 || just_stopped;
    }

    AfterCommand take_line(const std::string& line) {
        if (line.find_first_not_of(" \t\n") == std::string::npos) {
            return AfterCommand::kNothing;
        }
        if (is_chat_command(line)) {
            const CommandReply reply = run_chat_command(line, session_, statistics_);
            if (!reply.text.empty()) {
                reply.failed ? complain(reply.text) : note(reply.text);
            }
            return reply.after;
        }
        if (setup_.raw) {
            session_.clear();
            raw_text_ = line;
        }
        session_.add_user(line);
        return AfterCommand::kAnswer;
    }

    /// Answers the last message. An error leaves the conversation as it was before the question.
    void answer(const InterruptWatch& interrupts) {
        const auto reply = [&]() -> Result<Answer> {
            ModelInput input = setup_.raw ? NEREUS_TRY(raw_input(setup_.opened.text, raw_text_))
                                          : NEREUS_TRY(chat_input(setup_.opened.text, session_));
            setup_.streams.out = traits_of(STDOUT_FILENO, setup_.streams.wishes);
            setup_.streams.err = traits_of(STDERR_FILENO, setup_.streams.wishes);
            const auto view = create_chat_view(setup_.streams, session_.settings.think);
            return answer_once(setup_, session_, std::move(input), *view, interrupts,
                               [&] { editor_->collect(); });
        }();
        if (!reply.ok()) {
            complain(reply.error().message);
            session_.undo();
            return;
        }
        const Answer& answer = *reply;
        session_.add_answer(answer.reasoning, answer.text);
        statistics_.text = describe_answer(answer, setup_.engine.limits().context_tokens);
        if (answer.reason == FinishReason::kCancelled) {
            stopped_at_ = Clock::now();
            note("[stopped; the answer so far is kept]");
        } else if (answer.reason == FinishReason::kLength) {
            const std::string full = describe_full_context(answer, session_.settings.max_new_tokens,
                                                           setup_.engine.limits().context_tokens);
            note(full.empty() ? std::string("[the limit of tokens is reached]")
                              : fmt::format("[{}; /undo or /clear makes room]", full));
        }
        if (setup_.show_stats) {
            note(statistics_.text);
        }
    }

    const ChatSetup& setup_;
    ChatSession session_;
    ChatStatistics statistics_;
    std::unique_ptr<LineEditor> editor_;
    std::string raw_text_;
    int prompt_interrupts_ = 0;
    Clock::time_point stopped_at_ = Clock::now() - std::chrono::hours(1);
};

}  // namespace

Result<ExitCode> run_chat(const ChatSetup& setup, ChatSession session) {
    return ChatLoop(setup, std::move(session)).run();
}

Result<ExitCode> run_once(const ChatSetup& setup, ChatSession session, const std::string& prompt) {
    session.add_user(prompt);
    ModelInput input = setup.raw ? NEREUS_TRY(raw_input(setup.opened.text, prompt))
                                 : NEREUS_TRY(chat_input(setup.opened.text, session));
    const auto view = setup.json ? create_json_view(setup.streams)
                                 : create_plain_view(setup.streams, session.settings.think);
    const InterruptWatch interrupts;
    const Answer answer =
        NEREUS_TRY(answer_once(setup, session, std::move(input), *view, interrupts));
    if (setup.show_stats && !setup.json) {
        setup.streams.to_err()(describe_answer(answer, setup.engine.limits().context_tokens) +
                               "\n");
    }
    if (!setup.streams.write_status.ok()) {
        print_error(setup.streams.write_status.error());
        return kExitFailure;
    }
    if (interrupts.count() > 0) {
        return kExitInterrupted;
    }
    const std::string full = describe_full_context(answer, session.settings.max_new_tokens,
                                                   setup.engine.limits().context_tokens);
    if (!full.empty()) {
        return make_error(ErrorCode::kOutOfMemory, "{}", full);
    }
    return kExitOk;
}

}  // namespace nereus
