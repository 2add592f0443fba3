// SentencePiece BPE against its definition, on vocabularies made up for it.

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "base/unicode.h"
#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

using Ids = std::vector<int32_t>;

constexpr int kNormal = 1;
constexpr int kUnknown = 2;
constexpr int kControl = 3;
constexpr int kUserDefined = 4;
constexpr int kUnused = 5;
constexpr int kByte = 6;
constexpr int32_t kFirstPiece = 259;

/// <unk> <s> </s> and the 256 bytes; pieces follow from id 259.
struct Pieces {
    std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
    std::vector<double> scores = {0, 0, 0};
    std::vector<double> types = {kUnknown, kControl, kControl};
    std::optional<bool> add_space_prefix;
    std::optional<int64_t> unknown_id = 0;

    Pieces() {
        for (int byte = 0; byte < 256; ++byte) {
            add(fmt::format("<0x{:02X}>", byte), 0, kByte);
        }
    }
    Pieces& add(std::string text, double score, int type = kNormal) {
        texts.push_back(std::move(text));
        scores.push_back(score);
        types.push_back(type);
        return *this;
    }
    std::unique_ptr<Tokenizer> tokenizer() const {
        GgufVocabulary vocabulary;
        vocabulary.model = "llama";
        vocabulary.tokens.assign(texts.begin(), texts.end());
        vocabulary.scores = scores;
        vocabulary.token_types = types;
        vocabulary.add_space_prefix = add_space_prefix;
        vocabulary.unknown_id = unknown_id;
        auto created = tokenizer_from_gguf(vocabulary, "pieces.gguf");
        EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().message);
        return std::move(created).value();
    }
};

Ids encode(const Pieces& pieces, std::string_view text,
           ControlTokens control = ControlTokens::kAsText) {
    return pieces.tokenizer()->encode(text, control);
}

/// The definition: of all neighbours that are a piece together, the leftmost of the best score
/// becomes one, until there are none.
Ids encode_by_definition(const Pieces& pieces, std::string_view text) {
    const auto find = [&](const std::string& part) {
        for (size_t id = kFirstPiece; id < pieces.texts.size(); ++id) {
            if (pieces.texts[id] == part) {
                return static_cast<int32_t>(id);
            }
        }
        return int32_t{-1};
    };
    std::vector<std::string> parts;
    while (!text.empty()) {
        const auto n = static_cast<size_t>(next_code_point(text).n_bytes);
        parts.emplace_back(text.substr(0, n));
        text.remove_prefix(n);
    }
    while (true) {
        size_t best = parts.size();
        double best_score = -std::numeric_limits<double>::infinity();
        for (size_t i = 0; i + 1 < parts.size(); ++i) {
            const int32_t id = find(parts[i] + parts[i + 1]);
            if (id >= 0 && pieces.scores[static_cast<size_t>(id)] > best_score) {
                best = i;
                best_score = pieces.scores[static_cast<size_t>(id)];
            }
        }
        if (best == parts.size()) {
            break;
        }
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    Ids ids;
    for (const std::string& part : parts) {
        if (const int32_t id = find(part); id >= 0) {
            ids.push_back(id);
            continue;
        }
        for (const char byte : part) {
            ids.push_back(3 + static_cast<uint8_t>(byte));
        }
    }
    return ids;
}

/// Some letters and 30 random pieces of two to four of them; scores are few, so that many are
/// equal.
Pieces random_pieces(uint64_t seed) {
    const std::string letters[] = {"a", "b", "c", "\u2581", "\u00e9"};
    Pieces pieces;
    pieces.add_space_prefix = false;
    uint64_t position = 0;
    const auto random = [&](size_t n) { return random_bits(seed, 1, position++) % n; };
    const auto score = [&] { return -static_cast<double>(random(8)); };
    for (size_t i = random(2); i < std::size(letters); ++i) {  // the first may be missing
        pieces.add(letters[i], score());
    }
    for (int i = 0; i < 30; ++i) {
        std::string text;
        for (size_t n = 2 + random(3); n > 0; --n) {
            text += letters[random(std::size(letters))];
        }
        if (std::find(pieces.texts.begin(), pieces.texts.end(), text) == pieces.texts.end()) {
            pieces.add(text, score());
        }
    }
    return pieces;
}

TEST(SentencePiece, merges_as_the_definition_says) {
    for (uint64_t seed = 0; seed < 60; ++seed) {
        const Pieces pieces = random_pieces(seed);
        const auto tokenizer = pieces.tokenizer();
        for (uint64_t round = 0; round < 20; ++round) {
            std::string text;
            std::string marked;
            for (uint64_t i = random_bits(seed, 2, round) % 40; i > 0; --i) {
                const char* const parts[] = {"a", "b", "c", " ", "\u00e9", "x", "\u20ac"};
                const size_t part = random_bits(seed, 3 + round, i) % std::size(parts);
                text += parts[part];
                marked += part == 3 ? "\u2581" : parts[part];
            }
            ASSERT_EQ(tokenizer->encode(text, ControlTokens::kAsText),
                      encode_by_definition(pieces, marked))
                << "seed " << seed << ": " << text;
            ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, ControlTokens::kAsText), false),
                      text);
        }
    }
}

TEST(SentencePiece, a_longer_text_merges_as_a_short_one_does) {
    const Pieces pieces = random_pieces(7);
    std::string text;
    for (uint64_t i = 0; i < 600; ++i) {  // more symbols than are merged by scanning
        text += "abc"[random_bits(7, 9, i) % 3];
    }
    EXPECT_EQ(encode(pieces, text), encode_by_definition(pieces, text));
}

TEST(SentencePiece, the_better_score_wins_over_the_earlier_place) {
    Pieces pieces;
    pieces.add_space_prefix = false;
    pieces.add("a", -9).add("b", -9).add("c", -9).add("ab", -2).add("bc", -1).add("abc", -3);
    EXPECT_EQ(encode(pieces, "abc"), (Ids{264}));  // a bc, and then abc
    EXPECT_EQ(encode(pieces, "abcb"), (Ids{264, 260}));
    pieces.texts[264] = "[none]";
    EXPECT_EQ(encode(pieces, "abc"), (Ids{259, 263}));
}

TEST(SentencePiece, scores_may_be_infinite) {
    const double infinity = std::numeric_limits<double>::infinity();
    Pieces pieces;
    pieces.add_space_prefix = false;
    pieces.add("a", 0).add("b", 0).add("ab", -infinity).add("ba", infinity);
    EXPECT_EQ(encode(pieces, "aba"), (Ids{259, 262}));
    EXPECT_EQ(encode(pieces, "ab"), (Ids{261}));
}

TEST(SentencePiece, spaces_are_pieces_and_one_stands_in_front) {
    Pieces pieces;
    pieces.add("\u2581", -1).add("a", -1).add("\u2581a", -1).add("\u2581\u2581", -2);
    EXPECT_EQ(encode(pieces, "a"), (Ids{261}));
    EXPECT_EQ(encode(pieces, " a"), (Ids{259, 261}));
    EXPECT_EQ(encode(pieces, "a  a "), (Ids{261, 259, 261, 259}));
    EXPECT_EQ(encode(pieces, "   "), (Ids{262, 262}));
    EXPECT_EQ(encode(pieces, " "), (Ids{262}));
    EXPECT_EQ(encode(pieces, ""), Ids{});
    pieces.add_space_prefix = false;
    EXPECT_EQ(encode(pieces, "a"), (Ids{260}));
    EXPECT_EQ(encode(pieces, "   "), (Ids{262, 259}));
}

TEST(SentencePiece, the_space_in_front_comes_back_off) {
    Pieces pieces;
    pieces.add("\u2581", -1).add("a", -1).add("\u2581a", -1);
    for (const bool prefix : {true, false}) {
        pieces.add_space_prefix = prefix;
        const auto tokenizer = pieces.tokenizer();
        for (const std::string text : {"a", " a", "  a ", " ", "", "x a", "\n a"}) {
            const Ids ids = tokenizer->encode(text, ControlTokens::kAsText);
            EXPECT_EQ(tokenizer->decode(ids, false), text) << prefix;
        }
    }
}

TEST(SentencePiece, a_space_stands_in_front_of_what_follows_a_control_token) {
    Pieces pieces;
    pieces.add("\u2581", -1).add("a", -1).add("\u2581a", -1);
    EXPECT_EQ(encode(pieces, "a<s>a</s>", ControlTokens::kParse), (Ids{261, 1, 261, 2}));
    EXPECT_EQ(encode(pieces, "<s><s>", ControlTokens::kParse), (Ids{1, 1}));
}

TEST(SentencePiece, all_256_bytes_and_all_of_their_pairs_come_back) {
    Pieces pieces;
    pieces.add_space_prefix = false;
    const auto tokenizer = pieces.add("\u2581", -1).tokenizer();
    std::string text;
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            text += {static_cast<char>(first), static_cast<char>(second)};
        }
    }
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, ControlTokens::kAsText), false), text);
}

TEST(SentencePiece, without_byte_tokens_there_is_the_unknown_one_or_nothing) {
    Pieces pieces;
    pieces.add_space_prefix = false;
    pieces.texts[3 + 0xc3] = "[none]";
    pieces.add("a", 0);
    EXPECT_EQ(encode(pieces, "a\u00e9"), (Ids{259, 0, 3 + 0xa9}));
    pieces.unknown_id.reset();
    EXPECT_EQ(encode(pieces, "a\u00e9"), (Ids{259, 3 + 0xa9}));
}

TEST(SentencePiece, unused_and_control_pieces_are_never_merged_into) {
    Pieces pieces;
    pieces.add_space_prefix = false;
    pieces.add("a", 0).add("b", 0).add("ab", 0, kUnused).add("ba", 0, kControl);
    EXPECT_EQ(encode(pieces, "abab"), (Ids{259, 260, 259, 260}));
    EXPECT_EQ(encode(pieces, "abab", ControlTokens::kParse), (Ids{259, 262, 260}));
}

TEST(SentencePiece, a_user_defined_piece_is_found_before_any_merge) {
    Pieces pieces;
    pieces.add_space_prefix = false;
    pieces.add("a", 0).add("b", 0).add("ab", 0).add("bab", -100, kUserDefined);
    EXPECT_EQ(encode(pieces, "abab"), (Ids{259, 262}));
}

}  // namespace
}  // namespace nereus
