#include "terminal/layout/wrap_writer.h"

#include <gtest/gtest.h>

#include "terminal/layout/table.h"

namespace nereus {
namespace {

std::string wrapped_at(int columns, std::string_view text, int indent = 0, size_t piece = 1000) {
    std::string out;
    WrapWriter wrap([&](std::string_view bytes) { out += bytes; }, columns);
    wrap.set_indent(indent);
    while (!text.empty()) {
        wrap.write(text.substr(0, piece));
        text.remove_prefix(std::min(piece, text.size()));
    }
    wrap.flush();
    return out;
}

TEST(WrapWriter, breaks_between_words_and_drops_the_space_there) {
    EXPECT_EQ(wrapped_at(9, "one two three"), "one two\nthree");
    EXPECT_EQ(wrapped_at(7, "one two"), "one two");
    EXPECT_EQ(wrapped_at(0, "one two three four"), "one two three four");
}

TEST(WrapWriter, breaks_words_longer_than_a_row) {
    EXPECT_EQ(wrapped_at(4, "abcdefghij"), "abcd\nefgh\nij");
    EXPECT_EQ(wrapped_at(6, "ab cdefghijkl"), "ab\ncdefgh\nijkl");
}

TEST(WrapWriter, wide_characters_break_anywhere_and_count_twice) {
    EXPECT_EQ(wrapped_at(5, "中文字"), "中文\n字");
    EXPECT_EQ(wrapped_at(5, "a中文字"), "a中文\n字");
}

TEST(WrapWriter, keeps_newlines_indent_and_inner_spaces) {
    EXPECT_EQ(wrapped_at(20, "a  b\n\n  c"), "a  b\n\n  c");
    EXPECT_EQ(wrapped_at(14, "one two three four", 2), "one two three\n  four");
    EXPECT_EQ(wrapped_at(9, "one two three", 4), "one two\nthree");  // too narrow to indent
}

TEST(WrapWriter, does_not_depend_on_the_pieces) {
    const std::string text =
        "The quick brown fox jumps over the lazy dog.\n  And again: aaaaaaaaaa";
    for (int columns = 3; columns < 30; ++columns) {
        for (const size_t piece : {1U, 2U, 7U}) {
            EXPECT_EQ(wrapped_at(columns, text, 1, piece), wrapped_at(columns, text, 1));
        }
    }
}

TEST(WrapWriter, styles_take_no_columns_and_stay_with_their_word) {
    std::string out;
    WrapWriter wrap([&](std::string_view bytes) { out += bytes; }, 7);
    wrap.write("one ");
    wrap.write_style(sgr::kBold);
    wrap.write("two");
    wrap.write_style(sgr::kReset);
    wrap.write(" x");
    wrap.flush();
    EXPECT_EQ(out, "one \x1b[1mtwo\x1b[0m\nx");
}

TEST(WrapWriter, counts_the_rows_it_made_and_those_the_terminal_made) {
    WrapWriter wrap([](std::string_view) {}, 5);
    wrap.write("one two three\n");
    EXPECT_EQ(wrap.n_rows(), 3);
    wrap.write_verbatim("0123456789ab");
    EXPECT_EQ(wrap.n_rows(), 5);
    EXPECT_EQ(wrap.column(), 2);
}

TEST(FormatTable, pads_missing_cells_and_ignores_surplus_ones) {
    EXPECT_EQ(format_table({"| a | b |", "|--|--|", "| 1 |", "| 2 | 3 | 4 |"}, 40),
              (std::vector<std::string>{"a │ b", "──┼──", "1 │ ", "2 │ 3"}));
}

TEST(FormatTable, an_escaped_bar_is_text_and_markers_vanish) {
    EXPECT_EQ(format_table({"| x |", "|:-:|", "| `a\\|b` |", "| **c** |"}, 40),
              (std::vector<std::string>{"x", "───", "a|b", "c"}));
}

TEST(FormatTable, what_is_no_table_comes_back) {
    const std::vector<std::string> lines = {"| a | b |", "| c | d |"};
    EXPECT_EQ(format_table(lines, 40), lines);
    EXPECT_EQ(format_table({"| a |"}, 40), std::vector<std::string>{"| a |"});
    EXPECT_EQ(format_table({"|", "|-|"}, 40), (std::vector<std::string>{"|", "|-|"}));
}

}  // namespace
}  // namespace nereus
