// What an answer looks like where it goes: a pipe, JSON lines, a terminal with and without styles.

#include "apps/chat_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/json.h"

namespace nereus {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Shown {
    std::string out, err;
};

Shown shown(const std::function<void()>& body) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    body();
    return {testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

ReplyEvent reasoning(const std::string& text) { return {ReplyPart::kReasoning, text}; }
ReplyEvent answer(const std::string& text) { return {ReplyPart::kAnswer, text}; }

using MakeView = std::unique_ptr<AnswerView> (*)(ChatStreams&, ThinkMode);

/// A view fed with these events, then finished.
Shown view_of(MakeView make, const std::vector<ReplyEvent>& events,
              ThinkMode think = ThinkMode::kOn, ChatStreams streams = {}) {
    return shown([&] {
        const auto view = make(streams, think);
        const Answer so_far;
        for (const ReplyEvent& event : events) {
            view->text(event, so_far);
        }
        view->finish(so_far);
    });
}

std::unique_ptr<AnswerView> json_view(ChatStreams& streams, ThinkMode) {
    return create_json_view(streams);
}

/// Terminals that can style, as wide as asked for.
ChatStreams styled_streams(int columns = 80) {
    ChatStreams streams;
    streams.wishes.term = "xterm";
    streams.out = {true, true, columns, 24};
    streams.err = streams.out;
    return streams;
}

TEST(PlainView, the_answer_alone_is_on_stdout_and_the_reasoning_on_stderr) {
    const Shown both = view_of(create_plain_view, {reasoning("Let me\nsee."), answer("It is 4.")});
    EXPECT_EQ(both.out, "It is 4.\n");
    EXPECT_THAT(both.err, HasSubstr("Let me\nsee."));
}

TEST(PlainView, ends_with_exactly_one_newline_of_its_own_or_the_answers) {
    EXPECT_EQ(view_of(create_plain_view, {answer("a")}).out, "a\n");
    EXPECT_EQ(view_of(create_plain_view, {answer("a\n")}).out, "a\n");
    EXPECT_EQ(view_of(create_plain_view, {answer("a\n\n")}).out, "a\n\n");
    EXPECT_EQ(view_of(create_plain_view, {}).out, "\n");
    EXPECT_EQ(view_of(create_plain_view, {reasoning("only thought")}).out, "\n");
}

TEST(PlainView, a_pipe_gets_the_answer_byte_for_byte_however_it_was_cut) {
    const std::string text = "# Head\n\n* **bold** `code`\n\n```c\nint x;\n```\n| a | b |\n";
    for (const size_t piece : {1U, 3U, 1000U}) {
        std::vector<ReplyEvent> events;
        for (size_t at = 0; at < text.size(); at += piece) {
            events.push_back(answer(text.substr(at, piece)));
        }
        EXPECT_EQ(view_of(create_plain_view, events).out, text) << piece;
    }
}

TEST(PlainView, hidden_thinking_leaves_no_letter_of_itself) {
    const Shown hidden =
        view_of(create_plain_view, {reasoning("SECRET"), answer("4")}, ThinkMode::kHide);
    EXPECT_EQ(hidden.out, "4\n");
    EXPECT_THAT(hidden.err, Not(HasSubstr("SECRET")));
}

TEST(ChatView, reasoning_is_on_stdout_before_the_answer) {
    const Shown both = view_of(create_chat_view, {reasoning("why"), answer("because")});
    EXPECT_LT(both.out.find("why"), both.out.find("because"));
    EXPECT_EQ(both.err, "");
}

TEST(ChatView, without_styles_no_escape_is_written) {
    const Shown plain = view_of(create_chat_view, {reasoning("why"), answer("**so**")});
    EXPECT_THAT(plain.out, Not(HasSubstr("\x1b")));
}

TEST(ChatView, with_styles_the_thinking_is_dim_and_ended_before_the_answer) {
    const Shown styled = view_of(create_chat_view, {reasoning("why"), answer("so")}, ThinkMode::kOn,
                                 styled_streams());
    EXPECT_THAT(styled.out, HasSubstr(sgr::kDim));
    const size_t reset = styled.out.rfind(sgr::kReset, styled.out.find("so"));
    EXPECT_NE(reset, std::string::npos);
    EXPECT_GT(reset, styled.out.find("why"));
}

TEST(ChatView, a_model_cannot_send_control_codes_to_the_terminal) {
    for (const char* hostile :
         {"\x1b]0;title\x07", "\x1b[2J", "\2331m", "a\rb", "\x08\x08"}) {  // \233: one byte CSI
        for (const bool thought : {false, true}) {
            const std::vector<ReplyEvent> events =
                thought ? std::vector<ReplyEvent>{reasoning(hostile), answer("x")}
                        : std::vector<ReplyEvent>{answer(hostile)};
            const std::string out =
                view_of(create_chat_view, events, ThinkMode::kOn, styled_streams()).out;
            EXPECT_THAT(out, AllOf(Not(HasSubstr("\x1b]")), Not(HasSubstr("\x1b[2J")),
                                   Not(HasSubstr("\x07")), Not(HasSubstr("\x08"))));
        }
    }
}

TEST(ChatView, words_are_broken_at_the_width_of_the_window) {
    std::string words;
    for (int i = 0; i < 30; ++i) {
        words += "word ";
    }
    const std::string out =
        view_of(create_chat_view, {answer(words)}, ThinkMode::kOn, styled_streams(20)).out;
    size_t begin = 0;
    for (size_t end = out.find('\n'); end != std::string::npos; end = out.find('\n', begin)) {
        EXPECT_LE(text_columns(out.substr(begin, end - begin)), 20);
        begin = end + 1;
    }
    EXPECT_GT(std::count(out.begin(), out.end(), '\n'), 6);
}

std::vector<Json> lines_of(const std::string& out) {
    std::vector<Json> lines;
    size_t begin = 0;
    for (size_t end = out.find('\n'); end != std::string::npos; end = out.find('\n', begin)) {
        const auto json = parse_json(out.substr(begin, end - begin), "line");
        EXPECT_TRUE(json.ok()) << out;
        lines.push_back(json.ok() ? *json : Json());
        begin = end + 1;
    }
    EXPECT_EQ(begin, out.size()) << "the last line is whole";
    return lines;
}

TEST(JsonView, is_one_object_a_line_whatever_the_text_holds) {
    const std::string nasty = "line\nbreak \"quoted\" \\ \x01 世界 \xf0\x9f\x98\x80";
    const Shown json = view_of(json_view, {reasoning(nasty), answer(nasty), answer("")});
    EXPECT_EQ(json.err, "");
    const auto lines = lines_of(json.out);
    ASSERT_EQ(lines.size(), 4U);
    EXPECT_EQ(lines[0], (Json{{"type", "reasoning"}, {"text", nasty}}));
    EXPECT_EQ(lines[1], (Json{{"type", "answer"}, {"text", nasty}}));
    EXPECT_EQ(lines[3]["type"], "done");
}

TEST(JsonView, prefill_has_both_numbers) {
    ChatStreams streams;
    const Shown json = shown([&] {
        const auto view = create_json_view(streams);
        view->prefill(256, 1000);
        view->waiting();
        view->prefill(1000, 1000);
    });
    const auto lines = lines_of(json.out);
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0], (Json{{"type", "prefill"}, {"done", 256}, {"total", 1000}}));
    EXPECT_EQ(lines[1]["done"], 1000);
}

TEST(PrefillBar, is_drawn_only_where_somebody_sees_it) {
    const auto err_of = [](ChatStreams streams) {
        return shown([&] {
                   const auto view = create_plain_view(streams, ThinkMode::kOn);
                   view->prefill(1, 4);
                   view->waiting();
                   view->prefill(0, 0);  // divides by nothing
                   view->finish({});
               })
            .err;
    };
    EXPECT_EQ(err_of({}), "");
    ChatStreams only_out = styled_streams();
    only_out.err = {};
    EXPECT_EQ(err_of(only_out), "");
}

TEST(ChatStreams, the_first_failed_write_is_kept_and_later_ones_are_not_tried) {
    ChatStreams streams;
    streams.write_status = make_error(ErrorCode::kIo, "the disk was full");
    const Shown nothing = shown([&] { streams.to_out()("more"); });
    EXPECT_EQ(nothing.out, "");
    EXPECT_EQ(streams.write_status.error().message, "the disk was full");
}

}  // namespace
}  // namespace nereus
