#pragma once
// Tokens that are found in the text as they are spelled, before BPE: control tokens and other
// additions to a vocabulary. Decides which of them are control tokens.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/vocabulary.h"

namespace nereus {

/// One entry of added_tokens; from GGUF, a token of type control or user-defined.
struct AddedToken {
    std::string text;
    int32_t id = kNoToken;
    bool special = false;      ///< what decode leaves out on request
    bool normalized = false;   ///< searched in the normalised text, itself normalised
    bool left_strip = false;   ///< takes the white space before it
    bool right_strip = false;  ///< takes the white space after it
    bool single_word = false;  ///< only where no word character touches it
};

/// Longer ones are refused: the search looks at most this far from every byte.
inline constexpr size_t kMaxAddedTokenBytes = 1024;
inline constexpr size_t kMaxAddedTokens = 1'000'000;

/// A control token steers the model, so text of a user must never become one: every special token,
/// and every other added token that is spelled with a mark control tokens are delimited by
/// (< > | ｜ [ ] { }). The `special` flag alone is no boundary: it is false for "<｜User｜>" and
/// "<think>". What is left are ordinary characters and words that were appended to a vocabulary,
/// like the 'ü' of DeepSeek-LLM; those are found in any text.
bool is_control_token(const AddedToken& token);

/// A piece of text: an added token, or text between them (id kNoToken).
struct TextSegment {
    std::string_view text;
    int32_t id = kNoToken;
};

/// Finds tokens in text: leftmost, and the longest of those that begin at one place.
class AddedTokenFinder {
  public:
    AddedTokenFinder() = default;
    /// tokens: none empty; with the same text the lowest id counts.
    explicit AddedTokenFinder(std::vector<AddedToken> tokens);

    bool empty() const { return tokens_.empty(); }
    /// The segments of `text` in order, none empty, appended to out.
    void divide(std::string_view text, std::vector<TextSegment>& out) const;

  private:
    struct Range {
        uint32_t first = 0;
        uint32_t last = 0;
    };

    const AddedToken* longest_at(std::string_view text) const;
    Range narrow(Range range, size_t depth, char byte) const;

    std::vector<AddedToken> tokens_;          ///< sorted by text
    std::array<Range, 256> by_first_byte_{};  ///< the tokens that begin with a byte
};

}  // namespace nereus
