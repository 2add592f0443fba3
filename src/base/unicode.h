#pragma once
// Unicode on byte strings: validity, code points, NFC, terminal widths (utf8proc).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace nereus {

inline constexpr char32_t kReplacement = 0xfffd;

struct CodePoint {
    char32_t value = kReplacement;  ///< kReplacement for an invalid byte
    int n_bytes = 1;                ///< 1 for an invalid byte
    bool valid = false;
};

/// The code point at the start of `text` (not empty). Overlong forms, surrogates and values above
/// U+10FFFF are invalid.
CodePoint next_code_point(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);
bool is_valid_utf8(std::string_view text);

/// The text with every invalid byte replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

/// How many bytes at the end of `text` are the valid beginning of an unfinished character (0..3).
size_t incomplete_utf8_suffix(std::string_view text);

/// Unicode normalisation form C of valid UTF-8. errors: invalid_argument for invalid UTF-8
Result<std::string> to_nfc(std::string_view text);

/// Simple case mapping: one code point to one ("ß" to its capital).
char32_t to_upper(char32_t code_point);
char32_t to_lower(char32_t code_point);

/// The Unicode property White_Space.
bool is_white_space(char32_t code_point);

/// What \w means in Unicode regexes: letters, marks, decimal digits, letter numbers, connecting
/// punctuation, the two zero-width joiners.
bool is_word_character(char32_t code_point);

/// What a decimal digit of any script stands for; nothing for other characters.
std::optional<int> decimal_digit(char32_t code_point);

/// Terminal columns of one code point: 0 (combining, control), 1 or 2 (East Asian wide).
int column_width(char32_t code_point);

}  // namespace nereus
