#pragma once
// Small vocabularies for tests: tokenizer.json documents to vary, and ready tokenizers.

#include <memory>
#include <string>

#include "base/check.h"
#include "base/json.h"
#include "base/unicode.h"
#include "text/tokenizer.h"

namespace nereus {

/// The characters of the GPT-2 byte alphabet in order of their bytes.
inline std::vector<std::string> alphabet_characters() {
    std::vector<std::string> characters;
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool itself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
        std::string character;
        append_utf8(character, itself ? byte : next++);
        characters.push_back(character);
    }
    return characters;
}

/// Ids 0..255 are the bytes, 256 "ab", 257 "abc", 258 "Ġa"; no split but a byte-level stage.
inline Json small_json() {
    Json vocab = Json::object();
    int id = 0;
    for (const std::string& character : alphabet_characters()) {
        vocab[character] = id++;
    }
    vocab["ab"] = 256;
    vocab["abc"] = 257;
    vocab
        ["\xc4\xa0"
         "a"] = 258;
    Json json;
    json["version"] = "1.0";
    json["added_tokens"] = Json::array();
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
    json["decoder"] = {{"type", "ByteLevel"}};
    json["model"] = {
        {"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array({"a b", "ab c", "\xc4\xa0 a"})}};
    return json;
}

inline Json added_json(int id, const std::string& text, bool special) {
    return {{"id", id},        {"content", text}, {"special", special},  {"normalized", false},
            {"lstrip", false}, {"rstrip", false}, {"single_word", false}};
}

inline std::unique_ptr<Tokenizer> tokenizer_of(const Json& json) {
    auto created = tokenizer_from_json(dump_json(json), "test.json");
    NEREUS_CHECK(created.ok());
    return std::move(created).value();
}

/// small_json with the special token "<|end|>" as 300 and the plain added token "word" as 301.
inline std::unique_ptr<Tokenizer> byte_tokenizer() {
    Json json = small_json();
    json["added_tokens"] =
        Json::array({added_json(300, "<|end|>", true), added_json(301, "word", false)});
    return tokenizer_of(json);
}

/// A SentencePiece vocabulary: <unk> <s> </s>, 256 bytes, then "▁" a b "▁a" "ab" "▁ab" and
/// "</".
inline std::unique_ptr<Tokenizer> sentencepiece_tokenizer() {
    std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
    for (int byte = 0; byte < 256; ++byte) {
        texts.push_back(fmt::format("<0x{:02X}>", byte));
    }
    const std::string mark = "\xe2\x96\x81";
    for (const std::string& text : {mark, std::string("a"), std::string("b"), mark + "a",
                                    std::string("ab"), mark + "ab", std::string("</")}) {
        texts.push_back(text);
    }
    GgufVocabulary vocabulary;
    vocabulary.model = "llama";
    for (size_t i = 0; i < texts.size(); ++i) {
        vocabulary.tokens.push_back(texts[i]);
        vocabulary.scores.push_back(-static_cast<double>(i));
        vocabulary.token_types.push_back(i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1);
    }
    vocabulary.bos_id = 1;
    vocabulary.eos_id = 2;
    vocabulary.unknown_id = 0;
    auto created = tokenizer_from_gguf(vocabulary, "test.gguf");
    NEREUS_CHECK(created.ok());
    return std::move(created).value();
}

}  // namespace nereus
