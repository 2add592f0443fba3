// Tokenizers as published against ids of the reference: llama.cpp's vocabulary tests, and texts
// encoded by Hugging Face tokenizers (tests/data/tokenizers/README.md).

#include <gtest/gtest.h>

#include <chrono>
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "base/units.h"
#include "tests/support/published_tokenizers.h"
#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

using Ids = std::vector<int32_t>;

using test::from_gguf;
using test::tokenizer;
using test::unpacked;

std::string file_text(const std::string& name) {
    auto text = read_file(test::kTokenizerData + name, 16 * kMiB);
    EXPECT_TRUE(text.ok()) << name;
    return text.ok() ? std::move(text).value() : "";
}

/// ids are the reference's; the text comes back from them unless the tokenizer normalises.
void expect_ids(const Tokenizer& reader, const std::string& text, const Ids& ids,
                ControlTokens control, bool comes_back = true) {
    EXPECT_EQ(reader.encode(text, control), ids) << "\"" << text << "\"";
    if (comes_back) {
        EXPECT_EQ(reader.decode(ids, false), text);
    }
}

/// The .inp/.out pair of llama.cpp's vocabulary tests.
void expect_pair(const Tokenizer& reader, const std::string& name) {
    const std::string texts = file_text("golden/" + name + ".inp");
    std::istringstream lines(file_text("golden/" + name + ".out"));
    const std::string separator = "\n__ggml_vocab_test__\n";
    int n_cases = 0;
    for (size_t at = 0; at <= texts.size(); ++n_cases) {
        const size_t end = std::min(texts.find(separator, at), texts.size());
        std::string line;
        std::getline(lines, line);
        std::istringstream numbers(line);
        Ids ids;
        for (int32_t id = 0; numbers >> id;) {
            ids.push_back(id);
        }
        expect_ids(reader, texts.substr(at, end - at), ids, ControlTokens::kAsText);
        at = end == texts.size() ? end + 1 : end + separator.size();
    }
    EXPECT_GE(n_cases, 46);
}

TEST(TokenizerGolden, DeepSeekV3CasesInV3R1AndV4) {
    for (const char* name : {"deepseek-v3", "deepseek-r1", "deepseek-v4"}) {
        expect_pair(tokenizer(name), "deepseek-v3");
    }
}

TEST(TokenizerGolden, QwenAndLlamaCases) {
    expect_pair(tokenizer("qwen2.5"), "ggml-vocab-qwen2.gguf");
    expect_pair(tokenizer("qwen2.5"), "ggml-vocab-deepseek-r1-qwen.gguf");
    expect_pair(tokenizer("llama-3.1"), "ggml-vocab-llama-bpe.gguf");
}

TEST(TokenizerGolden, GgufVocabulariesOfDeepSeekLlmAndCoder) {
    for (const char* name : {"ggml-vocab-deepseek-llm", "ggml-vocab-deepseek-coder"}) {
        expect_pair(*from_gguf(name), std::string(name) + ".gguf");
    }
}

TEST(TokenizerGolden, CheckTextOfLlamaCpp) {
    std::istringstream lines(file_text("golden/check-text.jsonl"));
    int n_cases = 0;
    for (std::string line; std::getline(lines, line); ++n_cases) {
        const Json json = parse_json(line, "check-text.jsonl").value();
        Ids ids = json["ids"].get<Ids>();
        if (json["bos"].is_number()) {  // the list begins with it; encode adds none
            ASSERT_EQ(ids[0], json["bos"].get<int32_t>());
            ids.erase(ids.begin());
        }
        expect_ids(tokenizer(json["tokenizer"]), json["text"], ids, ControlTokens::kAsText);
    }
    EXPECT_EQ(n_cases, 5);
}

TEST(TokenizerGolden, TextSamplesInAllThreeVocabularies) {
    std::istringstream lines(unpacked("golden/text-samples.jsonl"));
    int n_cases = 0;
    for (std::string line; std::getline(lines, line); ++n_cases) {
        const Json json = parse_json(line, "text-samples.jsonl").value();
        for (const auto& [name, ids] : json["ids"].items()) {
            const std::string text = json["text"];
            const bool composed = name != "qwen2.5" || text.find("decomposed") == text.npos;
            expect_ids(tokenizer(name), text, ids.get<Ids>(), ControlTokens::kAsText, composed);
        }
    }
    EXPECT_EQ(n_cases, 374);
}

TEST(TokenizerGolden, AddedTokensOfDeepSeek) {
    std::istringstream lines(file_text("golden/deepseek-special-tokens.jsonl"));
    int n_cases = 0;
    for (std::string line; std::getline(lines, line); ++n_cases) {
        const Json json = parse_json(line, "deepseek-special-tokens.jsonl").value();
        const Tokenizer& reader = tokenizer(json["tokenizer"]);
        expect_ids(reader, json["text"], json["ids"].get<Ids>(), ControlTokens::kParse);
        for (const int32_t id :
             reader.encode(json["text"].get<std::string>(), ControlTokens::kAsText)) {
            EXPECT_FALSE(reader.is_control(id)) << line;
        }
    }
    EXPECT_EQ(n_cases, 36);
}

TEST(TokenizerGolden, AddedTokensWithEveryFlagInSmallVocabularies) {
    std::istringstream lines(file_text("golden/added-tokens.jsonl"));
    int n_texts = 0;
    for (std::string line; std::getline(lines, line);) {
        const Json given = parse_json(line, "added-tokens.jsonl").value();
        Json json = small_json();
        for (const char* section : {"normalizer", "pre_tokenizer", "added_tokens"}) {
            json[section] = given[section];
        }
        const auto reader = tokenizer_of(json);
        for (size_t i = 0; i < given["texts"].size(); ++i, ++n_texts) {
            EXPECT_EQ(reader->encode(given["texts"][i].get<std::string>(), ControlTokens::kParse),
                      given["ids"][i].get<Ids>())
                << given["texts"][i] << " in " << line.substr(0, line.find("\"texts\""));
        }
    }
    EXPECT_EQ(n_texts, 1200);
}

TEST(TokenizerGolden, EveryByteStringComesBack) {
    std::string text;
    for (int i = 0; i < 4096; ++i) {
        text += static_cast<char>((i * 167 + i / 256) & 0xff);
    }
    for (const char* name : {"deepseek-v3", "llama-3.1"}) {
        const Tokenizer& reader = tokenizer(name);
        EXPECT_EQ(reader.decode(reader.encode(text, ControlTokens::kAsText), false), text);
    }
}

TEST(TokenizerGolden, OneRepeatedCharacterTakesLinearTime) {
    const Tokenizer& reader = tokenizer("deepseek-v3");
    for (const char* unit : {" ", "a", "\n", "7", "!", "\xe4\xb8\xad", "\xf0\x9f\x98\x80"}) {
        std::string text;
        while (text.size() < kMiB / 2) {
            text += unit;
        }
        text += "x";
        const auto begin = std::chrono::steady_clock::now();
        const Ids ids = reader.encode(text, ControlTokens::kAsText);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
        EXPECT_EQ(reader.decode(ids, false), text);
        EXPECT_LT(seconds.count(), 20.0) << unit;  // 0.1 s optimised and alone; squared: hours
    }
}

}  // namespace
}  // namespace nereus
