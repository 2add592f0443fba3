#pragma once
// Strings to token ids and back: byte-level BPE from tokenizer.json or a GGUF vocabulary, and
// SentencePiece-style BPE from a GGUF vocabulary. Text typed by a user never becomes a control
// token unless the caller asks for it.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus {

/// The vocabulary part of a GGUF header; views stay owned by the caller during the call.
struct GgufVocabulary {
    std::string_view model;  ///< tokenizer.ggml.model: "gpt2" or "llama"
    std::string_view pre;    ///< tokenizer.ggml.pre
    std::vector<std::string_view> tokens;
    std::vector<std::string_view> merges;
    std::vector<double> scores;  ///< SentencePiece only
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
    std::vector<double> token_types;
    std::optional<int64_t> bos_id, eos_id, eot_id, unknown_id, padding_id;
    std::optional<bool> add_bos, add_eos, add_space_prefix;
};

/// Whether text that spells a control (added) token becomes that token.
enum class ControlTokens {
    kAsText,  ///< user input: split like any other text
    kParse,   ///< templates and prompts written by us
};

/// Immutable after creation. threads: use from any number.
class Tokenizer {
  public:
    virtual ~Tokenizer() = default;

    /// No BOS or EOS is added. Invalid UTF-8 is encoded byte by byte where the vocabulary has the
    /// bytes, else as U+FFFD; never fails.
    virtual std::vector<int32_t> encode(std::string_view text, ControlTokens control) const = 0;

    /// The bytes of one token; control tokens give their text. Empty for an id without a token.
    virtual std::string_view token_bytes(int32_t id) const = 0;
    /// Concatenated bytes, as the reference decoder writes them. skip_control leaves out what the
    /// vocabulary marks special: for DeepSeek that is not "<think>" or "<｜User｜>", whose flag is
    /// false, though they are control tokens (is_control).
    virtual std::string decode(std::span<const int32_t> ids, bool skip_control) const = 0;

    virtual int32_t n_tokens() const = 0;  ///< highest id + 1
    virtual bool is_control(int32_t id) const = 0;
    virtual std::optional<int32_t> find_control(std::string_view text) const = 0;

    /// From the vocabulary file; tokenizer.json has no bos/eos of its own (see tokenizer_config).
    virtual std::optional<int32_t> bos_id() const = 0;
    virtual std::optional<int32_t> eos_id() const = 0;
    virtual bool add_bos() const = 0;
};

/// json: the text of a tokenizer.json; origin: its path for messages.
/// errors: corrupt, unsupported (a model, normalizer or pre-tokenizer this build has not)
Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(std::string_view json,
                                                       std::string_view origin);
Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufVocabulary& vocabulary,
                                                       std::string_view origin);

}  // namespace nereus
