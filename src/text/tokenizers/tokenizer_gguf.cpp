// A GGUF vocabulary to a tokenizer: byte-level BPE (model "gpt2") or SentencePiece BPE ("llama").

#include <algorithm>
#include <cmath>

#include "text/tokenizer.h"
#include "text/tokenizers/bpe_tokenizer.h"
#include "text/tokenizers/gguf_pre_types.h"
#include "text/tokenizers/sentencepiece_tokenizer.h"
#include "text/tokenizers/vocabulary_builder.h"

namespace nereus {
namespace {

// tokenizer.ggml.token_type; 5 is unused
constexpr int kNormal = 1;
constexpr int kUnknown = 2;
constexpr int kControl = 3;
constexpr int kUserDefined = 4;
constexpr int kByte = 6;

/// Absent types mean normal tokens; a value that is none of the six does too.
int type_of(const GgufVocabulary& vocabulary, size_t index) {
    if (vocabulary.token_types.empty()) {
        return kNormal;
    }
    const double type = vocabulary.token_types[index];
    return type >= kNormal && type <= kByte ? static_cast<int>(type) : kNormal;
}

Status check_counts(const GgufVocabulary& vocabulary, std::string_view origin) {
    const size_t n = vocabulary.tokens.size();
    if (n == 0 || n > static_cast<size_t>(kMaxTokens)) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tokenizer.ggml.tokens has {} tokens; expected 1 to {}", origin, n,
                          kMaxTokens);
    }
    const struct {
        const char* key;
        size_t n;
    } kArrays[] = {{"token_type", vocabulary.token_types.size()},
                   {"scores", vocabulary.scores.size()}};
    for (const auto& array : kArrays) {
        if (array.n != 0 && array.n != n) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: tokenizer.ggml.{} has {} elements for {} tokens", origin,
                              array.key, array.n, n);
        }
    }
    return {};
}

/// A named id of the header; absent: kNoToken.
Result<int32_t> named_id(const std::optional<int64_t>& id, const char* key,
                         const GgufVocabulary& vocabulary, std::string_view origin) {
    if (!id || *id == -1) {  // some converters write -1 for none
        return kNoToken;
    }
    if (*id < 0 || static_cast<uint64_t>(*id) >= vocabulary.tokens.size()) {
        return make_error(ErrorCode::kCorrupt, "{}: tokenizer.ggml.{} is {}; there are {} tokens",
                          origin, key, *id, vocabulary.tokens.size());
    }
    return static_cast<int32_t>(*id);
}

/// The header's ids and flags that both kinds of spec have.
template <typename Spec>
Status read_named_ids(const GgufVocabulary& vocabulary, std::string_view origin,
                      bool add_bos_by_default, Spec& spec) {
    spec.bos_id = NEREUS_TRY(named_id(vocabulary.bos_id, "bos_token_id", vocabulary, origin));
    spec.eos_id = NEREUS_TRY(named_id(vocabulary.eos_id, "eos_token_id", vocabulary, origin));
    spec.unknown_id =
        NEREUS_TRY(named_id(vocabulary.unknown_id, "unknown_token_id", vocabulary, origin));
    spec.add_bos = vocabulary.add_bos.value_or(add_bos_by_default) && spec.bos_id != kNoToken;
    return {};
}

bool is_added(int type) { return type == kControl || type == kUserDefined || type == kUnknown; }

AddedToken added_token(const GgufVocabulary& vocabulary, size_t index) {
    AddedToken token;
    token.text = vocabulary.tokens[index];
    token.id = static_cast<int32_t>(index);
    token.special = type_of(vocabulary, index) != kUserDefined;
    return token;
}

Result<std::unique_ptr<Tokenizer>> byte_level(const GgufVocabulary& vocabulary,
                                              std::string_view origin) {
    const GgufPreType* pre = find_gguf_pre_type(vocabulary.pre);
    if (pre == nullptr) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: tokenizer.ggml.pre \"{}\" is not supported; known are {}", origin,
                          vocabulary.pre, gguf_pre_type_names());
    }
    BpeSpec spec;
    for (const std::string_view pattern : pre->patterns) {
        spec.split_rules.push_back({std::string(pattern)});
    }
    if (pre->nfc) {
        spec.normalizer.push_back({});
    }
    spec.ignore_merges = pre->ignore_merges;
    VocabularyBuilder builder(spec, origin);
    const size_t n = vocabulary.tokens.size();
    for (size_t i = 0; i < n; ++i) {
        if (is_added(type_of(vocabulary, i))) {
            NEREUS_TRY(builder.add_added_token(added_token(vocabulary, i)));
        }
    }
    for (size_t i = 0; i < n; ++i) {
        NEREUS_TRY(builder.add_token(vocabulary.tokens[i], static_cast<int64_t>(i)));
    }
    NEREUS_TRY(builder.finish_tokens());
    for (const std::string_view merge : vocabulary.merges) {
        const size_t space = merge.find(' ', 1);  // a token may begin with one
        if (space == merge.npos) {
            return make_error(ErrorCode::kCorrupt, "{}: merge \"{}\" is not two tokens", origin,
                              merge);
        }
        NEREUS_TRY(builder.add_merge(merge.substr(0, space), merge.substr(space + 1), true));
    }
    NEREUS_TRY(read_named_ids(vocabulary, origin, false, spec));
    spec.unknown_id = kNoToken;  // bytes without a token are left out, as llama.cpp does
    spec.missing_bytes_separate = true;
    return BpeTokenizer::create(std::move(spec), origin);
}

/// Ranks of the scores, best first; equal scores share a rank.
std::vector<uint32_t> priorities_of(const std::vector<double>& scores) {
    std::vector<double> order = scores;
    std::sort(order.begin(), order.end(), std::greater<>());
    order.erase(std::unique(order.begin(), order.end()), order.end());
    std::vector<uint32_t> priorities;
    priorities.reserve(scores.size());
    for (const double score : scores) {
        const auto at = std::lower_bound(order.begin(), order.end(), score, std::greater<>());
        priorities.push_back(static_cast<uint32_t>(at - order.begin()));
    }
    return priorities;
}

/// Fills vocabulary, printed and added from the token list.
Status read_pieces(const GgufVocabulary& vocabulary, std::string_view origin,
                   SentencePieceSpec& spec) {
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        const std::string_view text = vocabulary.tokens[i];
        const auto id = static_cast<int32_t>(i);
        const int type = type_of(vocabulary, i);
        spec.vocabulary.set(id, text);
        spec.printed.set(id, is_added(type) ? std::string(text) : sentencepiece_bytes(text));
        bool findable = type == kNormal || type == kByte;
        if (is_added(type) && !text.empty()) {
            AddedToken token = added_token(vocabulary, i);
            if (text.size() > kMaxAddedTokenBytes || spec.added.size() >= kMaxAddedTokens) {
                return make_error(ErrorCode::kUnsupported,
                                  "{}: added token {} has {} bytes; at most {} bytes and {} tokens",
                                  origin, i, text.size(), kMaxAddedTokenBytes, kMaxAddedTokens);
            }
            findable = !is_control_token(token);
            spec.added.push_back(std::move(token));
        }
        if (findable && !text.empty() && !spec.vocabulary.make_findable(id)) {
            return make_error(ErrorCode::kCorrupt, "{}: token \"{}\" is in the vocabulary twice",
                              origin, text);
        }
    }
    return {};
}

Result<std::unique_ptr<Tokenizer>> sentencepiece(const GgufVocabulary& vocabulary,
                                                 std::string_view origin) {
    const auto is_nan = [](double score) { return std::isnan(score); };
    if (vocabulary.scores.empty() ||
        std::any_of(vocabulary.scores.begin(), vocabulary.scores.end(), is_nan)) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tokenizer.ggml.scores is missing or holds NaN; model \"llama\" "
                          "cannot do without",
                          origin);
    }
    SentencePieceSpec spec;
    NEREUS_TRY(read_pieces(vocabulary, origin, spec));
    NEREUS_TRY(read_named_ids(vocabulary, origin, true, spec));
    spec.priorities = priorities_of(vocabulary.scores);
    spec.add_space_prefix = vocabulary.add_space_prefix.value_or(true);
    return std::unique_ptr<Tokenizer>(std::make_unique<SentencePieceTokenizer>(std::move(spec)));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufVocabulary& vocabulary,
                                                       std::string_view origin) {
    NEREUS_TRY(check_counts(vocabulary, origin));
    if (vocabulary.model == "gpt2") {
        return byte_level(vocabulary, origin);
    }
    if (vocabulary.model == "llama") {
        return sentencepiece(vocabulary, origin);
    }
    return make_error(ErrorCode::kUnsupported,
                      "{}: tokenizer.ggml.model \"{}\" is not supported; known are gpt2 and llama",
                      origin, vocabulary.model);
}

}  // namespace nereus
