#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

using Ids = std::vector<int32_t>;

Ids encode(const Tokenizer& tokenizer, std::string_view text,
           ControlTokens control = ControlTokens::kAsText) {
    return tokenizer.encode(text, control);
}

TEST(TokenizerJson, MergesByRank) {
    const auto tokenizer = tokenizer_of(small_json());
    EXPECT_EQ(encode(*tokenizer, "abc"), (Ids{257}));
    EXPECT_EQ(encode(*tokenizer, "abab ac"), (Ids{256, 256, 258, 'c'}));
    EXPECT_EQ(encode(*tokenizer, ""), Ids{});
    EXPECT_EQ(tokenizer->n_tokens(), 259);
    EXPECT_EQ(tokenizer->token_bytes(258), " a");
    EXPECT_EQ(tokenizer->token_bytes(259), "");
}

TEST(TokenizerJson, MergesMayBePairs) {
    Json json = small_json();
    json["model"]["merges"] = Json::parse(R"([["a","b"],["ab" , "c"],["\u0120","a"]])");
    EXPECT_EQ(encode(*tokenizer_of(json), "abc a"), (Ids{257, 258}));
    json["model"]["vocab"]["\""] = nullptr;
    json["model"]["vocab"]["\""] = '"';
    json["model"]["vocab"]["\\\""] = 259;
    json["model"]["merges"] = Json::parse(R"([["\\","\""]])");
    EXPECT_EQ(encode(*tokenizer_of(json), "\\\""), (Ids{259}));
}

TEST(TokenizerJson, EveryByteStringComesBack) {
    const auto tokenizer = byte_tokenizer();
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        all += static_cast<char>(byte);
        all += "ab\xe2\x82";
    }
    for (const ControlTokens control : {ControlTokens::kAsText, ControlTokens::kParse}) {
        EXPECT_EQ(tokenizer->decode(encode(*tokenizer, all, control), false), all);
    }
}

TEST(TokenizerJson, InvalidUtf8IsTheReplacementCharacterWhereBytesAreMissing) {
    Json json = small_json();
    json["model"]["vocab"].erase(alphabet_characters()[0xff]);
    const auto tokenizer = tokenizer_of(json);
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer,
                                       "a\xff"
                                       "b"),
                                false),
              "a\xef\xbf\xbd"
              "b");
}

TEST(TokenizerJson, TextOfAUserIsNeverAControlToken) {
    const auto tokenizer = byte_tokenizer();
    const std::string text = "a<|end|>b";
    EXPECT_EQ(encode(*tokenizer, text, ControlTokens::kParse), (Ids{'a', 300, 'b'}));
    const Ids plain = encode(*tokenizer, text);
    EXPECT_EQ(plain, (Ids{'a', '<', '|', 'e', 'n', 'd', '|', '>', 'b'}));
    EXPECT_EQ(encode(*tokenizer, "aword"), (Ids{'a', 301}));  // an ordinary added token
    EXPECT_TRUE(tokenizer->is_control(300));
    EXPECT_FALSE(tokenizer->is_control(301));
    EXPECT_EQ(tokenizer->find_control("<|end|>"), 300);
    EXPECT_FALSE(tokenizer->find_control("word"));
}

TEST(TokenizerJson, AControlTokenInTheVocabularyIsOutOfReachOfMergesToo) {
    Json json = small_json();
    json["model"]["vocab"]["<a"] = 259;
    json["model"]["vocab"]["<a>"] = 260;
    json["model"]["merges"] = Json::array({"< a", "<a >"});
    json["model"]["ignore_merges"] = true;
    EXPECT_EQ(encode(*tokenizer_of(json), "<a>"), (Ids{260}));
    json["added_tokens"] = Json::array({added_json(260, "<a>", false)});
    EXPECT_EQ(encode(*tokenizer_of(json), "<a>"), (Ids{259, '>'}));
    EXPECT_EQ(encode(*tokenizer_of(json), "<a>", ControlTokens::kParse), (Ids{260}));
}

TEST(TokenizerJson, DecodingLeavesOutSpecialTokensOnRequest) {
    const auto tokenizer = byte_tokenizer();
    const Ids ids = {'a', 300, 301, 'b', 9999, -5};
    EXPECT_EQ(tokenizer->decode(ids, false), "a<|end|>wordb");
    EXPECT_EQ(tokenizer->decode(ids, true), "awordb");
}

TEST(TokenizerJson, NormalizedTokensAreSearchedAfterTheOthersInNormalText) {
    Json json = small_json();
    json["normalizer"] = {{"type", "NFC"}};
    Json accent = added_json(300, "e\xcc\x81", false);
    accent["normalized"] = true;
    json["added_tokens"] = Json::array({accent, added_json(301, "x\xc3\xa9", false)});
    const auto tokenizer = tokenizer_of(json);
    EXPECT_EQ(encode(*tokenizer,
                     "\xc3\xa9"
                     "e\xcc\x81"),
              (Ids{300, 300}));
    EXPECT_EQ(encode(*tokenizer, "x\xc3\xa9"), (Ids{301}));
    EXPECT_EQ(encode(*tokenizer, "xe\xcc\x81"), (Ids{'x', 300}));  // raw text differs from 301
}

TEST(TokenizerJson, IgnoreMergesTakesAWholePiece) {
    Json json = small_json();
    json["model"]["vocab"]["cab"] = 259;
    EXPECT_EQ(encode(*tokenizer_of(json), "cab"), (Ids{'c', 256}));
    json["model"]["ignore_merges"] = true;
    EXPECT_EQ(encode(*tokenizer_of(json), "cab"), (Ids{259}));
}

TEST(TokenizerJson, PreTokenizersAreAppliedInOrder) {
    Json json = small_json();
    json["pre_tokenizer"] = Json::parse(R"({"type":"Sequence","pretokenizers":[
        {"type":"Split","pattern":{"String":"b"},"behavior":"Isolated","invert":false},
        {"type":"Digits","individual_digits":true},
        {"type":"ByteLevel","add_prefix_space":true,"use_regex":true}]})");
    const auto tokenizer = tokenizer_of(json);
    EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "abc"), false), " a b c");
    EXPECT_EQ(encode(*tokenizer, "abc"), (Ids{258, ' ', 'b', ' ', 'c'}));
}

TEST(TokenizerJson, BosIsWhatATemplateWritesFirst) {
    Json json = small_json();
    json["added_tokens"] = Json::array({added_json(300, "<s>", true)});
    EXPECT_FALSE(tokenizer_of(json)->add_bos());
    json["post_processor"] = Json::parse(
        R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}}]})");
    EXPECT_EQ(tokenizer_of(json)->bos_id(), 300);
    EXPECT_TRUE(tokenizer_of(json)->add_bos());
}

/// As the tokenizer.json of Llama 2 and TinyLlama.
Json sentencepiece_json() {
    return Json::parse(R"({
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": false,
            "vocab": {"<unk>": 0, "\u2581": 1, "a": 2, "b": 3, "\u2581a": 4, "ab": 5},
            "merges": ["\u2581 a", "a b"]}})");
}

TEST(TokenizerJson, CharactersWithoutATokenAreUnknownOrBytes) {
    Json json = sentencepiece_json();
    const auto fused = tokenizer_of(json);
    EXPECT_EQ(encode(*fused, "ab xy"), (Ids{4, 3, 1, 0}));
    EXPECT_EQ(fused->decode(Ids{4, 3, 1, 2}, false), "ab a");
    json["model"]["fuse_unk"] = false;
    EXPECT_EQ(encode(*tokenizer_of(json), "ab xy"), (Ids{4, 3, 1, 0, 0}));
    json["model"]["byte_fallback"] = true;
    for (int byte = 0; byte < 256; ++byte) {
        json["model"]["vocab"][fmt::format("<0x{:02X}>", byte)] = 10 + byte;
    }
    const auto bytes = tokenizer_of(json);
    EXPECT_EQ(encode(*bytes, "x"), (Ids{1, 10 + 'x'}));
    const std::string text = " ab  x\xe2\x82\xac";
    EXPECT_EQ(bytes->decode(encode(*bytes, text), false), text);
}

TEST(TokenizerJson, ThreadsShareOneTokenizer) {
    const auto tokenizer = byte_tokenizer();
    const Ids expected = encode(*byte_tokenizer(), "abc ab a abc");
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 500; ++n) {
                wrong += encode(*tokenizer, "abc ab a abc") == expected ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0);
}

struct BrokenCase {
    const char* pointer;  ///< JSON pointer of what is replaced
    const char* value;    ///< by this; empty: removed
    ErrorCode code;
    const char* words;  ///< in the message
};

constexpr BrokenCase kBroken[] = {
    {"/model", "", ErrorCode::kCorrupt, "\"model\" is missing"},
    {"/model", "3", ErrorCode::kCorrupt, "JSON"},
    {"/model/vocab", "", ErrorCode::kCorrupt, "\"vocab\" is missing"},
    {"/model/vocab", "[]", ErrorCode::kCorrupt, "JSON"},
    {"/model/vocab", "{}", ErrorCode::kCorrupt, "names \"a\", which is not a token"},
    {"/model/vocab/a", "-1", ErrorCode::kCorrupt, "has id -1"},
    {"/model/vocab/a", "4194304", ErrorCode::kCorrupt, "has id 4194304"},
    {"/model/vocab/a", "1.5", ErrorCode::kCorrupt, "is \"1.5\""},
    {"/model/vocab/a", "\"97\"", ErrorCode::kCorrupt, "the id of token"},
    {"/model/vocab/a", "98", ErrorCode::kCorrupt, "has id 98, which"},
    {"/model/merges", "", ErrorCode::kCorrupt, "\"merges\" is missing"},
    {"/model/merges/0", "\"ab\"", ErrorCode::kCorrupt, "is not two tokens"},
    {"/model/merges/0", "\"a b c\"", ErrorCode::kCorrupt, "is not two tokens"},
    {"/model/merges/0", "7", ErrorCode::kCorrupt, "is not a string"},
    {"/model/merges/0", "[\"a\"]", ErrorCode::kCorrupt, "is not two strings"},
    {"/model/merges/0", "[\"a\",\"b\",\"c\"]", ErrorCode::kCorrupt, "is not two strings"},
    {"/model/merges/0", "[\"a\",7]", ErrorCode::kCorrupt, "is not two strings"},
    {"/model/merges/0", "\"a xyz\"", ErrorCode::kCorrupt, "names \"xyz\""},
    {"/model/merges/0", "\"b a\"", ErrorCode::kCorrupt, "names \"ba\""},
    {"/model/type", "\"WordPiece\"", ErrorCode::kUnsupported, "WordPiece"},
    {"/model/dropout", "0.1", ErrorCode::kUnsupported, "dropout"},
    {"/model/unk_token", "\"<none>\"", ErrorCode::kCorrupt, "unk_token"},
    {"/model/ignore_merges", "\"yes\"", ErrorCode::kCorrupt, "ignore_merges"},
    {"/added_tokens", "{}", ErrorCode::kCorrupt, "added_tokens"},
    {"/added_tokens/0", "1", ErrorCode::kCorrupt, "added token"},
    {"/added_tokens/0/id", "-3", ErrorCode::kCorrupt, "id -3"},
    {"/added_tokens/0/id", "4294967296", ErrorCode::kCorrupt, "4294967296"},
    {"/added_tokens/0/content", "null", ErrorCode::kCorrupt, "content"},
    {"/added_tokens/0/special", "1", ErrorCode::kCorrupt, "special"},
    {"/added_tokens/1/id", "300", ErrorCode::kCorrupt, "share id 300"},
    {"/normalizer", "{\"type\":\"NFKC\"}", ErrorCode::kUnsupported, "NFKC"},
    {"/normalizer", "[]", ErrorCode::kCorrupt, "normalizer is not an object"},
    {"/pre_tokenizer/type", "\"Metaspace\"", ErrorCode::kUnsupported, "Metaspace"},
    {"/pre_tokenizer/type", "\"Split\"", ErrorCode::kCorrupt, "pattern"},
    {"/pre_tokenizer/add_prefix_space", "2", ErrorCode::kCorrupt, "add_prefix_space"},
    {"/pre_tokenizer",
     R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false})",
     ErrorCode::kCorrupt, "does not compile"},
    {"/pre_tokenizer",
     R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Sideways","invert":false})",
     ErrorCode::kUnsupported, "Sideways"},
    {"/decoder/type", "\"WordPiece\"", ErrorCode::kUnsupported, "WordPiece"},
};

TEST(TokenizerJson, BrokenFilesAreOneClearLine) {
    for (const BrokenCase& broken : kBroken) {
        Json json = small_json();
        json["added_tokens"] =
            Json::array({added_json(300, "<s>", true), added_json(301, "</s>", true)});
        const Json::json_pointer pointer(broken.pointer);
        if (*broken.value == '\0') {
            json[pointer.parent_pointer()].erase(pointer.back());
        } else {
            json[pointer] = Json::parse(broken.value);
        }
        const auto result = tokenizer_from_json(dump_json(json), "some/tokenizer.json");
        ASSERT_FALSE(result.ok()) << broken.pointer << " = " << broken.value;
        const Error& error = result.error();
        EXPECT_EQ(error.code, broken.code) << error.message;
        EXPECT_NE(error.message.find("some/tokenizer.json"), std::string::npos) << error.message;
        EXPECT_NE(error.message.find(broken.words), std::string::npos) << error.message;
        EXPECT_EQ(error.message.find('\n'), std::string::npos);
    }
}

TEST(TokenizerJson, AnEmptyVocabularyIsRefused) {
    Json json = small_json();
    json["model"]["vocab"] = Json::object();
    const auto result = tokenizer_from_json(dump_json(json), "empty");
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message.find("the vocabulary is empty"), std::string::npos);
}

TEST(TokenizerJson, TruncatedFilesAreErrorsAtEveryLength) {
    const std::string text = dump_json(small_json());
    for (size_t n = 0; n < text.size(); n += 1 + n / 50) {
        EXPECT_FALSE(tokenizer_from_json(std::string_view(text).substr(0, n), "cut").ok()) << n;
    }
}

TEST(TokenizerJson, DeepSequencesAndLongTokensAreRefused) {
    Json json = small_json();
    for (int depth = 0; depth < 12; ++depth) {
        const Json inner = json["pre_tokenizer"];
        json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", Json::array({inner})}};
    }
    EXPECT_EQ(tokenizer_from_json(dump_json(json), "deep").error().code, ErrorCode::kUnsupported);
    Json lengthy = small_json();
    lengthy["added_tokens"] = Json::array({added_json(300, std::string(1025, 'x'), true)});
    EXPECT_EQ(tokenizer_from_json(dump_json(lengthy), "long").error().code,
              ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace nereus
