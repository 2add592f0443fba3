#include <gtest/gtest.h>

#include <cmath>

#include "text/pre_split.h"
#include "text/tokenizers/gguf_pre_types.h"
#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

using Ids = std::vector<int32_t>;

/// The small vocabulary of test_vocabularies.h as GGUF: 259 "<|end|>" control, 260 "ü"
/// user-defined.
struct SmallGguf {
    std::vector<std::string> texts = alphabet_characters();
    GgufVocabulary vocabulary;

    explicit SmallGguf(std::string_view pre) {
        for (const char* text : {"ab", "abc",
                                 "\xc4\xa0"
                                 "a",
                                 "<|end|>", "\xc3\xbc"}) {
            texts.push_back(text);
        }
        vocabulary.model = "gpt2";
        vocabulary.pre = pre;
        vocabulary.tokens.assign(texts.begin(), texts.end());
        // 'ü' is in the byte alphabet as well (0xfc): DeepSeek-LLM has it only as an added token.
        vocabulary.tokens[0xfc] = "[unused]";
        vocabulary.token_types.assign(texts.size(), 1);
        vocabulary.token_types[0xfc] = 5;
        vocabulary.token_types[259] = 3;
        vocabulary.token_types[260] = 4;
        vocabulary.merges = {"a b", "ab c", "\xc4\xa0 a"};
        vocabulary.bos_id = 259;
    }
    std::unique_ptr<Tokenizer> tokenizer() const {
        auto created = tokenizer_from_gguf(vocabulary, "small.gguf");
        EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().message);
        return created.ok() ? std::move(created).value() : nullptr;
    }
};

TEST(TokenizerGguf, EncodesByteLevelVocabularies) {
    const auto tokenizer = SmallGguf("gpt-2").tokenizer();
    EXPECT_EQ(tokenizer->encode("abc a", ControlTokens::kAsText), (Ids{257, 258}));
    EXPECT_EQ(tokenizer->encode("<|end|>a", ControlTokens::kParse), (Ids{259, 'a'}));
    EXPECT_EQ(tokenizer->encode("<|end|>", ControlTokens::kAsText).size(), 7U);
    EXPECT_EQ(tokenizer->bos_id(), 259);
    EXPECT_FALSE(tokenizer->add_bos());
    EXPECT_TRUE(tokenizer->is_control(259));
}

TEST(TokenizerGguf, AUserDefinedCharacterIsFoundInAnyText) {
    const auto tokenizer = SmallGguf("deepseek-llm").tokenizer();
    const Ids ids = tokenizer->encode(
        "a\xc3\xbc"
        "b",
        ControlTokens::kAsText);
    EXPECT_EQ(ids, (Ids{'a', 260, 'b'}));
    EXPECT_EQ(tokenizer->decode(ids, false),
              "a\xc3\xbc"
              "b");
    EXPECT_FALSE(tokenizer->is_control(260));
}

TEST(TokenizerGguf, InvalidUtf8IsTheReplacementCharacterWhereBytesAreMissing) {
    const auto tokenizer = SmallGguf("deepseek-llm").tokenizer();
    const Ids ids = tokenizer->encode(
        "a\xfc"
        "b",
        ControlTokens::kAsText);
    EXPECT_EQ(tokenizer->decode(ids, false),
              "a\xef\xbf\xbd"
              "b");
}

TEST(TokenizerGguf, AByteWithoutATokenKeepsItsNeighboursApart) {
    SmallGguf small("gpt-2");
    small.vocabulary.tokens[0xc2] = "[unused too]";
    const std::string merge = "b " + alphabet_characters()[0xa9];
    const std::string token = "b" + alphabet_characters()[0xa9];
    small.vocabulary.merges.push_back(merge);
    small.vocabulary.tokens.push_back(token);
    small.vocabulary.token_types.push_back(1);
    EXPECT_EQ(small.tokenizer()->encode("\xcc\xa9", ControlTokens::kAsText), (Ids{0xcc, 0xa9}));
    EXPECT_EQ(small.tokenizer()->encode("b\xc2\xa9", ControlTokens::kAsText), (Ids{'b', 0xa9}));
}

TEST(TokenizerGguf, AllPreTypesCompileAndKeepTheText) {
    const std::string text = "Hello  I'm 12345 \xe4\xbd\xa0\xe5\xa5\xbd\n\n\xd0\x9f! x_y\t ";
    std::string names = gguf_pre_type_names() + ",";
    for (size_t at = 0; at < names.size();) {
        const size_t comma = names.find(',', at);
        const std::string name = names.substr(at, comma - at);
        const auto tokenizer = SmallGguf(name).tokenizer();
        ASSERT_NE(tokenizer, nullptr) << name;
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, ControlTokens::kAsText), false), text);
        at = names.find_first_not_of(", ", comma);
    }
    EXPECT_EQ(find_gguf_pre_type(""), find_gguf_pre_type("default"));
}

TEST(TokenizerGguf, SentencePieceMergesTheBestScore) {
    const auto tokenizer = sentencepiece_tokenizer();
    // 259 "▁", 260 a, 261 b, 262 "▁a", 263 "ab", 264 "▁ab"
    EXPECT_EQ(tokenizer->encode("ab", ControlTokens::kAsText), (Ids{264}));
    EXPECT_EQ(tokenizer->encode("aab", ControlTokens::kAsText), (Ids{262, 263}));
    EXPECT_EQ(tokenizer->encode("bab", ControlTokens::kAsText), (Ids{259, 261, 263}));
    EXPECT_EQ(tokenizer->encode("", ControlTokens::kAsText), Ids{});
    EXPECT_TRUE(tokenizer->add_bos());
    EXPECT_EQ(tokenizer->bos_id(), 1);
    EXPECT_EQ(tokenizer->eos_id(), 2);
}

TEST(TokenizerGguf, SentencePieceWritesBytesForWhatHasNoToken) {
    const auto tokenizer = sentencepiece_tokenizer();
    EXPECT_EQ(tokenizer->encode("\xc3\xa9", ControlTokens::kAsText),
              (Ids{259, 3 + 0xc3, 3 + 0xa9}));
    for (const std::string& text : {std::string("a b\n\xf0\x9f\x98\x80"), std::string("  a"),
                                    std::string("\xff\xc3 \x00", 4)}) {
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, ControlTokens::kAsText), false), text);
    }
}

TEST(TokenizerGguf, SentencePieceKeepsControlTokensOutOfText) {
    const auto tokenizer = sentencepiece_tokenizer();
    EXPECT_EQ(tokenizer->encode("<s>a</s>", ControlTokens::kParse), (Ids{1, 262, 2}));
    for (const int32_t id : tokenizer->encode("<s>a</s><unk>", ControlTokens::kAsText)) {
        EXPECT_FALSE(tokenizer->is_control(id));
    }
    EXPECT_EQ(tokenizer->decode(Ids{1, 264, 2}, true), "ab");
    EXPECT_EQ(tokenizer->decode(Ids{1, 264, 2}, false), "<s> ab</s>");
}

TEST(TokenizerGguf, ContradictionsAreOneClearLine) {
    using Break = void (*)(GgufVocabulary&);
    const struct {
        Break apply;
        ErrorCode code;
        const char* words;
    } kCases[] = {
        {[](GgufVocabulary& v) { v.model = "bert"; }, ErrorCode::kUnsupported, "bert"},
        {[](GgufVocabulary& v) { v.pre = "klingon"; }, ErrorCode::kUnsupported, "klingon"},
        {[](GgufVocabulary& v) { v.tokens.clear(); }, ErrorCode::kCorrupt, "0 tokens"},
        {[](GgufVocabulary& v) { v.token_types.pop_back(); }, ErrorCode::kCorrupt, "token_type"},
        {[](GgufVocabulary& v) { v.scores = {1.0}; }, ErrorCode::kCorrupt, "scores"},
        {[](GgufVocabulary& v) { v.tokens[1] = v.tokens[2]; }, ErrorCode::kCorrupt, "twice"},
        {[](GgufVocabulary& v) { v.merges[0] = "ab"; }, ErrorCode::kCorrupt, "not two tokens"},
        {[](GgufVocabulary& v) { v.merges[0] = "a zz"; }, ErrorCode::kCorrupt, "names \"zz\""},
        {[](GgufVocabulary& v) { v.bos_id = 5000; }, ErrorCode::kCorrupt, "bos_token_id is 5000"},
        {[](GgufVocabulary& v) { v.model = "llama"; }, ErrorCode::kCorrupt, "scores is missing"},
    };
    for (const auto& broken : kCases) {
        SmallGguf small("gpt-2");
        broken.apply(small.vocabulary);
        const auto created = tokenizer_from_gguf(small.vocabulary, "small.gguf");
        ASSERT_FALSE(created.ok()) << broken.words;
        EXPECT_EQ(created.error().code, broken.code);
        EXPECT_NE(created.error().message.find(broken.words), std::string::npos)
            << created.error().message;
    }
}

TEST(TokenizerGguf, NanScoresAreRefused) {
    SmallGguf small("");
    small.vocabulary.model = "llama";
    small.vocabulary.scores.assign(small.texts.size(), std::nan(""));
    EXPECT_FALSE(tokenizer_from_gguf(small.vocabulary, "small.gguf").ok());
}

}  // namespace
}  // namespace nereus
