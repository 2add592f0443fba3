// Every construct of Markdown, split at every byte, in windows of several widths: the screen is
// always that of the whole text, and what was shown once is never taken back.

#include <gtest/gtest.h>

#include "terminal/markdown.h"
#include "terminal/testing/fake_terminal.h"

namespace nereus {
namespace {

struct Construct {
    const char* name;
    const char* text;
};

constexpr Construct kConstructs[] = {
    {"prose", "The quick brown fox jumps over the lazy dog.\nAnd again.\n"},
    {"blank_lines", "one\n\n\ntwo\n\n"},
    {"carriage_returns", "one\r\ntwo\r\n"},
    {"bold", "some **bold words** here"},
    {"italic_star", "some *slanted words* here"},
    {"italic_underscore", "some _slanted words_ here"},
    {"both", "***all of it*** and more"},
    {"nested", "**bold with *slanted* inside** out"},
    {"bold_at_end", "ends **bold**"},
    {"bold_before_punctuation", "(**bold**), **more**."},
    {"unclosed_bold", "this **never closes\nnext line"},
    {"unclosed_code", "this `never closes\nnext line"},
    {"stars_alone", "a * b ** c *** d **** e"},
    {"product", "2*3*4 = 24 and x**2"},
    {"snake_case", "a snake_case_name and __init__ and _x"},
    {"code", "call `f(*x*, **y)` now"},
    {"double_code", "call ``a`b`` now"},
    {"code_in_bold", "**see `f()` there**"},
    {"escapes", "\\*no\\* \\_no\\_ \\`no\\` \\# \\\\ \\q"},
    {"backslash_at_end", "path\\\nnext"},
    {"heading_1", "# Title\ntext"},
    {"heading_6", "###### Small *one*\ntext"},
    {"heading_7", "####### none\ntext"},
    {"heading_no_space", "#hashtag\ntext"},
    {"heading_empty", "#\n##\n# \ntext"},
    {"bullets", "- one\n* two\n+ three\n"},
    {"numbers", "1. one\n2) two\n123456789. nine\n1234567890. ten\n"},
    {"no_items", "-one\n1.one\n5.5\n- \n-\n1.\n*\n"},
    {"nested_items", "- one\n  - two\n    - three of some length to wrap around\n"},
    {"item_with_styles", "- **Name**: `value` and _so_ on and on and on\n"},
    {"quote", "> quoted *words*\n>tight\n> > twice\n>\nafter"},
    {"rules", "---\n***\n___\n----------\n--\n- - -\nafter"},
    {"fence", "```python\ndef f(x):\n    return x ** 2  # *no*\n```\nafter"},
    {"fence_tildes", "~~~\n```\n~~~\nafter"},
    {"fence_longer_close", "```\ncode\n`````\nafter"},
    {"fence_shorter_inside", "````\n```\ncode\n````\nafter"},
    {"fence_indented", "  ```\n  code\n  ```\nafter"},
    {"fence_unclosed", "```\ncode **never** ends\n"},
    {"fence_blank_lines", "```\n\n\n  x\n\n```\n"},
    {"fence_empty", "```\n```\nafter"},
    {"fence_long_line", "```\nlong_line_of_code_that_is_wider_than_any_small_window();\n```\n"},
    {"table", "| A | B |\n|---|---|\n| 1 | two |\n| three | 4 |\nafter"},
    {"table_aligned", "| A | B |\n|:--|--:|\n| `x` | **y** |\n"},
    {"table_wide", "| Name | Description |\n|-|-|\n| x | a text that needs a lot of room |\n"},
    {"table_ragged", "| A | B |\n|-|-|\n| 1 |\n| 1 | 2 | 3 |\n"},
    {"table_no_rule", "| A | B |\n| 1 | 2 |\nafter"},
    {"table_at_end", "| A |\n|-|\n| x |"},
    {"table_escaped_bar", "| a\\|b |\n|-|\n| c |\n"},
    {"chinese", "这是**重点**内容，很长很长很长很长很长很长很长很长很长。\n第二行"},
    {"emoji", "smile 🙂 and 🇩🇪 and 👩‍💻 and e\u0301 done"},
    {"accents", "naïve café Ünïcödé"},
    {"control", "a\x1b[31mred\x07 \x7f b\x01"},
    {"c1_and_bidi", "a\u009b31m b\u202e c"},
    {"invalid_utf8",
     "a\xff"
     "b\xc3("
     "\xe4\xb8 c\xf0\x9f\x99"},
    {"tabs", "a\tb\t\tc\n\tindented"},
    {"long_word", "a_word_of_sixty_characters_that_no_narrow_window_can_hold_in_a_row ok"},
    {"spaces", "two  spaces   three\n   indented   \n"},
    {"math", "\\( x_1 + y_2 \\) and \\[ a * b * c \\]"},
    {"html", "<b>x</b> &amp; <br/>"},
    {"link", "see [the page](https://example.org/a_b_c) and ![alt](x)"},
};

constexpr int kWidths[] = {8, 20, 40, 80};

TerminalTraits terminal(int columns) {
    return {.is_terminal = true, .can_style = true, .columns = columns, .rows = 24};
}

std::string rendered(const std::vector<std::string_view>& pieces, const TerminalTraits& traits) {
    std::string out;
    MarkdownWriter writer([&](std::string_view bytes) { out += bytes; }, traits);
    for (const std::string_view piece : pieces) {
        writer.write(piece);
    }
    writer.finish();
    return out;
}

class MarkdownCuts : public testing::TestWithParam<Construct> {};

TEST_P(MarkdownCuts, two_pieces_give_the_bytes_of_one) {
    const std::string_view text = GetParam().text;
    for (const int columns : kWidths) {
        const std::string whole = rendered({text}, terminal(columns));
        for (size_t cut = 0; cut <= text.size(); ++cut) {
            ASSERT_EQ(rendered({text.substr(0, cut), text.substr(cut)}, terminal(columns)), whole)
                << "cut at " << cut << ", columns " << columns;
        }
    }
}

TEST_P(MarkdownCuts, single_bytes_and_empty_writes_give_the_bytes_of_one) {
    const std::string_view text = GetParam().text;
    std::vector<std::string_view> bytes;
    for (size_t i = 0; i < text.size(); ++i) {
        bytes.push_back(text.substr(i, 1));
        bytes.push_back({});
    }
    for (const int columns : kWidths) {
        EXPECT_EQ(rendered(bytes, terminal(columns)), rendered({text}, terminal(columns)));
    }
}

TEST_P(MarkdownCuts, plain_terminals_and_pipes_do_not_depend_on_cuts_either) {
    const std::string_view text = GetParam().text;
    const TerminalTraits plain{.is_terminal = true, .can_style = false};
    const std::string whole = rendered({text}, plain);
    EXPECT_EQ(whole.find('\x1b'), std::string::npos);
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        ASSERT_EQ(rendered({text.substr(0, cut), text.substr(cut)}, plain), whole) << cut;
        ASSERT_EQ(rendered({text.substr(0, cut), text.substr(cut)}, {}), text) << cut;
    }
}

TEST_P(MarkdownCuts, no_control_character_of_the_text_reaches_the_terminal) {
    // The fake terminal stops the test at any that does.
    FakeTerminal screen(40, 24);
    screen.write(rendered({GetParam().text}, terminal(40)));
    SUCCEED();
}

TEST_P(MarkdownCuts, every_style_that_begins_also_ends) {
    const std::string out = rendered({GetParam().text}, terminal(40));
    const size_t last = out.rfind("\x1b[");
    if (last != std::string::npos) {
        EXPECT_EQ(out.substr(last, sgr::kReset.size()), sgr::kReset);
    }
}

TEST_P(MarkdownCuts, letters_and_digits_all_arrive_in_order) {
    const std::string_view text = GetParam().text;
    const auto letters = [](std::string_view from) {
        std::string kept;
        for (size_t i = 0; i < from.size(); ++i) {
            if (from[i] == '\x1b') {
                i = from.find('m', i);
                continue;
            }
            const auto byte = static_cast<unsigned char>(from[i]);
            if (std::isalnum(byte) != 0) {
                kept += from[i];
            }
        }
        return kept;
    };
    const std::string name = GetParam().name;
    const bool rearranged = name.starts_with("table") || name == "control";
    if (!rearranged) {
        EXPECT_EQ(letters(rendered({text}, terminal(40))), letters(text));
    }
}

INSTANTIATE_TEST_SUITE_P(Constructs, MarkdownCuts, testing::ValuesIn(kConstructs),
                         [](const auto& test) { return std::string(test.param.name); });

std::vector<std::string> rows_of(std::string_view text, int columns) {
    FakeTerminal screen(columns, 24);
    screen.write(rendered({text}, terminal(columns)));
    return screen.rows();
}

struct Seen {
    const char* text;
    std::vector<std::string> rows;
};

TEST(MarkdownRows, each_construct_looks_like_this) {
    const Seen kSeen[] = {
        {"# Title\ntext", {"Title", "text"}},
        {"###### Small *one*", {"Small one"}},
        {"####### none", {"####### none"}},
        {"#hashtag", {"#hashtag"}},
        {"- one\n* two\n+ three", {"• one", "• two", "• three"}},
        {"1. one\n2) two", {"1. one", "2) two"}},
        {"  - nested", {"  • nested"}},
        {"> quoted\nafter", {"│ quoted", "after"}},
        {">tight", {"│ tight"}},
        {"**a** *b* _c_ `d`", {"a b c d"}},
        {"``a`b``", {"a`b"}},
        {"x **never closes", {"x **never closes"}},
        {"````\n```\n````\nafter", {"````", "```", "````", "after"}},
        {"~~~\n**x**\n~~~", {"~~~", "**x**", "~~~"}},
        {"a\\*b\\q\\", {"a*b\\q\\"}},
        {"--\n-\n1.", {"--", "-", "1."}},
        {"a\tb", {"a    b"}},
        {"1234567890. ten", {"1234567890. ten"}},
    };
    for (const Seen& seen : kSeen) {
        EXPECT_EQ(rows_of(seen.text, 40), seen.rows) << seen.text;
    }
}

TEST(MarkdownRows, a_rule_is_a_line_of_at_most_forty_columns) {
    EXPECT_EQ(text_columns(rows_of("---\nx", 80)[0]), 40);
    EXPECT_EQ(text_columns(rows_of("***\nx", 20)[0]), 19);
}

TEST(MarkdownRows, wrapped_items_and_quotes_hang_under_their_text) {
    EXPECT_EQ(rows_of("1. one two three four five", 18),
              (std::vector<std::string>{"1. one two three", "   four five"}));
    EXPECT_EQ(rows_of("> one two three four five", 18),
              (std::vector<std::string>{"│ one two three", "  four five"}));
    EXPECT_EQ(rows_of("  - one two three four", 20),
              (std::vector<std::string>{"  • one two three", "    four"}));
}

TEST(MarkdownRows, chinese_breaks_anywhere_and_never_over_the_edge) {
    for (int columns = 6; columns < 30; ++columns) {
        for (const std::string& row : rows_of("中文文本没有空格所以可以在任何地方换行", columns)) {
            EXPECT_LT(text_columns(row), columns);
        }
    }
}

TEST(MarkdownRows, no_window_is_too_narrow_to_show_every_letter) {
    for (int columns = 1; columns < 12; ++columns) {
        const std::string out =
            rendered({"- a **bold** word\n> quote\n| A |\n|-|\n| x |\n"}, terminal(columns));
        for (const char* word : {"bold", "word", "quote"}) {
            std::string joined;
            for (const char c : out) {
                joined += c == '\n' || c == ' ' ? "" : std::string(1, c);
            }
            EXPECT_NE(joined.find(word), std::string::npos) << columns << word;
        }
    }
}

TEST(MarkdownRows, a_narrowed_window_holds_for_what_comes_after) {
    std::string out;
    MarkdownWriter writer([&](std::string_view bytes) { out += bytes; }, terminal(80));
    writer.write("one two three four five\n");
    writer.set_columns(12);
    writer.write("one two three four five\n");
    writer.finish();
    EXPECT_EQ(out, "one two three four five\none two\nthree four\nfive\n");
}

TEST(MarkdownStreaming, words_appear_as_soon_as_they_are_certain) {
    std::string out;
    MarkdownWriter writer([&](std::string_view bytes) { out += bytes; }, terminal(80));
    const auto after = [&](std::string_view text) {
        writer.write(text);
        return out;
    };
    EXPECT_EQ(after("Hello wor"), "Hello");
    EXPECT_EQ(after("ld "), "Hello world");
    EXPECT_EQ(after("**bo"), "Hello world");  // could be bold or not
    EXPECT_EQ(after("ld** "), "Hello world \x1b[1mbold\x1b[0m");
    EXPECT_EQ(after("end\n"), "Hello world \x1b[1mbold\x1b[0m end\n");
}

TEST(MarkdownStreaming, code_lines_appear_before_their_end_and_tables_at_theirs) {
    std::string out;
    MarkdownWriter writer([&](std::string_view bytes) { out += bytes; }, terminal(80));
    writer.write("```\nint ma");
    EXPECT_TRUE(out.ends_with("int ma")) << out;
    writer.write("in;\n```\n");
    out.clear();
    writer.write("| A |\n|-|\n| x |\n");
    EXPECT_EQ(out, "");
    writer.write("after");
    writer.finish();
    EXPECT_EQ(out, "A\n─\nx\nafter");
}

}  // namespace
}  // namespace nereus
