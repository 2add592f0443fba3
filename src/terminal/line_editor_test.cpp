#include "terminal/line_editor.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/rng.h"
#include "terminal/editor/edit_machine.h"
#include "terminal/editor/history.h"
#include "terminal/editor/keys.h"
#include "terminal/editor/screen.h"
#include "terminal/testing/fake_terminal.h"

namespace nereus {
namespace {

std::vector<std::string> complete_commands(std::string_view word) {
    std::vector<std::string> words;
    for (const char* command : {"/clear", "/set", "/save", "/stats"}) {
        if (std::string_view(command).starts_with(word)) {
            words.push_back(command);
        }
    }
    return words;
}

/// Bytes in, the text with "|" at the cursor out; what ended the input last, if anything.
struct Typist {
    std::vector<std::string> entries;
    EditMachine machine{entries, complete_commands};
    KeyParser keys;
    EditResult last = EditResult::kContinue;

    explicit Typist(std::vector<std::string> history = {}) : entries(std::move(history)) {
        machine.clear();
    }
    std::string type(std::string_view bytes) {
        keys.feed(bytes);
        while (const auto press = keys.next()) {
            last = machine.apply(*press);
            if (last == EditResult::kSubmit) {
                break;
            }
        }
        std::string text = machine.text();
        return text.insert(machine.cursor(), "|");
    }
};

std::string typed(std::string_view bytes) { return Typist().type(bytes); }

constexpr const char* kLeft = "\x1b[D";
constexpr const char* kUp = "\x1b[A";
constexpr const char* kDown = "\x1b[B";

TEST(Editor, characters_of_all_widths_are_inserted_at_the_cursor) {
    EXPECT_EQ(typed("héllo 中文"), "héllo 中文|");
    EXPECT_EQ(typed(std::string("ac") + kLeft + "b"), "ab|c");
    EXPECT_EQ(typed(std::string("中文") + kLeft + "x"), "中x|文");
    EXPECT_EQ(typed(std::string("e\xcc\x81z") + kLeft + kLeft), "|e\xcc\x81z");
}

TEST(Editor, keys_do_not_depend_on_how_the_bytes_arrive) {
    const std::string bytes =
        "hé中 one two\x1b[D\x1b[1;5D\x17X\x1b[200~pas\rted\x1b[201~\x01Y\x05Z\x1b[3~\x7f";
    const std::string expected = typed(bytes);
    Typist slow;
    std::string shown;
    for (const char byte : bytes) {
        shown = slow.type({&byte, 1});
    }
    EXPECT_EQ(shown, expected);
    EXPECT_EQ(expected, "hé中 Xpas\nYtedtwo|");
}

TEST(Editor, words_lines_and_kills) {
    EXPECT_EQ(typed("one two\x01"), "|one two");
    EXPECT_EQ(typed("one two\x01\x05"), "one two|");
    EXPECT_EQ(typed("one two\x17"), "one |");
    EXPECT_EQ(typed("one two\x15"), "|");
    EXPECT_EQ(typed("one two\x1b[1;5D\x0b"), "one |");
    EXPECT_EQ(typed("one two\x1b"
                    "b\x1b"
                    "bX"),
              "X|one two");
    EXPECT_EQ(typed("one two\x17\x01\x19"), "two|one ");
    EXPECT_EQ(typed("abc\x02\x02\x04"), "a|c");
    EXPECT_EQ(typed("ab\x7f\x7f\x7f"), "|");
    EXPECT_EQ(typed("a\x1b[H\x1b[FB"), "aB|");
}

TEST(Editor, control_c_clears_then_interrupts_and_control_d_leaves_when_empty) {
    Typist typist;
    EXPECT_EQ(typist.type("text\x03"), "|");
    EXPECT_EQ(typist.last, EditResult::kCleared);
    typist.type("\x03");
    EXPECT_EQ(typist.last, EditResult::kInterrupt);
    typist.type("\x04");
    EXPECT_EQ(typist.last, EditResult::kEnd);
}

TEST(Editor, a_backslash_alt_enter_and_quotes_make_new_lines) {
    Typist typist;
    EXPECT_EQ(typist.type("one\\\rtwo\x1b\rthree"), "one\ntwo\nthree|");
    typist.type("\r");
    EXPECT_EQ(typist.last, EditResult::kSubmit);
    Typist quoted;
    quoted.type("\"\"\"\rfirst\\\r\rlast\r\"\"\"");
    EXPECT_EQ(quoted.last, EditResult::kContinue);
    quoted.type("\r");
    EXPECT_EQ(quoted.last, EditResult::kSubmit);
    EXPECT_EQ(quoted.machine.submission(), "first\\\n\nlast");
}

TEST(Editor, a_paste_is_text_and_never_submits) {
    Typist typist;
    EXPECT_EQ(typist.type("\x1b[200~one\r\ntwo\x1b[31m\x03\r\x1b[201~"), "one\ntwo[31m\n|");
    EXPECT_EQ(typist.last, EditResult::kContinue);
}

TEST(Editor, a_text_beyond_the_limit_is_refused_not_truncated) {
    Typist typist;
    typist.type("a");
    const std::string huge(kLineBytesMax, 'x');
    EXPECT_EQ(typist.type("\x1b[200~" + huge + "\x1b[201~"), "a|");
    EXPECT_EQ(typist.type("\x1b[200~" + huge + huge + "\x1b[201~b"), "ab|");
}

TEST(Editor, up_and_down_walk_lines_then_history_and_come_back_to_the_draft) {
    Typist typist({"older", "line one\nline two"});
    typist.type("draft");
    EXPECT_EQ(typist.type(kUp), "line one\nline two|");
    EXPECT_EQ(typist.type(kUp), "line one|\nline two");
    EXPECT_EQ(typist.type(kUp), "older|");
    EXPECT_EQ(typist.type(kUp), "older|");
    EXPECT_EQ(typist.type(kDown), "line one\nline two|");
    EXPECT_EQ(typist.type(kDown), "draft|");
    EXPECT_EQ(typist.type(kDown), "draft|");
}

TEST(Editor, tab_completes_what_is_common_and_shows_the_rest) {
    EXPECT_EQ(typed("/cl\t"), "/clear |");
    Typist typist;
    EXPECT_EQ(typist.type("/s\t"), "/s|");
    EXPECT_EQ(typist.machine.candidates(), (std::vector<std::string>{"/set", "/save", "/stats"}));
    EXPECT_EQ(typist.type("t\t"), "/stats |");
    EXPECT_TRUE(typist.machine.candidates().empty());
    EXPECT_EQ(typed("no\t"), "no|");
}

TEST(Editor, unknown_and_broken_sequences_do_nothing) {
    EXPECT_EQ(typed("a\x1b[99;99Zb\x1bOQc\xff\x1b[5~d"), "abcd|");
    Typist typist;
    typist.type("a\x1b");
    typist.keys.give_up();
    EXPECT_EQ(typist.type("[A"), "a[A|");
}

TEST(Editor, random_bytes_keep_the_text_valid_and_the_cursor_inside) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Typist typist({"history", "中文\ntwo"});
        constexpr std::string_view kPieces[] = {
            "a",    "中",   "\xcc\x81", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D",    "\x7f", "\x17",
            "\x15", "\x0b", "\x19",     "\\\r",   "\x1b\r", "\t",     "\x1b[1;5D", "\xff", "\x04"};
        for (uint64_t i = 0; i < 200; ++i) {
            typist.type(kPieces[random_bits(seed, 0, i) % std::size(kPieces)]);
            const std::string& text = typist.machine.text();
            ASSERT_TRUE(is_valid_utf8(text));
            ASSERT_LE(typist.machine.cursor(), text.size());
            ASSERT_TRUE(is_valid_utf8(std::string_view(text).substr(0, typist.machine.cursor())));
        }
    }
}

TerminalTraits terminal(int columns, int rows = 24) {
    return {.is_terminal = true, .can_style = true, .columns = columns, .rows = rows};
}

EditView view_of(std::string_view text, size_t cursor) {
    EditView view;
    view.prompt = ">>> ";
    view.text = text;
    view.cursor = cursor;
    return view;
}

TEST(EditScreen, redraws_in_place_at_every_width) {
    const std::string text = "The quick 中文 brown fox\njumps over the lazy dog again and again";
    for (const int columns : {10, 17, 30, 80}) {
        SCOPED_TRACE(testing::Message() << "columns " << columns);
        FakeTerminal screen(columns, 24);
        screen.write("above\n");
        EditScreen drawing;
        for (size_t cursor = 0; cursor <= text.size(); ++cursor) {
            if (is_valid_utf8(text.substr(0, cursor))) {
                screen.write(drawing.draw(view_of(text, cursor), terminal(columns)));
            }
        }
        FakeTerminal fresh(columns, 24);
        fresh.write("above\n");
        EditScreen once;
        fresh.write(once.draw(view_of(text, text.size()), terminal(columns)));
        EXPECT_EQ(screen.rows(), fresh.rows());
        EXPECT_EQ(screen.cursor_row(), fresh.cursor_row());
        EXPECT_EQ(screen.cursor_column(), fresh.cursor_column());
        screen.write(drawing.leave() + "below");
        EXPECT_EQ(screen.rows().back(), "below");
        EXPECT_EQ(screen.rows().front(), "above");
    }
}

TEST(EditScreen, the_cursor_stands_where_the_next_character_goes) {
    FakeTerminal screen(80, 24);
    EditScreen drawing;
    screen.write(drawing.draw(view_of("中文x\nab", 6), terminal(80)));
    EXPECT_EQ(screen.cursor_row(), 0);
    EXPECT_EQ(screen.cursor_column(), 8);
    EXPECT_EQ(screen.rows(), (std::vector<std::string>{">>> 中文x", "... ab"}));
}

TEST(EditScreen, a_text_taller_than_the_window_shows_the_part_around_the_cursor) {
    std::string text;
    for (int i = 0; i < 50; ++i) {
        text += std::to_string(i) + "\n";
    }
    FakeTerminal screen(40, 10);
    EditScreen drawing;
    for (const size_t cursor : {text.size(), size_t{0}, text.size() / 2}) {
        screen.write(drawing.draw(view_of(text, cursor), terminal(40, 10)));
    }
    EXPECT_EQ(screen.rows().size(), 9U);
}

TEST(EditScreen, placeholder_and_candidates_are_only_decoration) {
    FakeTerminal screen(60, 10);
    EditScreen drawing;
    EditView view = view_of("", 0);
    view.placeholder = "Say something";
    view.below = {"/set  /save"};
    screen.write(drawing.draw(view, terminal(60, 10)));
    EXPECT_EQ(screen.rows(), (std::vector<std::string>{">>> Say something", "/set  /save"}));
    EXPECT_EQ(screen.cursor_column(), 4);
    screen.write(drawing.draw(view_of("x", 1), terminal(60, 10)));
    EXPECT_EQ(screen.rows(), (std::vector<std::string>{">>> x"}));
}

std::filesystem::path temporary_folder() {
    const auto folder = std::filesystem::temp_directory_path() /
                        ("nereus_editor_test." + std::to_string(::getpid()));
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    return folder;
}

TEST(History, is_private_bounded_and_read_back) {
    const auto folder = temporary_folder();
    const std::string path = folder / "deeper" / "history";
    {
        History history(path, 3);
        ASSERT_TRUE(history.load().ok());
        for (const char* entry : {"one", "two\nlines", "two\nlines", "back\\slash\\n", "four"}) {
            ASSERT_TRUE(history.add(entry).ok());
        }
    }
    struct stat info = {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    History again(path, 3);
    ASSERT_TRUE(again.load().ok());
    EXPECT_EQ(again.entries(), (std::vector<std::string>{"two\nlines", "back\\slash\\n", "four"}));
    std::filesystem::remove_all(folder);
}

TEST(History, makes_a_readable_file_private) {
    const auto folder = temporary_folder();
    const std::string path = folder / "history";
    std::ofstream(path) << "old\n";
    ::chmod(path.c_str(), 0644);
    History history(path, 10);
    ASSERT_TRUE(history.load().ok());
    struct stat info = {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    std::filesystem::remove_all(folder);
}

TEST(History, a_useless_path_is_an_error_and_the_memory_still_works) {
    const auto folder = temporary_folder();
    History history(folder, 10);  // a folder where a file should be
    EXPECT_FALSE(history.load().ok());
    EXPECT_FALSE(history.add("kept").ok());
    EXPECT_EQ(history.entries(), std::vector<std::string>{"kept"});
    std::filesystem::remove_all(folder);
}

TEST(LineEditor, reads_plain_lines_from_a_pipe) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    constexpr std::string_view kInput = "one\ntwo\\\nlines\n\"\"\"\na\nb\n\"\"\"\nlast";
    ASSERT_EQ(::write(ends[1], kInput.data(), kInput.size()), static_cast<ssize_t>(kInput.size()));
    ::close(ends[1]);
    const auto editor = LineEditor::create({.input_fd = ends[0]});
    for (const char* expected : {"one", "two\nlines", "a\nb", "last"}) {
        const auto read = editor->read("> ");
        ASSERT_TRUE(read.ok());
        EXPECT_EQ(read->outcome, LineOutcome::kLine);
        EXPECT_EQ(read->text, expected);
    }
    EXPECT_EQ(editor->read("> ")->outcome, LineOutcome::kEnd);
    ::close(ends[0]);
}

TEST(LineEditor, edits_on_a_terminal_and_restores_its_mode) {
    int master = -1, slave = -1;
    winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
    termios before = {}, after = {};
    ::tcgetattr(slave, &before);
    LineEditorOptions options;
    options.input_fd = options.output_fd = slave;
    options.wishes.term = "xterm";
    auto editor = LineEditor::create(options);
    // Keys are typed once the editor has switched the mode, which it announces by the paste mode.
    std::thread typist([&] {
        std::vector<std::string> inputs = {"helo\x1b[Dl\r", "\x03"};
        std::string seen;
        char bytes[4096];
        for (ssize_t got = 0; (got = ::read(master, bytes, sizeof(bytes))) > 0;) {
            seen.append(bytes, static_cast<size_t>(got));
            const size_t at = seen.find("\x1b[?2004h");
            if (at != std::string::npos && !inputs.empty()) {
                seen.erase(0, at + 1);
                EXPECT_GT(::write(master, inputs.front().data(), inputs.front().size()), 0);
                inputs.erase(inputs.begin());
            }
        }
    });
    const auto line = editor->read(">>> ");
    ASSERT_TRUE(line.ok());
    EXPECT_EQ(line->text, "hello");
    EXPECT_EQ(editor->read(">>> ")->outcome, LineOutcome::kInterrupt);
    ::tcgetattr(slave, &after);
    EXPECT_EQ(after.c_lflag & (ECHO | ICANON | ISIG), tcflag_t{ISIG});  // between two reads
    editor.reset();
    ::tcgetattr(slave, &after);
    EXPECT_EQ(before.c_lflag, after.c_lflag);
    EXPECT_EQ(before.c_iflag, after.c_iflag);
    ::close(slave);
    typist.join();
    ::close(master);
}

}  // namespace
}  // namespace nereus
