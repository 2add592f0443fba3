// The keys one by one, on texts of all widths: motions, kills, words, history, limits; and the
// drawing of what they leave.

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/unicode.h"
#include "terminal/editor/edit_machine.h"
#include "terminal/editor/history.h"
#include "terminal/editor/keys.h"
#include "terminal/editor/screen.h"
#include "terminal/testing/fake_terminal.h"

namespace nereus {
namespace {

constexpr std::string_view kLeft = "\x1b[D", kRight = "\x1b[C", kUp = "\x1b[A", kDown = "\x1b[B";
constexpr std::string_view kWordLeft = "\x1b[1;5D", kWordRight = "\x1b[1;5C";
constexpr std::string_view kHome = "\x1b[H", kEnd = "\x1b[F", kDelete = "\x1b[3~";

struct Hands {
    std::vector<std::string> entries;
    EditMachine machine{entries, {}};
    KeyParser keys;
    EditResult last = EditResult::kContinue;

    explicit Hands(std::vector<std::string> history = {}) : entries(std::move(history)) {
        machine.clear();
    }
    /// The text with "|" at the cursor.
    std::string type(std::string_view bytes) {
        keys.feed(bytes);
        while (const auto press = keys.next()) {
            last = machine.apply(*press);
        }
        std::string text = machine.text();
        return text.insert(machine.cursor(), "|");
    }
};

std::string typed(std::initializer_list<std::string_view> parts) {
    Hands hands;
    std::string shown = "|";
    for (const std::string_view part : parts) {
        shown = hands.type(part);
    }
    return shown;
}

TEST(EditorMotion, left_and_right_stop_at_the_ends) {
    EXPECT_EQ(typed({"ab", kLeft, kLeft, kLeft, "x"}), "x|ab");
    EXPECT_EQ(typed({"ab", kRight, "x"}), "abx|");
    EXPECT_EQ(typed({kLeft, kRight, kHome, kEnd, kUp, kDown, kWordLeft, kWordRight}), "|");
}

TEST(EditorMotion, one_step_is_one_character_with_all_its_marks) {
    EXPECT_EQ(typed({"ae\u0301\u0323b", kLeft, kLeft}), "a|e\u0301\u0323b");
    EXPECT_EQ(typed({"中🙂x", kLeft, kLeft}), "中|🙂x");
    EXPECT_EQ(typed({"e\u0301x", kHome, kRight}), "e\u0301|x");
    EXPECT_EQ(typed({"❤\ufe0fx", kLeft, kLeft}), "|❤\ufe0fx");  // variation selector
}

TEST(EditorMotion, control_keys_do_what_arrows_do) {
    EXPECT_EQ(typed({"abc", "\x02\x02", "x"}), "ax|bc");            // Ctrl+B
    EXPECT_EQ(typed({"abc", "\x01\x06", "x"}), "ax|bc");            // Ctrl+A, Ctrl+F
    EXPECT_EQ(typed({"abc", "\x01\x05", "x"}), "abcx|");            // Ctrl+E
    EXPECT_EQ(typed({"abc", "\x1b[1~", "x", "\x1b[4~"}), "xabc|");  // VT spellings
    EXPECT_EQ(typed({"abc", "\x1bOH", "x", "\x1bOF"}), "xabc|");    // application mode
    EXPECT_EQ(typed({"abc", "\x1b[7~", "x", "\x1b[8~"}), "xabc|");  // rxvt
}

TEST(EditorMotion, words_are_letters_digits_and_underscores_of_any_script) {
    EXPECT_EQ(typed({"one two_2, three", kWordLeft}), "one two_2, |three");
    EXPECT_EQ(typed({"one two_2, three", kWordLeft, kWordLeft}), "one |two_2, three");
    EXPECT_EQ(typed({"one two", kHome, kWordRight}), "one| two");
    EXPECT_EQ(typed({"one two", kHome, kWordRight, kWordRight, kWordRight}), "one two|");
    EXPECT_EQ(typed({"naïve Ärger", kWordLeft}), "naïve |Ärger");
    EXPECT_EQ(typed({"...", kWordLeft}), "|...");
    EXPECT_EQ(typed({"a  b", "\x1b[1;3D"}), "a  |b");  // Alt+Left
}

TEST(EditorMotion, home_and_end_are_those_of_the_line) {
    EXPECT_EQ(typed({"one\x1b\rtwo", kHome, "x"}), "one\nx|two");
    EXPECT_EQ(typed({"one\x1b\rtwo", kHome, kLeft, kHome, "x"}), "x|one\ntwo");
    EXPECT_EQ(typed({"one\x1b\rtwo", kUp, kEnd, "x"}), "onex|\ntwo");
}

TEST(EditorMotion, up_and_down_keep_the_column_in_columns_not_bytes) {
    EXPECT_EQ(typed({"中文字\x1b\rabcdef", kLeft, kLeft, kUp}), "中文|字\nabcdef");
    EXPECT_EQ(typed({"ab\x1b\rabcdef", kUp}), "ab|\nabcdef");
    EXPECT_EQ(typed({"abcdef\x1b\rab", kUp, kDown}), "abcdef\nab|");
}

TEST(EditorErase, backspace_and_delete_take_whole_characters) {
    EXPECT_EQ(typed({"ae\u0301", "\x7f"}), "a|");
    EXPECT_EQ(typed({"a中", "\b"}), "a|");
    EXPECT_EQ(typed({"e\u0301x", kHome, kDelete}), "|x");
    EXPECT_EQ(typed({"ab", kHome, "\x04"}), "|b");  // Ctrl+D with a text
    EXPECT_EQ(typed({"ab", kDelete}), "ab|");
    EXPECT_EQ(typed({kDelete, "\x7f"}), "|");
    EXPECT_EQ(typed({"a\x1b\r", "\x7f"}), "a|");  // joins lines
    EXPECT_EQ(typed({"a\x1b\rb", kHome, "\x7f"}), "a|b");
}

TEST(EditorKill, takes_to_the_ends_of_the_line_and_yank_brings_back_the_last) {
    EXPECT_EQ(typed({"one two", kWordLeft, "\x0b"}), "one |");
    EXPECT_EQ(typed({"one two", kWordLeft, "\x15"}), "|two");
    EXPECT_EQ(typed({"one two", kWordLeft, "\x15", kEnd, " ", "\x19"}), "two one |");
    EXPECT_EQ(typed({"a b", "\x17", "\x17", "\x19\x19"}), "a a |");
    EXPECT_EQ(typed({"one\x1b\rtwo", "\x15"}), "one\n|");
    EXPECT_EQ(typed({"one\x1b\rtwo", kUp, kHome, "\x0b"}), "|\ntwo");
}

TEST(EditorKill, killing_nothing_keeps_what_was_killed_before) {
    EXPECT_EQ(typed({"one", "\x15", "\x15\x0b\x17", "\x19"}), "one|");
    EXPECT_EQ(typed({"\x19"}), "|");
}

TEST(EditorKill, a_word_back_includes_the_space_after_it) {
    EXPECT_EQ(typed({"one two   ", "\x17"}), "one |");
    EXPECT_EQ(typed({"one", "\x1b\x7f"}), "|");  // Alt+Backspace
    EXPECT_EQ(typed({"a-b", "\x17"}), "a-|");
}

TEST(EditorHistory, is_walked_from_the_newest_and_edits_of_it_are_not_kept) {
    Hands hands({"first", "second"});
    EXPECT_EQ(hands.type(kUp), "second|");
    EXPECT_EQ(hands.type("!"), "second!|");
    EXPECT_EQ(hands.type(kUp), "first|");
    EXPECT_EQ(hands.type(kDown), "second|");
    EXPECT_EQ(hands.entries, (std::vector<std::string>{"first", "second"}));
}

TEST(EditorHistory, control_p_and_n_are_up_and_down) {
    Hands hands({"first", "second"});
    EXPECT_EQ(hands.type("\x10\x10"), "first|");
    EXPECT_EQ(hands.type("\x0e"), "second|");
    EXPECT_EQ(hands.type("\x0e"), "|");
}

TEST(EditorHistory, control_c_forgets_the_walk) {
    Hands hands({"first", "second"});
    hands.type(kUp);
    EXPECT_EQ(hands.type("\x03"), "|");
    EXPECT_EQ(hands.last, EditResult::kCleared);
    EXPECT_EQ(hands.type(kUp), "second|");
}

TEST(EditorEnter, a_backslash_continues_only_at_the_end_and_not_in_a_block) {
    EXPECT_EQ(typed({"a\\\r"}), "a\n|");
    Hands middle;
    middle.type("a\\");
    middle.type(kLeft);
    middle.type("\r");
    EXPECT_EQ(middle.last, EditResult::kSubmit);
    EXPECT_EQ(typed({"\"\"\"a\\\r"}), "\"\"\"a\\\n|");
}

TEST(EditorEnter, blocks_are_submitted_without_their_quotes) {
    const std::pair<const char*, const char*> kBlocks[] = {
        {"\"\"\"one\"\"\"", "one"},         {"\"\"\"\none\ntwo\n\"\"\"", "one\ntwo"},
        {"\"\"\"\n\n\"\"\"", ""},           {"\"\"\"\"\"\"", ""},
        {"\"\" no block", "\"\" no block"}, {"say \"\"\"x", "say \"\"\"x"},
    };
    for (const auto& [text, submitted] : kBlocks) {
        Hands hands;
        hands.machine.apply({Key::kPaste, text});
        hands.type("\r");
        EXPECT_EQ(hands.last, EditResult::kSubmit) << text;
        EXPECT_EQ(hands.machine.submission(), submitted) << text;
    }
}

TEST(EditorPaste, keeps_tabs_and_newlines_and_drops_every_other_control) {
    Hands hands;
    hands.type("\x1b[200~a\tb\rc\r\nd\ne\x07 \x7f\u0085\xff!\x1b[201~");
    EXPECT_EQ(hands.machine.text().substr(0, 9), "a\tb\nc\nd\ne");
    EXPECT_TRUE(is_valid_utf8(hands.machine.text()));
    for (const char c : hands.machine.text()) {
        EXPECT_TRUE(c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20);
    }
}

TEST(EditorPaste, goes_to_the_cursor_and_looks_like_keys_only_outside) {
    EXPECT_EQ(typed({"ad", kLeft, "\x1b[200~b\x1b[Dc\x1b[201~"}), "ab[Dc|d");
    EXPECT_EQ(typed({"\x1b[200~\x1b[201~x"}), "x|");
    EXPECT_EQ(typed({"x\x1b[201~y"}), "xy|");  // an end without a beginning
}

TEST(EditorLimit, a_text_of_exactly_the_limit_is_taken_and_one_byte_more_is_not) {
    Hands hands;
    hands.machine.apply({Key::kPaste, std::string(kLineBytesMax, 'x')});
    EXPECT_EQ(hands.machine.text().size(), kLineBytesMax);
    hands.machine.apply({Key::kText, "y"});
    EXPECT_EQ(hands.machine.text().size(), kLineBytesMax);
    hands.machine.apply({Key::kBackspace});
    hands.machine.apply({Key::kText, "y"});
    EXPECT_EQ(hands.machine.text().back(), 'y');
}

TEST(KeyBytes, a_megabyte_without_paste_marks_is_parsed_in_linear_time) {
    KeyParser keys;
    keys.feed(std::string(1 << 20, 'x'));
    size_t n = 0;
    while (keys.next().has_value()) {
        ++n;
    }
    EXPECT_EQ(n, size_t{1} << 20);  // with an erase a key this takes minutes
}

TEST(KeyBytes, unfinished_sequences_wait_and_giving_up_forgets_them) {
    for (const std::string_view part :
         {"\x1b", "\x1b[", "\x1b[1;", "\x1bO", "\xe4", "\xf0\x9f\x99"}) {
        KeyParser keys;
        keys.feed(part);
        EXPECT_FALSE(keys.next().has_value());
        EXPECT_TRUE(keys.waiting());
        keys.give_up();
        EXPECT_FALSE(keys.waiting());
        keys.feed("a");
        EXPECT_EQ(keys.next()->text, "a");
    }
}

TEST(KeyBytes, giving_up_never_ends_a_paste) {
    KeyParser keys;
    keys.feed("\x1b[200~half");
    EXPECT_FALSE(keys.next().has_value());
    keys.give_up();
    keys.feed(" whole\x1b[201~");
    const auto press = keys.next();
    ASSERT_TRUE(press.has_value());
    EXPECT_EQ(press->key, Key::kPaste);
    EXPECT_EQ(press->text, "half whole");
}

TEST(KeyBytes, a_sequence_without_an_end_is_dropped_before_it_grows) {
    KeyParser keys;
    keys.feed("\x1b[" + std::string(100, '1') + "mab");
    std::string text;
    while (const auto press = keys.next()) {
        text += press->key == Key::kText ? press->text : "";
    }
    EXPECT_TRUE(text.ends_with("ab"));
}

TEST(KeyBytes, random_bytes_always_end_in_keys_or_an_unfinished_one) {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        KeyParser keys;
        std::string bytes;
        for (uint64_t i = 0; i < 64; ++i) {
            const uint64_t bits = random_bits(seed, 0, i);
            bytes += bits % 3 == 0 ? '\x1b' : static_cast<char>(bits >> 16);
        }
        keys.feed(bytes);
        size_t n = 0;
        while (const auto press = keys.next()) {
            ASSERT_TRUE(is_valid_utf8(press->text) || press->key == Key::kPaste);
            ASSERT_LE(++n, bytes.size()) << seed;
        }
    }
}

TerminalTraits window(int columns, int rows) {
    return {.is_terminal = true, .can_style = true, .columns = columns, .rows = rows};
}

/// The rows of a drawing; the cursor must be where a second text would be typed.
struct Drawn {
    std::vector<std::string> rows;
    int row = 0, column = 0;
};

Drawn drawn(std::string_view text, size_t cursor, int columns, int rows = 24) {
    FakeTerminal screen(columns, rows);
    EditScreen drawing;
    EditView view;
    view.prompt = ">>> ";
    view.text = text;
    view.cursor = cursor;
    screen.write(drawing.draw(view, window(columns, rows)));
    return {screen.rows(), screen.cursor_row(), screen.cursor_column()};
}

TEST(EditDrawing, wide_characters_never_straddle_the_edge) {
    for (int columns = 6; columns < 24; ++columns) {
        const Drawn seen = drawn("中文字中文字中文字中文字", 36, columns);
        std::string joined;
        for (const std::string& row : seen.rows) {
            EXPECT_LT(text_columns(row), columns);
            joined += row;
        }
        EXPECT_EQ(joined.substr(joined.find("中")), "中文字中文字中文字中文字");
    }
}

TEST(EditDrawing, the_cursor_stands_before_its_character_in_every_window) {
    const std::string text = "one 中文 e\u0301 🙂 two\nthree four five six";
    for (int columns = 8; columns < 50; ++columns) {
        for (size_t cursor = 0; cursor <= text.size(); ++cursor) {
            const std::string_view before = std::string_view(text).substr(0, cursor);
            if (!is_valid_utf8(before) || cursor == 0) {
                continue;
            }
            // What is drawn up to the cursor ends where the cursor is.
            const Drawn whole = drawn(text, cursor, columns);
            const Drawn part = drawn(before, cursor, columns);
            const bool wraps_later = part.row != whole.row;  // a word's end at the very edge
            if (!wraps_later &&
                column_width(next_code_point(text.substr(cursor) + " ").value) > 0) {
                EXPECT_EQ(part.column, whole.column) << columns << " " << cursor;
            }
            EXPECT_LE(std::abs(part.row - whole.row), 1);
        }
    }
}

TEST(EditDrawing, tabs_are_four_columns) {
    const Drawn seen = drawn("a\tb", 3, 40);
    EXPECT_EQ(seen.rows[0], ">>> a    b");
    EXPECT_EQ(seen.column, 10);
}

TEST(EditDrawing, a_wider_and_a_lower_window_are_drawn_afresh) {
    const std::string text = "one two three four five six seven eight nine ten";
    FakeTerminal screen(80, 24);
    EditScreen drawing;
    EditView view;
    view.prompt = ">>> ";
    view.text = text;
    view.cursor = text.size();
    screen.write("above\n");
    for (const int columns : {20, 79, 33, 80, 12, 80}) {
        screen.write(drawing.draw(view, window(columns, 24)));
    }
    EXPECT_EQ(screen.rows().back(), ">>> " + text);
}

TEST(EditDrawing, windows_of_one_row_or_few_columns_do_no_harm) {
    for (int columns = 1; columns < 8; ++columns) {
        for (int rows = 1; rows < 4; ++rows) {
            EditScreen drawing;
            EditView view;
            view.prompt = ">>> ";
            view.text = "hello 中";
            view.cursor = 3;
            const std::string bytes = drawing.draw(view, window(columns, rows));
            EXPECT_NE(bytes.find("\x1b[J"), std::string::npos);
            EXPECT_LE(std::count(bytes.begin(), bytes.end(), '\n'), std::max(0, rows - 2));
        }
    }
}

TEST(EditDrawing, without_styles_nothing_is_coloured) {
    EditScreen drawing;
    EditView view;
    view.prompt = ">>> ";
    view.placeholder = "Say something";
    TerminalTraits plain = window(80, 24);
    plain.can_style = false;
    EXPECT_EQ(drawing.draw(view, plain).find('m', 0),
              drawing.draw(view, plain).find("mething"));  // no "\x1b[..m"
}

TEST(EditDrawing, a_placeholder_that_does_not_fit_is_left_out) {
    FakeTerminal screen(20, 24);
    EditScreen drawing;
    EditView view;
    view.prompt = ">>> ";
    view.placeholder = "Say something long (/help)";
    screen.write(drawing.draw(view, window(20, 24)));
    EXPECT_EQ(screen.rows(), std::vector<std::string>{">>>"});
}

}  // namespace
}  // namespace nereus
