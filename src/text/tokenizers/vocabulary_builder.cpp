#include "text/tokenizers/vocabulary_builder.h"

#include <algorithm>
#include <charconv>

#include "text/tokenizers/byte_alphabet.h"

namespace nereus {
namespace {

constexpr uint32_t kMaxMerges = 16 * 1024 * 1024;
constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

/// "<0x0A>" is the byte 10.
std::optional<char> byte_token(std::string_view text) {
    unsigned value = 0;
    if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>' ||
        std::from_chars(text.data() + 3, text.data() + 5, value, 16).ptr != text.data() + 5) {
        return std::nullopt;
    }
    return static_cast<char>(value);
}

}  // namespace

std::string sentencepiece_bytes(std::string_view text) {
    if (const std::optional<char> byte = byte_token(text)) {
        return std::string(1, *byte);
    }
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const bool space = text.substr(at).starts_with(kSpaceMark);
        out += space ? ' ' : text[at];
        at += space ? kSpaceMark.size() : 1;
    }
    return out;
}

Status VocabularyBuilder::check_id(std::string_view text, int64_t id) const {
    if (id < 0 || id >= kMaxTokens) {
        return make_error(ErrorCode::kCorrupt, "{}: token \"{}\" has id {}; ids are 0 to {}",
                          origin_, text, id, kMaxTokens - 1);
    }
    return {};
}

Status VocabularyBuilder::add_added_token(AddedToken token) {
    NEREUS_TRY(check_id(token.text, token.id));
    if (token.text.empty()) {
        return {};  // the reference ignores it too
    }
    if (token.text.size() > kMaxAddedTokenBytes || spec_.added.size() >= kMaxAddedTokens) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: added token {} has {} bytes (at most {}), {} before it (at most {})",
                          origin_, token.id, token.text.size(), kMaxAddedTokenBytes,
                          spec_.added.size(), kMaxAddedTokens);
    }
    const auto [entry, is_new] = added_by_id_.emplace(token.id, spec_.added.size());
    if (!is_new) {
        return make_error(ErrorCode::kCorrupt, "{}: added tokens \"{}\" and \"{}\" share id {}",
                          origin_, spec_.added[entry->second].text, token.text, token.id);
    }
    spec_.added.push_back(std::move(token));
    return {};
}

Status VocabularyBuilder::add_token(std::string_view text, int64_t id) {
    NEREUS_TRY(check_id(text, id));
    const auto token_id = static_cast<int32_t>(id);
    const auto added = added_by_id_.find(token_id);
    if (added != added_by_id_.end()) {
        // Spelled raw, not in the byte alphabet: 'ü' would be the byte 0xfc. ASCII is the same.
        const AddedToken& token = spec_.added[added->second];
        const bool is_ascii =
            std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
        const bool findable = !is_control_token(token) && token.text == text && is_ascii;
        return add_token_bytes(text, token.text, findable, token_id);
    }
    if (!spec_.byte_level) {
        NEREUS_TRY(add_token_bytes(text, text, true, token_id));
        spec_.printed.set(token_id, sentencepiece_bytes(text));
        return {};
    }
    bytes_.clear();
    const bool in_alphabet = append_alphabet_bytes(text, bytes_);
    return add_token_bytes(text, in_alphabet ? bytes_ : text, in_alphabet, token_id);
}

Status VocabularyBuilder::add_token_bytes(std::string_view text, std::string_view bytes,
                                          bool findable, int32_t id) {
    if (!spec_.vocabulary.set(id, bytes)) {
        return make_error(ErrorCode::kCorrupt, "{}: token \"{}\" has id {}, which \"{}\" has too",
                          origin_, text, id, spec_.vocabulary.bytes(id));
    }
    const bool is_new =
        findable ? spec_.vocabulary.make_findable(id) : unreachable_.emplace(text, id).second;
    if (!is_new) {
        return make_error(ErrorCode::kCorrupt, "{}: token \"{}\" is in the vocabulary twice",
                          origin_, text);
    }
    return {};
}

Status VocabularyBuilder::finish_tokens() {
    for (const AddedToken& token : spec_.added) {
        if (!spec_.vocabulary.has(token.id)) {
            spec_.vocabulary.set(token.id, token.text);
        }
    }
    if (spec_.vocabulary.n_tokens() == 0) {
        return make_error(ErrorCode::kCorrupt, "{}: the vocabulary is empty", origin_);
    }
    return {};
}

/// BPE's bytes of a token as the file spells it; false: BPE cannot produce it.
bool VocabularyBuilder::append_bytes(std::string_view text, std::string& bytes) const {
    if (spec_.byte_level) {
        return append_alphabet_bytes(text, bytes);
    }
    bytes += text;
    return true;
}

int32_t VocabularyBuilder::find(std::string_view text) const {
    std::string bytes;
    const int32_t id = append_bytes(text, bytes) ? spec_.vocabulary.find(bytes) : kNoToken;
    if (id != kNoToken) {
        return id;
    }
    const auto found = unreachable_.find(std::string(text));
    return found == unreachable_.end() ? kNoToken : found->second;
}

Status VocabularyBuilder::add_merge(std::string_view left, std::string_view right,
                                    bool first_wins) {
    if (n_merges_ == kMaxMerges) {
        return make_error(ErrorCode::kUnsupported, "{}: more than {} merges", origin_, kMaxMerges);
    }
    const uint32_t priority = n_merges_++;
    bytes_.clear();
    const bool left_in = append_bytes(left, bytes_);
    const size_t middle = bytes_.size();
    if (left_in && append_bytes(right, bytes_)) {
        const std::string_view joined = bytes_;
        const int32_t left_id = spec_.vocabulary.find(joined.substr(0, middle));
        const int32_t right_id = spec_.vocabulary.find(joined.substr(middle));
        const int32_t result = spec_.vocabulary.find(joined);
        if (left_id != kNoToken && right_id != kNoToken && result != kNoToken) {
            if (!first_wins || !spec_.merges.find(left_id, right_id)) {
                spec_.merges.set(left_id, right_id, {priority, result});
            }
            return {};
        }
    }
    return check_unreachable_merge(left, right, priority);
}

/// A merge with a token that BPE cannot produce is never used, and one whose result is a control
/// token must not be; but all three must be tokens.
Status VocabularyBuilder::check_unreachable_merge(std::string_view left, std::string_view right,
                                                  uint32_t priority) const {
    const std::string joined = std::string(left).append(right);
    for (const std::string_view text : {left, right, std::string_view(joined)}) {
        if (find(text) == kNoToken) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: merge {} (\"{}\" + \"{}\") names \"{}\", which is not a token",
                              origin_, priority, left, right, text);
        }
    }
    return {};
}

}  // namespace nereus
