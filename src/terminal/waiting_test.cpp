// What a person sees while waiting: thinking that folds, a progress line, styles and their absence.

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>

#include "base/unicode.h"
#include "terminal/progress.h"
#include "terminal/style.h"
#include "terminal/testing/fake_terminal.h"
#include "terminal/thinking.h"

namespace nereus {
namespace {

using std::chrono::milliseconds;

TerminalTraits window(int columns, int rows, bool can_style = true) {
    return {.is_terminal = true, .can_style = can_style, .columns = columns, .rows = rows};
}

constexpr std::string_view kThought =
    "First I add 7 and 5, which is 12.\nI write 2 and carry 1 中文.\n\nDone";

/// The bytes of a block of thinking, cut at `cut`.
std::string thought(std::string_view text, const TerminalTraits& traits, const TerminalTraits& now,
                    size_t cut, bool live = true) {
    std::string out;
    ThinkingView view([&](std::string_view bytes) { out += bytes; }, traits, live);
    view.write(text.substr(0, cut));
    view.write(text.substr(cut));
    view.finish("thought for 1 s", now);
    return out;
}

TEST(Thinking, cuts_inside_characters_aside_the_screen_does_not_depend_on_pieces) {
    for (const int columns : {12, 24, 80}) {
        const TerminalTraits traits = window(columns, 24);
        const std::string whole = thought(kThought, traits, traits, kThought.size());
        for (size_t cut = 0; cut < kThought.size(); ++cut) {
            if ((static_cast<unsigned char>(kThought[cut]) & 0xc0U) != 0x80U) {
                FakeTerminal one(columns, 24), two(columns, 24);
                one.write(whole);
                two.write(thought(kThought, traits, traits, cut));
                ASSERT_EQ(one.rows(), two.rows()) << cut;
            }
        }
    }
}

TEST(Thinking, is_dim_until_it_ends) {
    const std::string out = thought("abc", window(80, 24), window(80, 24), 1);
    EXPECT_EQ(out, "\x1b[2mabc\x1b[0m\r\x1b[J\x1b[2mthought for 1 s\x1b[0m\n");
}

TEST(Thinking, folds_exactly_the_rows_it_drew_when_the_text_ends_at_the_edge) {
    for (size_t n = 1; n < 70; ++n) {
        FakeTerminal screen(20, 24);
        screen.write("before\n");
        screen.write(thought(std::string(n, 'x'), window(20, 24), window(20, 24), n));
        EXPECT_EQ(screen.rows(), (std::vector<std::string>{"before", "thought for 1 s"})) << n;
    }
}

TEST(Thinking, stays_when_it_is_as_tall_as_the_window) {
    for (int rows = 3; rows < 12; ++rows) {
        std::string text = "top";
        for (int i = 0; i < 8; ++i) {
            text += "\nx";
        }
        FakeTerminal screen(40, rows);
        screen.write("before\n");
        screen.write(thought(text, window(40, rows), window(40, rows), 2));
        const auto seen = screen.rows();
        EXPECT_EQ(seen[0], "before");
        EXPECT_EQ(seen.back(), "thought for 1 s");
        EXPECT_EQ(seen[1], 8 < rows - 1 ? "thought for 1 s" : "top") << rows;
    }
}

TEST(Thinking, without_styles_the_text_stays_and_the_summary_follows_on_its_own_line) {
    const TerminalTraits plain = window(80, 24, false);
    EXPECT_EQ(thought("abc", plain, plain, 1), "abc\nthought for 1 s\n");
    EXPECT_EQ(thought("abc\n", plain, plain, 1), "abc\nthought for 1 s\n");
}

TEST(Thinking, into_a_pipe_is_the_text_and_one_newline) {
    std::string out;
    ThinkingView view([&](std::string_view bytes) { out += bytes; }, {}, true);
    view.write("a\x1b[2Jb");
    view.write("");
    view.finish("", {});
    EXPECT_EQ(out, "a\x1b[2Jb\n");
}

TEST(Thinking, that_never_began_or_was_empty_leaves_nothing_on_the_screen_but_its_summary) {
    std::string out;
    {
        ThinkingView view([&](std::string_view bytes) { out += bytes; }, window(80, 24), true);
        view.finish("thought", window(80, 24));
    }
    EXPECT_EQ(out, "");
    EXPECT_EQ(thought("\n\n", window(80, 24), window(80, 24), 1),
              "\x1b[2mthought for 1 s\x1b[0m\n");
}

TEST(Thinking, hidden_shows_no_byte_of_it_anywhere) {
    for (const TerminalTraits& traits : {window(80, 24), window(80, 24, false), TerminalTraits{}}) {
        const std::string out = thought("secret", traits, traits, 3, false);
        EXPECT_EQ(out.find("sec"), std::string::npos);
        EXPECT_EQ(out.find("ret"), std::string::npos);
    }
}

TEST(Thinking, control_characters_are_pictures) {
    const std::string out = thought("a\x1b[2Jb\x07", window(80, 3), window(80, 3), 2);
    EXPECT_NE(out.find("a␛[2Jb␇"), std::string::npos);
}

/// What one update after `ms` draws.
std::string drawn(double fraction, int ms, int columns, const std::string& label = "Loading") {
    std::string out;
    const auto start = Progress::Clock::now();
    Progress bar([&](std::string_view bytes) { out += bytes; }, ProgressMode::kBar, label, columns,
                 start);
    bar.update(fraction, start + milliseconds(ms));
    FakeTerminal screen(std::max(columns, 4), 5);
    screen.write(out);
    return screen.rows().empty() ? "" : screen.rows()[0];
}

TEST(ProgressLine, estimates_from_what_is_done) {
    EXPECT_EQ(drawn(0.5, 10'000, 80), "Loading [###############---------------]  50 %, 10 s left");
    EXPECT_EQ(drawn(0.1, 10'000, 80),
              "Loading [###---------------------------]  10 %, 1:30 min left");
    EXPECT_EQ(drawn(1.0, 10'000, 80), "Loading [##############################] 100 %, 0 s left");
    EXPECT_EQ(drawn(0.999, 1'000, 80), "Loading [#############################-]  99 %, 1 s left");
}

TEST(ProgressLine, promises_no_time_before_anything_is_done) {
    EXPECT_EQ(drawn(0, 10'000, 80), "Loading [------------------------------]   0 %");
}

TEST(ProgressLine, nonsense_fractions_stay_within_0_and_100) {
    EXPECT_EQ(drawn(-3, 1'000, 80), drawn(0, 1'000, 80));
    EXPECT_EQ(drawn(17, 1'000, 80), drawn(1, 1'000, 80));
    EXPECT_EQ(drawn(std::nan(""), 1'000, 80), drawn(0, 1'000, 80));
    EXPECT_EQ(drawn(HUGE_VAL, 1'000, 80), drawn(0, 1'000, 80));
}

TEST(ProgressLine, gives_up_the_bar_then_the_label_as_the_window_narrows) {
    EXPECT_EQ(drawn(0.5, 10'000, 40), "Loading [######------]  50 %, 10 s left");
    EXPECT_EQ(drawn(0.5, 10'000, 26), "Loading  50 %, 10 s left");
    EXPECT_EQ(drawn(0.5, 10'000, 20), "50 %");
    for (int columns = 5; columns < 100; ++columns) {
        EXPECT_LT(text_columns(drawn(0.5, 10'000, columns, "Reading 中文")), columns);
    }
}

TEST(ProgressLine, erases_itself_once_and_only_if_it_was_drawn) {
    std::string out;
    const auto start = Progress::Clock::now();
    {
        Progress never([&](std::string_view bytes) { out += bytes; }, ProgressMode::kBar, "x", 80,
                       start);
        never.update(0.5, start + milliseconds(299));
    }
    EXPECT_EQ(out, "");
    {
        Progress bar([&](std::string_view bytes) { out += bytes; }, ProgressMode::kBar, "x", 80,
                     start);
        bar.update(0.5, start + milliseconds(300));
        const size_t n = out.size();
        EXPECT_GT(n, 0U);
        bar.finish();
        EXPECT_EQ(out.substr(n), "\r\x1b[K");
        bar.finish();
    }
    EXPECT_EQ(out.substr(out.size() - 4), "\r\x1b[K");
    EXPECT_EQ(out.find("\r\x1b[K\r\x1b[K"), std::string::npos);
}

TEST(ProgressLine, json_has_no_control_codes_and_a_silent_one_no_bytes) {
    const auto start = Progress::Clock::now();
    std::string out;
    const auto sink = [&](std::string_view bytes) { out += bytes; };
    for (int ms = 0; ms < 1'000; ms += 50) {
        Progress silent(sink, ProgressMode::kSilent, "x", 80, start);
        silent.update(0.5, start + milliseconds(ms));
    }
    EXPECT_EQ(out, "");
    Progress json(sink, ProgressMode::kJson, "a \"label\"\x1b", 80, start);
    json.update(0.25, start + milliseconds(500));
    json.finish();
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
    EXPECT_EQ(out.find('\r'), std::string::npos);
    EXPECT_TRUE(out.ends_with("\"fraction\":0.25}\n")) << out;
}

TEST(Traits, come_from_the_terminal_and_the_wishes) {
    int master = -1, slave = -1;
    const winsize size = {.ws_row = 7, .ws_col = 33, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
    const auto style = [&](bool no_color, const char* term) {
        return traits_of(slave, {.no_color = no_color, .term = term}).can_style;
    };
    EXPECT_TRUE(style(false, "xterm-256color"));
    EXPECT_FALSE(style(true, "xterm"));
    EXPECT_FALSE(style(false, "dumb"));
    EXPECT_FALSE(style(false, ""));
    EXPECT_EQ(traits_of(slave, {.no_color = false, .term = "xterm"}).columns, 33);
    EXPECT_EQ(traits_of(slave, {.no_color = true, .term = "dumb"}).rows, 7);
    const winsize unknown = {.ws_row = 0, .ws_col = 0, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(slave, TIOCSWINSZ, &unknown);
    EXPECT_EQ(traits_of(slave, {.no_color = false, .term = "xterm"}).columns, 80);
    EXPECT_EQ(traits_of(slave, {.no_color = false, .term = "xterm"}).rows, 24);
    ::close(master);
    ::close(slave);
    EXPECT_FALSE(traits_of(slave, {.no_color = false, .term = "xterm"}).is_terminal);
}

TEST(Neutral, every_control_character_of_unicode_is_made_visible) {
    for (char32_t c = 0; c < 0x20; ++c) {
        std::string raw, clean;
        raw = static_cast<char>(c);
        clean = neutralise(raw);
        if (c == '\n' || c == '\t') {
            EXPECT_EQ(clean, raw);
        } else if (c == '\r') {
            EXPECT_EQ(clean, "");
        } else {
            EXPECT_EQ(clean, std::string("\xe2\x90") + static_cast<char>(0x80 + c));  // U+2400 + c
        }
        EXPECT_EQ(text_columns(neutralise_line(raw)), 1);
    }
    for (char32_t c = 0x80; c < 0xa0; ++c) {
        std::string raw;
        append_utf8(raw, c);
        EXPECT_EQ(neutralise(raw), "\xef\xbf\xbd");
    }
    for (const char* bidi : {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067",
                             "\u2068", "\u2069"}) {
        EXPECT_EQ(neutralise(bidi), "\xef\xbf\xbd");
    }
}

TEST(Neutral, is_stable) {
    const std::string once = neutralise("a\x1b\x7f\xff\u202e\r\n");
    EXPECT_EQ(neutralise(once), once);
}

}  // namespace
}  // namespace nereus
