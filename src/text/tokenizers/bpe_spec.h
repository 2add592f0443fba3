#pragma once
// What a vocabulary file says, in one form for tokenizer.json and GGUF: the reader fills it, the
// tokenizer works from it.

#include <string>
#include <vector>

#include "text/pre_split.h"
#include "text/tokenizers/added_tokens.h"
#include "text/tokenizers/bpe_merge.h"
#include "text/tokenizers/vocabulary.h"

namespace nereus {

/// A rewriting of the text before it is split.
struct NormalizerStep {
    enum class Kind { kNfc, kPrepend, kReplace };
    Kind kind = Kind::kNfc;
    std::string pattern;  ///< kReplace: every occurrence of this text
    std::string content;  ///< becomes (kReplace) or gets in front of it (kPrepend) this
};

struct BpeSpec {
    Vocabulary vocabulary;  ///< all tokens as BPE sees them; findable: those BPE may produce
    Vocabulary printed;     ///< what decoding writes where that differs ("▁the": " the")
    MergeTable merges;
    std::vector<AddedToken> added;
    std::vector<NormalizerStep> normalizer;
    std::vector<SplitRule> split_rules;

    /// Initial symbols are bytes (GPT-2 family), else characters (SentencePiece family).
    bool byte_level = true;
    bool ignore_merges = false;  ///< a piece that is a token is that token
    bool byte_fallback = false;  ///< characters without a token become <0xNN> tokens
    bool fuse_unknown = false;   ///< neighbouring unknown characters are one unknown token
    /// A byte without a token keeps its neighbours apart (llama.cpp); else they may merge as if it
    /// had not been there (Hugging Face tokenizers).
    bool missing_bytes_separate = false;
    int32_t unknown_id = kNoToken;
    /// Decoding leaves out one space at the begin of the text.
    bool strip_leading_space = false;

    int32_t bos_id = kNoToken;
    int32_t eos_id = kNoToken;
    bool add_bos = false;
};

}  // namespace nereus
