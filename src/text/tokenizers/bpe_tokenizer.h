#pragma once
// Encoding and decoding by a merge list: added tokens, normaliser, pre-split, BPE, in the order of
// the reference (Hugging Face tokenizers).

#include <atomic>
#include <memory>

#include "text/tokenizer.h"
#include "text/tokenizers/bpe_spec.h"
#include "text/tokenizers/control_tokens.h"

namespace nereus {

class BpeTokenizer final : public Tokenizer {
  public:
    /// errors: corrupt, unsupported (a split pattern)
    static Result<std::unique_ptr<Tokenizer>> create(BpeSpec spec, std::string_view origin);

    std::vector<int32_t> encode(std::string_view text, ControlTokens control) const override;
    std::string_view token_bytes(int32_t id) const override;
    std::string decode(std::span<const int32_t> ids, bool skip_control) const override;
    int32_t n_tokens() const override { return spec_.vocabulary.n_tokens(); }
    bool is_control(int32_t id) const override { return controls_.is_control(id); }
    std::optional<int32_t> find_control(std::string_view text) const override;
    std::optional<int32_t> bos_id() const override;
    std::optional<int32_t> eos_id() const override;
    bool add_bos() const override { return spec_.add_bos; }

  private:
    /// Whether BPE of a token's bytes gives that one token; found out when first needed.
    enum class Whole : uint8_t { kUnknown, kYes, kNo };
    struct Finders {
        AddedTokenFinder raw;         ///< searched in the text as it came
        AddedTokenFinder normalized;  ///< searched after normalisation
    };
    struct Encoding;  ///< one call's output and buffers

    BpeTokenizer(BpeSpec spec, PreSplitter splitter);
    Finders make_finders(bool with_control) const;
    std::string normalize(std::string_view text) const;
    void encode_text(std::string_view text, const Finders& finders, Encoding& encoding) const;
    void encode_normalized(std::string_view text, Encoding& encoding) const;
    void encode_piece(std::string_view piece, Encoding& encoding) const;
    void initial_symbols(std::string_view piece, std::vector<Symbol>& symbols) const;
    void character_symbols(std::string_view piece, std::vector<Symbol>& symbols) const;
    bool byte_symbols(std::string_view bytes, uint32_t begin, std::vector<Symbol>& symbols) const;

    BpeSpec spec_;
    PreSplitter splitter_;
    ControlTokenSet controls_;
    Finders plain_;  ///< for text of users: without control tokens
    Finders all_;
    std::array<int32_t, 256> byte_ids_{};  ///< by byte; kNoToken where the vocabulary has none
    bool has_all_bytes_ = false;
    std::unique_ptr<std::atomic<Whole>[]> whole_;  ///< by id
};

}  // namespace nereus
