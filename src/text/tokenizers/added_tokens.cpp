#include "text/tokenizers/added_tokens.h"

#include <algorithm>
#include <tuple>

#include "base/unicode.h"

namespace nereus {
namespace {

/// Whether the last (or first) character of `text` satisfies `test`.
template <typename Test>
bool ends_with(std::string_view text, const Test& test) {
    size_t n = 1;
    while (n < 4 && n < text.size() &&
           (static_cast<uint8_t>(text[text.size() - n]) & 0xc0) == 0x80) {
        ++n;
    }
    return !text.empty() && test(next_code_point(text.substr(text.size() - n)).value);
}

template <typename Test>
bool begins_with(std::string_view text, const Test& test) {
    return !text.empty() && test(next_code_point(text).value);
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
    return !ends_with(text.substr(0, begin), is_word_character) &&
           !begins_with(text.substr(end), is_word_character);
}

/// The begin of the white space that ends at `end`, not before `least`.
size_t space_before(std::string_view text, size_t end, size_t least) {
    while (end > least && ends_with(text.substr(least, end - least), is_white_space)) {
        do {
            --end;
        } while (end > least && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80);
    }
    return end;
}

size_t space_after(std::string_view text, size_t begin) {
    while (begins_with(text.substr(begin), is_white_space)) {
        begin += static_cast<size_t>(next_code_point(text.substr(begin)).n_bytes);
    }
    return begin;
}

}  // namespace

bool is_control_token(const AddedToken& token) {
    constexpr std::string_view kFullwidthBar = "\xef\xbd\x9c";
    return token.special || token.text.find_first_of("<>|[]{}") != std::string::npos ||
           token.text.find(kFullwidthBar) != std::string::npos;
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
        return std::tie(a.text, a.id) < std::tie(b.text, b.id);
    });
    const auto same = [](const AddedToken& a, const AddedToken& b) { return a.text == b.text; };
    tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), same), tokens_.end());
    for (uint32_t i = 0; i < tokens_.size(); ++i) {
        Range& range = by_first_byte_[static_cast<uint8_t>(tokens_[i].text[0])];
        range.first = range.last == 0 ? i : range.first;
        range.last = i + 1;
    }
}

/// The part of `range` (tokens with a common beginning of `depth` bytes) that goes on with `byte`.
AddedTokenFinder::Range AddedTokenFinder::narrow(Range range, size_t depth, char byte) const {
    const auto at = [&](const AddedToken& token) {
        return depth < token.text.size() ? static_cast<uint8_t>(token.text[depth]) : -1;
    };
    const auto begin = tokens_.begin();
    const int wanted = static_cast<uint8_t>(byte);
    const auto low = std::partition_point(begin + range.first, begin + range.last,
                                          [&](const AddedToken& t) { return at(t) < wanted; });
    const auto high = std::partition_point(low, begin + range.last,
                                           [&](const AddedToken& t) { return at(t) == wanted; });
    return {static_cast<uint32_t>(low - begin), static_cast<uint32_t>(high - begin)};
}

const AddedToken* AddedTokenFinder::longest_at(std::string_view text) const {
    const AddedToken* longest = nullptr;
    Range range = by_first_byte_[static_cast<uint8_t>(text[0])];
    for (size_t depth = 1; range.first < range.last; ++depth) {
        if (tokens_[range.first].text.size() == depth) {  // the shortest sorts first
            longest = &tokens_[range.first];
        }
        if (depth == text.size()) {
            break;
        }
        range = narrow(range, depth, text[depth]);
    }
    return longest;
}

void AddedTokenFinder::divide(std::string_view text, std::vector<TextSegment>& out) const {
    size_t done = 0;
    size_t space_end = 0;  // of the last run of white space looked at; once a run, to stay linear
    const auto plain_until = [&](size_t end) {
        if (end > done) {
            out.push_back({text.substr(done, end - done), kNoToken});
        }
    };
    for (size_t at = 0; at < text.size();) {
        const AddedToken* token = longest_at(text.substr(at));
        if (token == nullptr) {
            ++at;
            continue;
        }
        size_t begin = at;
        at += token->text.size();
        if (token->single_word && !stands_alone(text, begin, at)) {
            continue;
        }
        if (token->left_strip) {
            begin = begin > done ? space_before(text, begin, done) : done;
        }
        // The white space it takes is searched all the same, as the reference does: a token of
        // white space there counts too, unless it reaches back itself and finds nothing left.
        if (token->right_strip && at > space_end) {
            space_end = space_after(text, at);
        }
        const size_t end = token->right_strip ? space_end : at;
        if (begin < end) {
            plain_until(begin);
            out.push_back({text.substr(begin, end - begin), token->id});
        }
        done = end;
    }
    plain_until(text.size());
}

}  // namespace nereus
