#pragma once
// Fills the vocabulary and the merges of a BpeSpec from what a file says, and refuses what
// contradicts itself. Shared by tokenizer.json and GGUF.

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "text/tokenizers/bpe_spec.h"

namespace nereus {

/// What a SentencePiece token prints: "▁" is a space, "<0x0A>" a byte.
std::string sentencepiece_bytes(std::string_view text);

class VocabularyBuilder {
  public:
    /// origin: the file, for messages; outlives the builder. spec.byte_level decides how token
    /// texts are read and must be set. Added tokens come first: they decide what BPE may find.
    VocabularyBuilder(BpeSpec& spec, std::string_view origin) : spec_(spec), origin_(origin) {}

    Status add_added_token(AddedToken token);
    /// A token as the file spells it, in the byte alphabet or with "▁" for spaces.
    Status add_token(std::string_view text, int64_t id);
    /// To be called after the last token: added tokens that are in no vocabulary get their bytes.
    Status finish_tokens();

    /// The next merge in order of priority. first_wins: what a repeated pair means.
    Status add_merge(std::string_view left, std::string_view right, bool first_wins);

    /// The id of a token as the file spells it, or kNoToken.
    int32_t find(std::string_view text) const;

  private:
    bool append_bytes(std::string_view text, std::string& bytes) const;
    Status check_unreachable_merge(std::string_view left, std::string_view right,
                                   uint32_t priority) const;
    Status check_id(std::string_view text, int64_t id) const;
    Status add_token_bytes(std::string_view text, std::string_view bytes, bool findable,
                           int32_t id);

    BpeSpec& spec_;
    std::string_view origin_;
    std::unordered_map<int32_t, size_t> added_by_id_;  ///< into spec_.added
    /// Tokens that BPE cannot produce: not in the byte alphabet, or control tokens.
    std::unordered_map<std::string, int32_t> unreachable_;
    uint32_t n_merges_ = 0;
    std::string bytes_;  ///< buffer
};

}  // namespace nereus
