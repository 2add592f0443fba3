#include "terminal/markdown.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "terminal/testing/fake_terminal.h"

namespace nereus {
namespace {

constexpr const char* kDocument = R"(# Title with `code`

Some **bold text** and *slanted* and _low_ and ***both***, snake_case_name, 2*3*4, a * b.
An unclosed **marker and `tick
- first item that is long enough to wrap in a narrow window, surely
- second **item**
  1. nested
> quoted text with *style*

```python
def f(x):
    return x ** 2   # not *styled*
~~~
```
After the code. 中文文本很长很长很长很长很长很长很长很长。

| Name | Value |
|------|:-----:|
| **a** | 1 |
| long name here | 22 |

---
\*not slanted\* \( x \)
12. twelve
#hashtag -dash --
)";

TerminalTraits terminal(int columns) {
    return {.is_terminal = true, .can_style = true, .columns = columns, .rows = 24};
}

std::string rendered(
    std::string_view text, const TerminalTraits& traits,
    const std::function<size_t()>& piece = [] { return SIZE_MAX; }) {
    std::string out;
    MarkdownWriter writer([&](std::string_view bytes) { out += bytes; }, traits);
    while (!text.empty()) {
        const size_t n = std::min(piece(), text.size());
        writer.write(text.substr(0, n));
        text.remove_prefix(n);
    }
    writer.finish();
    return out;
}

std::vector<std::string> rows_of(std::string_view text, int columns) {
    FakeTerminal screen(columns, 24);
    screen.write(rendered(text, terminal(columns)));
    return screen.rows();
}

/// What a reader sees of one line at a comfortable width.
std::string line_of(std::string_view text) {
    const auto rows = rows_of(text, 200);
    return rows.empty() ? "" : rows[0];
}

TEST(Markdown, does_not_depend_on_how_the_text_was_cut) {
    for (const int columns : {20, 30, 80}) {
        const std::string whole = rendered(kDocument, terminal(columns));
        EXPECT_EQ(rendered(kDocument, terminal(columns), [] { return 1U; }), whole);
        for (uint64_t seed = 0; seed < 50; ++seed) {
            SCOPED_TRACE(testing::Message() << "seed " << seed);
            uint64_t n = 0;
            ASSERT_EQ(rendered(kDocument, terminal(columns),
                               [&] { return 1 + random_bits(seed, 0, n++) % 23; }),
                      whole);
        }
    }
}

TEST(Markdown, random_text_is_never_lost_nor_does_it_depend_on_cuts) {
    constexpr std::string_view kPieces[] = {
        "*", "**",   "_",  "`",  "```", "\n", " ",   "#",     "# ",   "- ",  "| a ",
        "|", "word", "中", "\\", "1. ", "> ", "---", "~~~\n", "\n\n", "x|y", "\xc3\xa9"};
    for (uint64_t seed = 0; seed < 400; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        std::string text;
        for (uint64_t i = 0; i < 60; ++i) {
            text += kPieces[random_bits(seed, 1, i) % std::size(kPieces)];
        }
        const std::string whole = rendered(text, terminal(40));
        ASSERT_EQ(rendered(text, terminal(40), [] { return 1U; }), whole) << text;
        // Every letter arrives, whatever the markers did.
        ASSERT_EQ(std::count(whole.begin(), whole.end(), 'w'),
                  std::count(text.begin(), text.end(), 'w'))
            << text;
    }
}

TEST(Markdown, closed_markers_style_and_vanish) {
    EXPECT_EQ(rendered("a **b** c", terminal(80)), "a \x1b[1mb\x1b[0m c");
    EXPECT_EQ(rendered("`x*y*z`", terminal(80)), "\x1b[36mx*y*z\x1b[0m");
    EXPECT_EQ(line_of("***both*** and **a *b* c**"), "both and a b c");
    EXPECT_EQ(line_of("这是**重点**内容"), "这是重点内容");
}

TEST(Markdown, markers_without_meaning_stay) {
    for (const char* text : {"2*3*4 = 24", "a * b * c", "snake_case_name", "**open", "`open",
                             "f(x) = x**2", "#hashtag", "-5", "a | b", "5.5", "\\( x_1 \\)"}) {
        EXPECT_EQ(line_of(text), text);
    }
    EXPECT_EQ(line_of("\\*plain\\*"), "*plain*");
}

TEST(Markdown, words_wrap_with_a_hanging_indent) {
    EXPECT_EQ(rows_of("- one two three four\n- five", 16),
              (std::vector<std::string>{"• one two three", "  four", "• five"}));
}

TEST(Markdown, no_row_is_wider_than_the_window) {
    for (const int columns : {20, 30, 80}) {
        FakeTerminal screen(columns, 24);
        screen.write(rendered(kDocument, terminal(columns)));
        FakeTerminal wide(10000, 24);
        wide.write(rendered(kDocument, terminal(columns)));
        const auto rows = wide.rows();
        for (const std::string& row : rows) {
            const bool code =
                row.find("return x") != std::string::npos || row.find("def f") != std::string::npos;
            EXPECT_TRUE(code || text_columns(row) < columns) << row;
        }
    }
}

TEST(Markdown, code_blocks_are_verbatim) {
    const auto rows = rows_of("```c\nint *a = *b;\n\n  # x\n```\nend", 80);
    EXPECT_EQ(rows, (std::vector<std::string>{"```c", "int *a = *b;", "", "  # x", "```", "end"}));
}

TEST(Markdown, tables_are_aligned_or_become_lists) {
    constexpr std::string_view kTable = "| A | Value |\n|---|---|\n| x | 1 |\n| 中文 | 22 |\n";
    EXPECT_EQ(rows_of(kTable, 40),
              (std::vector<std::string>{"A    │ Value", "─────┼──────", "x    │ 1", "中文 │ 22"}));
    EXPECT_EQ(rows_of(kTable, 12),
              (std::vector<std::string>{"• A: x", "  Value: 1", "• A: 中文", "  Value: 22"}));
    EXPECT_EQ(line_of("| not a table"), "| not a table");
}

TEST(Markdown, a_table_without_a_last_newline_is_shown) {
    EXPECT_EQ(rows_of("| A |\n|---|\n| x |", 40).size(), 3U);
}

TEST(Markdown, control_characters_do_not_reach_the_terminal) {
    EXPECT_EQ(line_of("a\x1b[31mb"), "a␛[31mb");
    const TerminalTraits plain{.is_terminal = true, .can_style = false};
    EXPECT_EQ(rendered("a\x1b**b**", plain), "a␛**b**");
}

TEST(Markdown, a_pipe_gets_the_bytes_as_they_are) { EXPECT_EQ(rendered(kDocument, {}), kDocument); }

TEST(Markdown, held_text_is_bounded) {
    std::string out;
    MarkdownWriter writer([&](std::string_view bytes) { out += bytes; }, terminal(80));
    std::string text = "**";
    for (int i = 0; i < 1000; ++i) {
        text += "word ";
    }
    writer.write(text);
    EXPECT_GT(out.size(), 2500U);
}

}  // namespace
}  // namespace nereus
