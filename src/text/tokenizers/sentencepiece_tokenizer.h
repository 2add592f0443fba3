#pragma once
// SentencePiece's BPE from a GGUF vocabulary (model "llama"): no split, no merge list; the pair
// whose joined text is the token with the best score becomes that token. As llama.cpp does it.

#include <memory>

#include "text/tokenizer.h"
#include "text/tokenizers/bpe_spec.h"
#include "text/tokenizers/control_tokens.h"

namespace nereus {

struct SentencePieceSpec {
    Vocabulary vocabulary;             ///< token texts with "▁" for spaces
    Vocabulary printed;                ///< what decoding writes
    std::vector<uint32_t> priorities;  ///< by id; the best score has the lowest number
    std::vector<AddedToken> added;
    /// A space is written before the text and after every added token that text follows.
    bool add_space_prefix = true;
    int32_t unknown_id = kNoToken;
    int32_t bos_id = kNoToken;
    int32_t eos_id = kNoToken;
    bool add_bos = true;
};

class SentencePieceTokenizer final : public Tokenizer {
  public:
    explicit SentencePieceTokenizer(SentencePieceSpec spec);

    std::vector<int32_t> encode(std::string_view text, ControlTokens control) const override;
    std::string_view token_bytes(int32_t id) const override { return spec_.printed.bytes(id); }
    std::string decode(std::span<const int32_t> ids, bool skip_control) const override;
    int32_t n_tokens() const override { return spec_.vocabulary.n_tokens(); }
    bool is_control(int32_t id) const override { return controls_.is_control(id); }
    std::optional<int32_t> find_control(std::string_view text) const override;
    std::optional<int32_t> bos_id() const override { return optional_token(spec_.bos_id); }
    std::optional<int32_t> eos_id() const override { return optional_token(spec_.eos_id); }
    bool add_bos() const override { return spec_.add_bos; }

  private:
    void encode_text(std::string_view text, std::vector<int32_t>& ids) const;
    void emit(std::string_view text, const Symbol& symbol, std::vector<int32_t>& ids) const;

    SentencePieceSpec spec_;
    ControlTokenSet controls_;
    AddedTokenFinder plain_;  ///< for text of users: without control tokens
    AddedTokenFinder all_;
    std::array<int32_t, 256> byte_ids_{};
};

}  // namespace nereus
