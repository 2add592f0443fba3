#include "base/unicode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace nereus {
namespace {

bool is_scalar(char32_t value) { return value < 0xd800 || (value > 0xdfff && value <= 0x10ffff); }

std::string encoded(char32_t value) {
    std::string text;
    append_utf8(text, value);
    return text;
}

/// Every string of n bytes drawn from `alphabet`.
std::vector<std::string> all_strings(const std::string& alphabet, size_t n) {
    std::vector<std::string> found = {""};
    for (size_t i = 0; i < n; ++i) {
        std::vector<std::string> longer;
        for (const std::string& text : found) {
            for (const char byte : alphabet) {
                longer.push_back(text + byte);
            }
        }
        found = std::move(longer);
    }
    return found;
}

TEST(Utf8, every_code_point_survives_the_round_trip_with_its_length) {
    for (char32_t value = 0; value <= 0x10ffff; ++value) {
        if (!is_scalar(value)) {
            continue;
        }
        const std::string text = encoded(value);
        const size_t length = value < 0x80 ? 1U : value < 0x800 ? 2U : value < 0x10000 ? 3U : 4U;
        ASSERT_EQ(text.size(), length) << static_cast<uint32_t>(value);
        const CodePoint point = next_code_point(text);
        ASSERT_TRUE(point.valid);
        ASSERT_EQ(point.value, value);
        ASSERT_EQ(static_cast<size_t>(point.n_bytes), length);
    }
}

TEST(Utf8, of_all_pairs_of_bytes_exactly_1920_are_one_character_of_two) {
    int n_valid = 0;
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const std::string text = {static_cast<char>(first), static_cast<char>(second)};
            const CodePoint point = next_code_point(text);
            n_valid += point.valid && point.n_bytes == 2 ? 1 : 0;
            if (!point.valid) {
                ASSERT_EQ(point.n_bytes, 1);
                ASSERT_EQ(point.value, kReplacement);
            }
        }
    }
    EXPECT_EQ(n_valid, 0x800 - 0x80);
}

TEST(Utf8, the_valid_triples_and_quadruples_are_as_many_as_their_code_points) {
    int n_three = 0;
    int n_four = 0;
    std::string text(4, '\0');
    // Continuation bytes matter by their class only: check the edges of each.
    const std::string edges = "\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0";
    for (int lead = 0; lead < 256; ++lead) {
        for (const std::string& rest : all_strings(edges, 3)) {
            text = static_cast<char>(lead) + rest;
            const CodePoint point = next_code_point(text);
            if (point.valid) {
                ASSERT_TRUE(is_scalar(point.value));
                ASSERT_EQ(encoded(point.value), text.substr(0, static_cast<size_t>(point.n_bytes)))
                    << "a second spelling was accepted";
                n_three += point.n_bytes == 3 ? 1 : 0;
                n_four += point.n_bytes == 4 ? 1 : 0;
            }
        }
    }
    // 6 continuation edges; second bytes: e0 takes 2 of them, ed 4, the other fourteen leads 6
    // (8 third-byte choices left free after a three-byte character); f0 4, f4 2, f1..f3 6.
    EXPECT_EQ(n_three, (2 + 4 + 14 * 6) * 6 * 8);
    EXPECT_EQ(n_four, (4 + 2 + 3 * 6) * 6 * 6);
}

TEST(Utf8, every_proper_prefix_of_a_character_is_an_incomplete_suffix) {
    for (char32_t value = 0x80; value <= 0x10ffff; value += value < 0x3000 ? 1 : 37) {
        if (!is_scalar(value)) {
            continue;
        }
        const std::string whole = encoded(value);
        for (size_t n = 1; n < whole.size(); ++n) {
            ASSERT_EQ(incomplete_utf8_suffix("x" + whole.substr(0, n)), n)
                << static_cast<uint32_t>(value);
            ASSERT_EQ(incomplete_utf8_suffix(whole.substr(0, n)), n);
        }
        ASSERT_EQ(incomplete_utf8_suffix(whole), 0U);
    }
}

TEST(Utf8, an_incomplete_suffix_can_always_be_completed_and_nothing_else_is_one) {
    const std::string bytes = "a\x80\x8f\x9f\xa0\xbf\xc0\xc2\xe0\xe4\xed\xf0\xf1\xf4\xf5";
    for (const std::string& text : all_strings(bytes, 3)) {
        const size_t n = incomplete_utf8_suffix(text);
        const std::string tail = text.substr(text.size() - n);
        bool completes = false;
        for (size_t more = 1; more <= 3 && !completes; ++more) {
            for (const std::string& rest : all_strings("\x80\x90\xa0", more)) {
                const CodePoint point = next_code_point(tail + rest);
                completes |= point.valid && point.n_bytes == static_cast<int>(n + more);
            }
        }
        ASSERT_TRUE(n == 0 || completes);
    }
}

TEST(Utf8, replacing_invalid_bytes_gives_valid_text_and_leaves_valid_text_alone) {
    const std::string bytes = "a\x80\xbf\xc2\xe4\xed\xf0\xf4\xff";
    for (const std::string& text : all_strings(bytes, 4)) {
        const std::string replaced = replace_invalid_utf8(text);
        ASSERT_TRUE(is_valid_utf8(replaced));
        ASSERT_EQ(replaced == text, is_valid_utf8(text));
        ASSERT_EQ(replace_invalid_utf8(replaced), replaced);
    }
    EXPECT_EQ(replace_invalid_utf8(""), "");
    EXPECT_EQ(replace_invalid_utf8("\xe4\xb8"), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Nfc, knows_the_cases_of_the_standard) {
    const std::pair<const char*, const char*> cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"A\xcc\x8a", "\xc3\x85"},                     // A + ring
        {"\xe2\x84\xab", "\xc3\x85"},                  // Angstrom sign
        {"\xe2\x84\xa6", "\xce\xa9"},                  // Ohm sign
        {"\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80"},  // Hangul ga from its letters
        {"q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87"},    // marks in canonical order
        {"\xef\xac\x81", "\xef\xac\x81"},              // the ligature fi stays (NFKC only)
        {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"},  // composition exclusion
    };
    for (const auto& [text, expected] : cases) {
        EXPECT_EQ(to_nfc(text).value(), expected) << text;
        EXPECT_EQ(to_nfc(expected).value(), expected) << "not idempotent";
    }
}

/// The standard's arithmetic (Unicode 3.12): syllable = AC00 + (L * 21 + V) * 28 + T.
TEST(Nfc, all_11172_hangul_syllables_are_composed_of_their_letters) {
    for (char32_t i = 0; i < 11172; ++i) {
        const char32_t l = i / 588, v = i % 588 / 28, t = i % 28;
        const std::string letters =
            encoded(0x1100 + l) + encoded(0x1161 + v) + (t == 0 ? "" : encoded(0x11a7 + t));
        ASSERT_EQ(to_nfc(letters).value(), encoded(0xac00 + i));
        if (t != 0) {  // a syllable of two letters takes a third
            ASSERT_EQ(to_nfc(encoded(0xac00 + i - t) + encoded(0x11a7 + t)).value(),
                      encoded(0xac00 + i));
        }
    }
}

TEST(Nfc, is_idempotent_on_every_code_point_with_a_mark_behind_it) {
    for (const char32_t mark : {U'\x301', U'\x323', U'\x3099', U'\x11a8'}) {
        for (char32_t value = 1; value <= 0x10ffff; value += value < 0x3000 ? 1 : 37) {
            if (!is_scalar(value)) {
                continue;
            }
            const std::string once = to_nfc(encoded(value) + encoded(mark)).value();
            ASSERT_EQ(to_nfc(once).value(), once) << static_cast<uint32_t>(value);
            ASSERT_TRUE(is_valid_utf8(once));
        }
    }
}

/// Marks of different combining classes (202, 216, 220, 230) come in one order however typed.
TEST(Nfc, every_order_of_marks_becomes_the_same_text) {
    std::vector<char32_t> marks = {0x321, 0x31b, 0x323, 0x302};
    std::sort(marks.begin(), marks.end());
    std::string first;
    int n = 0;
    do {
        std::string text = "x";
        for (const char32_t mark : marks) {
            append_utf8(text, mark);
        }
        const std::string normal = to_nfc(text).value();
        first = n++ == 0 ? normal : first;
        EXPECT_EQ(normal, first);
    } while (std::next_permutation(marks.begin(), marks.end()));
    EXPECT_EQ(n, 24);
    EXPECT_EQ(first, "x" + encoded(0x321) + encoded(0x31b) + encoded(0x323) + encoded(0x302));
    // Two marks of one class keep their order: it means something.
    EXPECT_NE(to_nfc("x" + encoded(0x301) + encoded(0x302)).value(),
              to_nfc("x" + encoded(0x302) + encoded(0x301)).value());
}

TEST(Nfc, refuses_invalid_utf8_and_keeps_zero_bytes) {
    EXPECT_EQ(to_nfc("a\xff").error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(to_nfc("\xed\xa0\x80").error().code, ErrorCode::kInvalidArgument);
    const std::string with_zero("a\0b", 3);
    EXPECT_EQ(to_nfc(with_zero).value(), with_zero);
}

TEST(Unicode, widths_of_terminal_columns) {
    const std::pair<char32_t, int> cases[] = {
        {U'a', 1},  {U'é', 1},   {U'中', 2}, {U'한', 2}, {U'🦙', 2}, {U'Ａ', 2},
        {0x301, 0}, {0x200d, 0}, {0x07, 0},  {U'─', 1},  {U'я', 1},  {U'あ', 2},
    };
    for (const auto& [value, width] : cases) {
        EXPECT_EQ(column_width(value), width) << std::hex << static_cast<uint32_t>(value);
    }
}

TEST(Unicode, white_space_is_the_twenty_five_code_points_of_the_property) {
    int n = 0;
    for (char32_t value = 0; value <= 0x10ffff; ++value) {
        n += is_white_space(value) ? 1 : 0;
    }
    EXPECT_EQ(n, 25);
    EXPECT_FALSE(is_white_space(0x200b)) << "zero width space is none";
    EXPECT_FALSE(is_white_space(0xfeff));
}

TEST(Unicode, word_characters_are_letters_marks_digits_and_connectors) {
    for (const char32_t value : {U'a', U'Z', U'7', U'_', U'é', U'中', U'٣', char32_t{0x301}, U'‿',
                                 char32_t{0x200d}, U'Ⅷ'}) {
        EXPECT_TRUE(is_word_character(value)) << static_cast<uint32_t>(value);
    }
    for (const char32_t value : {U' ', U'-', U'$', U'.', U'½', U'€', char32_t{0}, U'🦙'}) {
        EXPECT_FALSE(is_word_character(value)) << static_cast<uint32_t>(value);
    }
}

TEST(Unicode, a_decimal_digit_of_any_script_stands_for_its_number) {
    // The zeros of scripts whose digits begin at 0, at 6 and beside those of another script.
    for (const char32_t zero : {U'0', char32_t{0x660}, char32_t{0x966}, char32_t{0xff10},
                                char32_t{0x1d7ce}, char32_t{0x1d7d8}, char32_t{0x1d7f6}}) {
        for (int digit = 0; digit < 10; ++digit) {
            EXPECT_EQ(decimal_digit(zero + static_cast<char32_t>(digit)), digit)
                << static_cast<uint32_t>(zero);
        }
    }
    for (const char32_t value :
         {U'a', U'/', U':', U'²', U'½', U'Ⅳ', U'五', char32_t{0}, char32_t{0x10ffff}}) {
        EXPECT_EQ(decimal_digit(value), std::nullopt) << static_cast<uint32_t>(value);
    }
}

TEST(Unicode, case_maps_one_to_one) {
    EXPECT_EQ(to_upper(U'a'), U'A');
    EXPECT_EQ(to_lower(U'Σ'), U'σ');
    EXPECT_EQ(to_upper(U'ß'), char32_t{0x1e9e});
    EXPECT_EQ(to_upper(U'я'), U'Я');
    EXPECT_EQ(to_lower(U'中'), U'中');
    EXPECT_EQ(to_upper(U'7'), U'7');
}

}  // namespace
}  // namespace nereus
