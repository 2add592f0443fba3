#include "terminal/progress.h"

#include <gtest/gtest.h>

#include "terminal/testing/fake_terminal.h"
#include "terminal/thinking.h"

namespace nereus {
namespace {

using std::chrono::milliseconds;

struct Recorder {
    std::string bytes;
    int n_draws = 0;
    TerminalSink sink() {
        return [this](std::string_view text) {
            bytes += text;
            ++n_draws;
        };
    }
};

TEST(Progress, draws_at_most_ten_times_a_second_and_not_for_short_waits) {
    Recorder seen;
    const auto start = Progress::Clock::now();
    Progress progress(seen.sink(), ProgressMode::kBar, "Loading", 80, start);
    for (int ms = 0; ms < 2000; ++ms) {
        progress.update(ms / 2000.0, start + milliseconds(ms));
        if (ms < 300) {
            ASSERT_EQ(seen.n_draws, 0);
        }
    }
    EXPECT_GE(seen.n_draws, 15);
    EXPECT_LE(seen.n_draws, 18);
}

TEST(Progress, shows_share_and_time_left_and_erases_itself) {
    Recorder seen;
    const auto start = Progress::Clock::now();
    Progress progress(seen.sink(), ProgressMode::kBar, "Loading", 60, start);
    progress.update(0.25, start + milliseconds(1000));
    FakeTerminal screen(60, 10);
    screen.write(seen.bytes);
    EXPECT_EQ(screen.rows()[0], "Loading [#######-----------------------]  25 %, 3 s left");
    progress.finish();
    screen.write(seen.bytes);
    EXPECT_TRUE(screen.rows().empty());
}

TEST(Progress, stays_on_one_row_of_any_window) {
    for (int columns = 1; columns < 100; ++columns) {
        Recorder seen;
        const auto start = Progress::Clock::now();
        Progress progress(seen.sink(), ProgressMode::kBar, "Reading the prompt", columns, start);
        progress.update(0.001, start + milliseconds(5000));
        FakeTerminal screen(std::max(columns, 4), 10);
        screen.write(seen.bytes);
        EXPECT_EQ(screen.rows().size(), 1U) << columns;
    }
}

TEST(Progress, json_lines_and_silence) {
    const auto start = Progress::Clock::now();
    Recorder json, silent;
    Progress(json.sink(), ProgressMode::kJson, "Loading", 80, start)
        .update(0.5, start + milliseconds(400));
    EXPECT_EQ(json.bytes, "{\"type\":\"progress\",\"label\":\"Loading\",\"fraction\":0.5}\n");
    Progress(silent.sink(), ProgressMode::kSilent, "Loading", 80, start)
        .update(0.5, start + milliseconds(400));
    EXPECT_EQ(silent.n_draws, 0);
}

TerminalTraits terminal(int columns, int rows) {
    return {.is_terminal = true, .can_style = true, .columns = columns, .rows = rows};
}

std::vector<std::string> folded(std::string_view text, int columns, int rows,
                                const TerminalTraits& now) {
    FakeTerminal screen(columns, rows);
    const auto sink = [&](std::string_view bytes) { screen.write(bytes); };
    sink("before\n");
    ThinkingView view(sink, terminal(columns, rows), true);
    view.write(text.substr(0, text.size() / 2));
    view.write(text.substr(text.size() / 2));
    view.finish("thought for 1 s", now);
    sink("answer");
    return screen.rows();
}

TEST(ThinkingView, folds_into_one_line_at_any_width) {
    const std::string text =
        "\nFirst I add seven and five, which is twelve.\n\nThen the rest 中文.";
    for (int columns = 16; columns < 90; ++columns) {
        EXPECT_EQ(folded(text, columns, 24, terminal(columns, 24)),
                  (std::vector<std::string>{"before", "thought for 1 s", "answer"}))
            << columns;
    }
}

TEST(ThinkingView, stays_when_it_scrolled_or_the_window_changed) {
    const std::string text = "a\nb\nc\nd\ne\nf\ng\nh";
    const auto scrolled = folded(text, 40, 5, terminal(40, 5));
    EXPECT_EQ(scrolled.front(), "before");
    EXPECT_EQ(scrolled[1], "a");
    EXPECT_EQ(scrolled[9], "thought for 1 s");
    EXPECT_EQ(folded(text, 40, 24, terminal(50, 24))[1], "a");
}

TEST(ThinkingView, hidden_reasoning_leaves_the_summary_only) {
    FakeTerminal screen(40, 24);
    ThinkingView view([&](std::string_view bytes) { screen.write(bytes); }, terminal(40, 24),
                      false);
    view.write("secret\x1b[2J");
    view.finish("thought", terminal(40, 24));
    EXPECT_EQ(screen.rows(), std::vector<std::string>{"thought"});
}

}  // namespace
}  // namespace nereus
