// How each tokenizer.ggml.pre cuts text; the pieces are worked out by hand from the published
// patterns.

#include "text/tokenizers/gguf_pre_types.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nereus {
namespace {

using Pieces = std::vector<std::string>;

PreSplitter splitter_of(std::string_view name) {
    const GgufPreType* type = find_gguf_pre_type(name);
    std::vector<SplitRule> rules;
    for (const std::string_view pattern : type->patterns) {
        rules.push_back({std::string(pattern)});
    }
    return PreSplitter::create(rules, name).value();
}

Pieces split(std::string_view name, std::string_view text) {
    Pieces pieces;
    splitter_of(name).split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
    return pieces;
}

struct SplitCase {
    const char* names;  ///< separated by blanks
    const char* text;
    Pieces pieces;
};

const SplitCase kCases[] = {
    // Digits: all together, one by one, in threes from the left, with the blank or without.
    {"deepseek-llm", "ab 12345", {"ab", " ", "12345"}},
    {"deepseek-coder smollm deepseek-r1-qwen qwen2",
     "ab 12345",
     {"ab", " ", "1", "2", "3", "4", "5"}},
    {"deepseek-v3 llama-bpe llama3 llama-v3 default", "ab 12345", {"ab", " ", "123", "45"}},
    {"gpt-2", "ab 12345", {"ab", " 12345"}},
    // Contractions, in capitals too or not, and the blank before a word behind new lines.
    {"gpt-2 smollm", "I'LL see\n\n we're", {"I", "'", "LL", " see", "\n\n", " we", "'re"}},
    {"deepseek-r1-qwen qwen2 llama-bpe llama3 llama-v3 deepseek-v3",
     "I'LL see\n\n we're",
     {"I", "'LL", " see", "\n\n", " we", "'re"}},
    {"default", "I'LL see\n\n we're", {"I", "'", "LL", " see", "\n\n", " we", "'", "re"}},
    {"deepseek-llm deepseek-coder",
     "I'LL see\n\n we're",
     {"I", "'", "LL", " see", "\n", "\n", " we", "'", "re"}},
    // Ideographs, symbols and blanks.
    {"deepseek-v3", "x==  中文。ab", {"x", "==", "  ", "中文", "。", "ab"}},
    {"deepseek-r1-qwen qwen2 llama-bpe llama3 llama-v3",
     "x==  中文。ab",
     {"x", "==", " ", " 中文", "。ab"}},
    {"deepseek-coder", "x==  中文。ab", {"x", "== ", " ", "中文", "。", "ab"}},
    {"gpt-2 smollm", "x==  中文。ab", {"x", "==", " ", " 中文", "。", "ab"}},
    // Blanks at the end and new lines behind punctuation.
    {"deepseek-v3 deepseek-r1-qwen qwen2 llama-bpe llama3 llama-v3",
     "a;\n\nb  ",
     {"a", ";\n\n", "b", "  "}},
    {"gpt-2 smollm default deepseek-llm", "a;\n\nb  ", {"a", ";", "\n", "\n", "b", "  "}},
    // Marks belong to the letter before them in V3 only.
    {"deepseek-v3", "ne\u0301e", {"ne\u0301e"}},
    {"gpt-2 smollm", "ne\u0301e", {"ne", "\u0301", "e"}},
    {"deepseek-r1-qwen qwen2 llama-bpe llama3 llama-v3", "ne\u0301e", {"ne", "\u0301e"}},
};

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const size_t n = std::min(text.find(' '), text.size());
        words.emplace_back(text.substr(0, n));
        text.remove_prefix(std::min(n + 1, text.size()));
    }
    return words;
}

TEST(GgufPreTypes, cut_as_their_published_patterns_do) {
    for (const SplitCase& one : kCases) {
        for (const std::string& name : words_of(one.names)) {
            EXPECT_EQ(split(name, one.text), one.pieces) << name << ": " << one.text;
        }
    }
}

TEST(GgufPreTypes, say_who_normalises_and_who_takes_whole_pieces) {
    for (const char* name : {"qwen2", "deepseek-r1-qwen"}) {
        EXPECT_TRUE(find_gguf_pre_type(name)->nfc) << name;
        EXPECT_FALSE(find_gguf_pre_type(name)->ignore_merges) << name;
    }
    for (const char* name : {"llama-bpe", "llama3", "llama-v3"}) {
        EXPECT_FALSE(find_gguf_pre_type(name)->nfc) << name;
        EXPECT_TRUE(find_gguf_pre_type(name)->ignore_merges) << name;
    }
    for (const char* name : {"deepseek-llm", "deepseek-coder", "deepseek-v3", "gpt-2", "smollm"}) {
        EXPECT_FALSE(find_gguf_pre_type(name)->nfc) << name;
        EXPECT_FALSE(find_gguf_pre_type(name)->ignore_merges) << name;
    }
    EXPECT_EQ(find_gguf_pre_type("gpt2"), nullptr);
}

/// 256 KiB of one unit: what backtracks over the whole text takes 3e10 steps, half a minute and
/// more; linear it is some 20 ms.
TEST(GgufPreTypes, are_linear_in_texts_of_one_kind) {
    constexpr std::string_view kUnits[] = {
        " ",  "a",  "\n",      "\r", "7",      "!",       "'s",       "a ", " \n", "a1", "\u0301",
        "中", "。", "a\u0301", "😀", "\u00a0", "\u3000 ", "\u3000\n", "'",  "_",   "\t!"};
    std::string names = gguf_pre_type_names();
    std::erase(names, ',');
    for (const std::string& name : words_of(names)) {
        const PreSplitter splitter = splitter_of(name);
        for (const std::string_view unit : kUnits) {
            for (const std::string_view end : {"", "x"}) {
                std::string text;
                while (text.size() < 256 * 1024) {
                    text += unit;
                }
                text += end;
                size_t n_bytes = 0;
                const auto begin = std::chrono::steady_clock::now();
                splitter.split(text, [&](std::string_view piece) { n_bytes += piece.size(); });
                const std::chrono::duration<double> seconds =
                    std::chrono::steady_clock::now() - begin;
                EXPECT_EQ(n_bytes, text.size()) << name;
                EXPECT_LT(seconds.count(), 15.0) << name << ", '" << unit << "' and " << end;
            }
        }
    }
}

}  // namespace
}  // namespace nereus
