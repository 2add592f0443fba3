// Texts with marks, and Python's ways with strings on them: characters, blanks, lines, letters.

#include "text/formats/jinja_text.h"

#include <gtest/gtest.h>

#include "text/formats/jinja_text_functions.h"
#include "text/formats/test_rendering.h"

namespace nereus::jinja {
namespace {

/// "[trusted](typed)".
std::string marked(const Text& text) {
    std::string out;
    size_t begin = 0;
    for (const Text::Run& run : text.runs()) {
        const std::string part(text.view().substr(begin, run.end - begin));
        out += run.trusted ? "[" + part + "]" : "(" + part + ")";
        begin = run.end;
    }
    EXPECT_EQ(begin, text.size());
    return out;
}

Text sample() {
    Text text("ab", true);
    text.append("cd", false);
    text.append("ef", true);
    return text;
}

TEST(JinjaText, neighbours_of_one_kind_are_one_run_and_nothing_is_no_run) {
    Text text;
    EXPECT_TRUE(text.trusted());
    text.append("", false);
    EXPECT_TRUE(text.runs().empty());
    text.append("a", true);
    text.append("b", true);
    EXPECT_EQ(text.runs().size(), 1U);
    text.append(Text("c", false));
    text.append(Text("d", false));
    EXPECT_EQ(marked(text), "[ab](cd)");
    EXPECT_FALSE(text.trusted());
}

TEST(JinjaText, a_slice_keeps_the_marks_of_its_bytes) {
    const Text text = sample();
    EXPECT_EQ(marked(text), "[ab](cd)[ef]");
    for (size_t begin = 0; begin <= text.size(); ++begin) {
        for (size_t end = begin; end <= text.size(); ++end) {
            std::string expected;
            for (size_t i = begin; i < end; ++i) {
                const bool trusted = i < 2 || i >= 4;
                const bool is_first = i == begin || (i == 2 || i == 4);
                const bool is_last = i + 1 == end || (i + 1 == 2 || i + 1 == 4);
                expected += is_first ? (trusted ? "[" : "(") : "";
                expected += text.bytes()[i];
                expected += is_last ? (trusted ? "]" : ")") : "";
            }
            EXPECT_EQ(marked(text.slice(begin, end)), expected) << begin << ".." << end;
        }
    }
}

TEST(JinjaText, blanks_are_those_of_python) {
    for (const char32_t c :
         {U' ', U'\t', U'\n', U'\v', U'\f', U'\r', U'\x1c', U'\x1f', U'\x85', U'\xa0', U'\u1680',
          U'\u2000', U'\u200a', U'\u2028', U'\u2029', U'\u202f', U'\u205f', U'\u3000'}) {
        EXPECT_TRUE(is_python_space(c)) << static_cast<uint32_t>(c);
    }
    for (const char32_t c : {U'a', U'\0', U'\x08', U'\x0e', U'\x1b', U'\x7f', U'\u180e', U'\u200b',
                             U'\u2060', U'\ufeff'}) {
        EXPECT_FALSE(is_python_space(c)) << static_cast<uint32_t>(c);
    }
}

TEST(JinjaText, strip_stops_at_an_invalid_byte_and_inside_no_character) {
    const auto stripped = [](std::string_view text) {
        const Span span = strip_spaces(text, true, true);
        return std::string(text.substr(span.begin, span.end - span.begin));
    };
    EXPECT_EQ(stripped(" a "), "a");
    EXPECT_EQ(stripped("\u3000\u00a0a\u2003"), "a");
    EXPECT_EQ(stripped(" \xff "), "\xff");
    EXPECT_EQ(stripped(" \xa0 "), "\xa0");  // half of a no-break space is no space
    EXPECT_EQ(stripped("a\xc2"), "a\xc2");
    EXPECT_EQ(stripped("   "), "");
    EXPECT_EQ(stripped(""), "");
}

TEST(JinjaText, offsets_count_code_points_and_invalid_bytes_one_each) {
    EXPECT_EQ(code_point_offsets(""), (std::vector<size_t>{0}));
    EXPECT_EQ(code_point_offsets("aé世🙂"), (std::vector<size_t>{0, 1, 3, 6, 10}));
    EXPECT_EQ(code_point_offsets("\xff\x80z"), (std::vector<size_t>{0, 1, 2, 3}));
    EXPECT_EQ(count_code_points("aé世🙂"), 4U);
    EXPECT_EQ(count_code_points("e\u0301"), 2U);
    EXPECT_EQ(count_code_points("\xe4\xb8"), 2U);
}

TEST(JinjaText, bytes_are_found_from_a_place_on) {
    EXPECT_EQ(find_bytes("abcabc", "bc"), 1U);
    EXPECT_EQ(find_bytes("abcabc", "bc", 2), 4U);
    EXPECT_EQ(find_bytes("abc", "bc", 2), std::string_view::npos);
    EXPECT_EQ(find_bytes("abc", "", 3), 3U);
    EXPECT_EQ(find_bytes("abc", "", 4), std::string_view::npos);
    EXPECT_EQ(find_bytes("", "a"), std::string_view::npos);
}

struct LetterCase {
    const char* text;
    const char* upper;
    const char* lower;
    const char* title;
    const char* title_words;
    const char* capitalized;
    const char* swapped;
};
constexpr LetterCase kLetters[] = {
    {"", "", "", "", "", "", ""},
    {"aB c", "AB C", "ab c", "Ab C", "Ab C", "Ab c", "Ab C"},
    {"it's", "IT'S", "it's", "It'S", "It's", "It's", "IT'S"},
    {"x1y-z", "X1Y-Z", "x1y-z", "X1Y-Z", "X1y-Z", "X1y-z", "X1Y-Z"},
    {"(a) [b] <c", "(A) [B] <C", "(a) [b] <c", "(A) [B] <C", "(A) [B] <C", "(a) [b] <c",
     "(A) [B] <C"},
    {"ß", "SS", "ß", "Ss", "SS", "Ss", "SS"},
    {"straße", "STRASSE", "straße", "Straße", "Straße", "Straße", "STRASSE"},
    {"ﬁn", "FIN", "ﬁn", "Fin", "FIn", "Fin", "FIN"},
    {"ÄÖ", "ÄÖ", "äö", "Äö", "Äö", "Äö", "äö"},
    {"ΟΔΟΣ", "ΟΔΟΣ", "οδος", "Οδος", "Οδος", "Οδος", "οδος"},
    {"ΣΑΣ ΣΑ", "ΣΑΣ ΣΑ", "σας σα", "Σας Σα", "Σας Σα", "Σας σα", "σας σα"},
    {"Σ", "Σ", "σ", "Σ", "Σ", "Σ", "σ"},
    {"привет", "ПРИВЕТ", "привет", "Привет", "Привет", "Привет", "ПРИВЕТ"},
    {"世界", "世界", "世界", "世界", "世界", "世界", "世界"},
    {"ǆ", "Ǆ", "ǆ", "ǅ", "Ǆ", "ǅ", "Ǆ"},
    {"a\xff\x62", "A\xff\x42", "a\xff\x62", nullptr, nullptr, "A\xff\x62", "A\xff\x42"},
};

TEST(JinjaText, letters_change_as_in_python) {
    for (const LetterCase& one : kLetters) {
        const std::pair<Letters, const char*> forms[] = {{Letters::kUpper, one.upper},
                                                         {Letters::kLower, one.lower},
                                                         {Letters::kTitle, one.title},
                                                         {Letters::kTitleWords, one.title_words},
                                                         {Letters::kCapitalized, one.capitalized},
                                                         {Letters::kSwapped, one.swapped}};
        for (const auto& [form, expected] : forms) {
            if (expected != nullptr) {
                EXPECT_EQ(change_letters(Text(one.text, true), form).bytes(), expected)
                    << one.text << " form " << static_cast<int>(form);
            }
        }
    }
}

TEST(JinjaText, a_letter_that_grows_keeps_its_mark) {
    Text text("ß", true);
    text.append("ß", false);
    EXPECT_EQ(marked(change_letters(text, Letters::kUpper)), "[SS](SS)");
}

std::string joined(const Result<std::vector<Value>>& parts) {
    if (!parts.ok()) {
        return parts.error().message;
    }
    std::string out;
    for (const Value& part : *parts) {
        out += "<" + part.text()->bytes() + ">";
    }
    return out;
}

TEST(JinjaText, splitting_from_both_sides_meets_python) {
    Budget budget;
    const auto left = [&](const char* text, const char* separator, int64_t n) {
        const auto by = separator == nullptr ? std::nullopt : std::optional(Text(separator, true));
        return joined(split_text(Text(text, true), by, n, budget));
    };
    const auto right = [&](const char* text, const char* separator, int64_t n) {
        const auto by = separator == nullptr ? std::nullopt : std::optional(Text(separator, true));
        return joined(split_text_right(Text(text, true), by, n, budget));
    };
    EXPECT_EQ(left("a,b,c", ",", -1), "<a><b><c>");
    EXPECT_EQ(left("a,b,c", ",", 1), "<a><b,c>");
    EXPECT_EQ(left("a,b,c", ",", 0), "<a,b,c>");
    EXPECT_EQ(left(",", ",", -1), "<><>");
    EXPECT_EQ(left("", ",", -1), "<>");
    EXPECT_EQ(left("aaa", "aa", -1), "<><a>");
    EXPECT_EQ(right("aaa", "aa", -1), "<a><>");
    EXPECT_EQ(right("a,b,c", ",", 1), "<a,b><c>");
    EXPECT_EQ(right("", ",", -1), "<>");
    EXPECT_EQ(left("  a  b  c ", nullptr, -1), "<a><b><c>");
    EXPECT_EQ(left("  a  b  c ", nullptr, 1), "<a><b  c >");
    EXPECT_EQ(right("  a  b  c ", nullptr, 1), "<  a  b><c>");
    EXPECT_EQ(right("  a  b  c ", nullptr, 0), "<  a  b  c>");
    EXPECT_EQ(right("  a  b  c ", nullptr, 3), "<a><b><c>");
    EXPECT_EQ(left("  ", nullptr, -1), "");
    EXPECT_EQ(right("  ", nullptr, -1), "");
    EXPECT_EQ(left("a", "", -1), "split at an empty separator");
}

TEST(JinjaText, lines_end_where_python_ends_them) {
    Budget budget;
    const auto lines = [&](const char* text, bool keep) {
        return joined(split_lines(Text(text, true), keep, budget));
    };
    EXPECT_EQ(lines("a\nb\rc\r\nd", false), "<a><b><c><d>");
    EXPECT_EQ(lines("a\vb\fc\x1c"
                    "d\x1d"
                    "e\x1e"
                    "f\u0085g\u2028h\u2029i",
                    false),
              "<a><b><c><d><e><f><g><h><i>");
    EXPECT_EQ(lines("a\n\nb\n", false), "<a><><b>");
    EXPECT_EQ(lines("a\r\n\r\nb\n", true), "<a\r\n><\r\n><b\n>");
    EXPECT_EQ(lines("", false), "");
    EXPECT_EQ(lines("\n", false), "<>");
    EXPECT_EQ(lines("\x85", false), "<\x85>");  // half of a character ends no line
}

TEST(JinjaText, padding_counts_characters_and_puts_the_odd_blank_where_python_does) {
    Budget budget;
    const auto padded = [&](const char* text, int64_t width, Side side, const char* fill) {
        return pad_text(Text(text, true), width, side, Text(fill, true), budget).value().bytes();
    };
    EXPECT_EQ(padded("ab", 5, Side::kCenter, "*"), "**ab*");
    EXPECT_EQ(padded("a", 4, Side::kCenter, "*"), "*a**");
    EXPECT_EQ(padded("世", 3, Side::kLeft, "·"), "世··");
    EXPECT_EQ(padded("世", 3, Side::kRight, "·"), "··世");
    EXPECT_EQ(padded("abc", 2, Side::kCenter, "*"), "abc");
    EXPECT_EQ(padded("abc", -5, Side::kLeft, "*"), "abc");
    EXPECT_FALSE(pad_text(Text("a", true), 9, Side::kLeft, Text("", true), budget).ok());
}

TEST(JinjaText, repr_escapes_what_would_not_show) {
    EXPECT_EQ(
        text_or_error("{{ [messages[0].content] }}",
                      "a\x01\x7f\u0080\u00a0\u00ad\u200b\u2028"
                      "\ue000\ufeff\U000e0001é世🙂\\\t\n\r"),
        "['a\\x01\\x7f\\x80\\xa0\\xad\\u200b\\u2028\\ue000\\ufeff\\U000e0001é世🙂\\\\\\t\\n\\r']");
    EXPECT_EQ(text_or_error("{{ [messages[0].content] }}", "it's"), "[\"it's\"]");
    EXPECT_EQ(text_or_error("{{ [messages[0].content] }}", "\"it's\""), "['\"it\\'s\"']");
}

}  // namespace
}  // namespace nereus::jinja
