#include "text/pre_split.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nereus {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(const std::vector<SplitRule>& rules, std::string_view text) {
    const auto splitter = PreSplitter::create(rules, "test");
    EXPECT_TRUE(splitter.ok()) << (splitter.ok() ? "" : splitter.error().message);
    Pieces pieces;
    splitter->split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
    return pieces;
}

SplitRule rule(const char* pattern, SplitBehavior behavior, bool invert = false) {
    return {pattern, behavior, invert, false};
}

TEST(PreSplit, KeepsMatchesAndWhatIsBetweenThem) {
    EXPECT_EQ(split({{"\\p{N}{1,3}"}}, "ab12345c"), (Pieces{"ab", "123", "45", "c"}));
    EXPECT_EQ(split({}, "one piece"), (Pieces{"one piece"}));
    EXPECT_EQ(split({{"x"}}, ""), Pieces{});
}

TEST(PreSplit, ALaterStageSeesOnlyItsPiece) {
    // The look-ahead finds the end of the piece, not the digit behind it.
    EXPECT_EQ(split({{"\\d"}, {"\\s+(?!\\S)|\\s+"}}, "a  1"), (Pieces{"a", "  ", "1"}));
    EXPECT_EQ(split({{"\\s+(?!\\S)|\\s+"}}, "a  1"), (Pieces{"a", " ", " ", "1"}));
}

TEST(PreSplit, BehavesAsNamed) {
    const char* text = "a--b-c";
    EXPECT_EQ(split({rule("-", SplitBehavior::kIsolated)}, text),
              (Pieces{"a", "-", "-", "b", "-", "c"}));
    EXPECT_EQ(split({rule("-", SplitBehavior::kRemoved)}, text), (Pieces{"a", "b", "c"}));
    EXPECT_EQ(split({rule("-", SplitBehavior::kMergedWithPrevious)}, text),
              (Pieces{"a-", "-", "b-", "c"}));
    EXPECT_EQ(split({rule("-", SplitBehavior::kMergedWithNext)}, text),
              (Pieces{"a", "-", "-b", "-c"}));
    EXPECT_EQ(split({rule("-", SplitBehavior::kContiguous)}, text),
              (Pieces{"a", "--", "b", "-", "c"}));
    EXPECT_EQ(split({rule("-", SplitBehavior::kRemoved, true)}, text), (Pieces{"-", "-", "-"}));
}

TEST(PreSplit, AnEmptyMatchCutsAndGoesOn) {
    EXPECT_EQ(split({{"(?=b)"}}, "abab"), (Pieces{"a", "ba", "b"}));
    EXPECT_EQ(split({{"x*"}},
                    "\xe2\x82\xac"
                    "a"),
              (Pieces{"\xe2\x82\xac", "a"}));
}

TEST(PreSplit, WritesASpaceInFrontOfPiecesWithoutOne) {
    SplitRule prefix;
    prefix.prefix_space = true;
    EXPECT_EQ(split({{"-"}, prefix}, "a- b"), (Pieces{" a", " -", " b"}));
}

TEST(PreSplit, ReadsClassesAsOnigurumaDoes) {
    EXPECT_EQ(split({{"\\s+"}},
                    "a\xe1\xa0\x8e"
                    "b"),
              (Pieces{"a\xe1\xa0\x8e"
                      "b"}));  // U+180E
    EXPECT_EQ(split({{"\\s+"}},
                    "a\xe3\x80\x80"
                    "b"),
              (Pieces{"a", "\xe3\x80\x80", "b"}));
    EXPECT_EQ(split({{"\\h+"}}, "x1fz"), (Pieces{"x", "1f", "z"}));
    EXPECT_EQ(split({{"\\w+"}},
                    "a\xe2\x80\xbf"
                    "b!"),
              (Pieces{"a\xe2\x80\xbf"
                      "b",
                      "!"}));
    EXPECT_EQ(split({{"a$"}}, "a\na"), (Pieces{"a", "\n", "a"}));  // $ is the end of a line
}

TEST(PreSplit, KnowsLettersOfUnicode16) {
    // U+2EBF0 came with 15.1, U+1C89 with 16.0; PCRE2 10.42 has the tables of 14.0.
    EXPECT_EQ(split({{"\\p{L}+"}},
                    "1\xf0\xae\xaf\xb0\xe1\xb2\x89"
                    "2"),
              (Pieces{"1", "\xf0\xae\xaf\xb0\xe1\xb2\x89", "2"}));
    EXPECT_EQ(split({{"\\p{N}"}}, "a\xf0\x91\xaf\xb0"), (Pieces{"a", "\xf0\x91\xaf\xb0"}));
}

TEST(PreSplit, RefusesPatternsItCannotRead) {
    const struct {
        std::string pattern;
        ErrorCode code;
        const char* words;
    } kRefused[] = {
        {"a(", ErrorCode::kCorrupt, "does not compile"},
        {"[a", ErrorCode::kCorrupt, "does not compile"},
        {"\\C", ErrorCode::kCorrupt, "does not compile"},
        {"[a[b]]", ErrorCode::kUnsupported, "class inside a class"},
        {"[a&&b]", ErrorCode::kUnsupported, "intersection"},
        {"[\\W]", ErrorCode::kUnsupported, "negated class escape"},
        {std::string(kMaxPatternBytes + 1, 'a'), ErrorCode::kUnsupported, "bytes"},
    };
    for (const auto& refused : kRefused) {
        const std::vector<SplitRule> rules = {{refused.pattern}};
        const auto created = PreSplitter::create(rules, "file.json");
        ASSERT_FALSE(created.ok()) << refused.pattern;
        EXPECT_EQ(created.error().code, refused.code);
        EXPECT_NE(created.error().message.find("file.json"), std::string::npos);
        EXPECT_NE(created.error().message.find(refused.words), std::string::npos)
            << created.error().message;
    }
    const std::vector<SplitRule> many(kMaxSplitRules + 1, SplitRule{"a"});
    EXPECT_FALSE(PreSplitter::create(many, "file.json").ok());
}

TEST(PreSplit, TrailingSpacePatternIsLinear) {
    const std::string text = std::string(200'000, ' ') + "x   ";
    const auto begin = std::chrono::steady_clock::now();
    const Pieces pieces = split({{"\\s+$"}}, text);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(pieces, (Pieces{text.substr(0, 200'001), "   "}));
    EXPECT_LT(seconds.count(), 2.0);  // as written: 2e10 steps
}

TEST(PreSplit, AnEndlessPatternLeavesThePieceWhole) {
    const std::string text = std::string(40, 'a') + "b";
    EXPECT_EQ(split({{"(a+)+$"}}, text), (Pieces{text}));
}

}  // namespace
}  // namespace nereus
