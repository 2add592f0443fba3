#include "terminal/style.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace nereus {
namespace {

TEST(Style, no_control_character_survives) {
    EXPECT_EQ(neutralise("a\x1b[2Jb\x07"), "a␛[2Jb␇");
    EXPECT_EQ(neutralise("tab\tand\nnewline stay\r\n"), "tab\tand\nnewline stay\n");
    EXPECT_EQ(neutralise("\x7f"), "␡");
    EXPECT_EQ(neutralise("\xc2\x9b"
                         "31m"),
              "\xef\xbf\xbd"
              "31m");                                       // C1 control sequence introducer
    EXPECT_EQ(neutralise("\xe2\x80\xae"), "\xef\xbf\xbd");  // right-to-left override
    EXPECT_EQ(neutralise("bad \xff byte"), "bad \xef\xbf\xbd byte");
    EXPECT_EQ(neutralise_line("a\nb\tc\r"), "a␊b␉c␍");
}

TEST(Style, ordinary_text_of_any_script_is_untouched) {
    const std::string text = "Grüße, 你好, مرحبا, 🦙 e\xcc\x81";
    EXPECT_EQ(neutralise(text), text);
}

TEST(Style, columns_know_wide_and_combining_characters) {
    EXPECT_EQ(text_columns("abc"), 3);
    EXPECT_EQ(text_columns("中文"), 4);
    EXPECT_EQ(text_columns("e\xcc\x81"), 1);
}

TEST(Style, a_pipe_is_no_terminal_and_gets_no_styles) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const TerminalTraits traits = traits_of(ends[1], {.no_color = false, .term = "xterm"});
    EXPECT_FALSE(traits.is_terminal);
    EXPECT_EQ(styled("x", sgr::kBold, traits), "x");
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(Style, styles_are_closed_where_they_are_wanted) {
    EXPECT_EQ(styled("x", sgr::kBold, {.is_terminal = true, .can_style = true}), "\x1b[1mx\x1b[0m");
}

TEST(Style, notes_break_at_words_and_only_on_terminals) {
    EXPECT_EQ(wrapped("one two three", {.is_terminal = true, .columns = 9}), "one two\nthree");
    EXPECT_EQ(wrapped("one two three", {.columns = 9}), "one two three");
}

}  // namespace
}  // namespace nereus
