#include "text/tokenizers/added_tokens.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nereus {
namespace {

AddedToken token(std::string text, int32_t id) {
    AddedToken added;
    added.text = std::move(text);
    added.id = id;
    return added;
}

/// "text", "[7]" for a token
std::string divided(const AddedTokenFinder& finder, std::string_view text) {
    std::vector<TextSegment> segments;
    finder.divide(text, segments);
    std::string out;
    for (const TextSegment& segment : segments) {
        out += segment.id == kNoToken ? "(" + std::string(segment.text) + ")"
                                      : "[" + std::to_string(segment.id) + "]";
    }
    return out;
}

TEST(AddedTokens, TheLeftmostAndOfThoseTheLongestCounts) {
    const AddedTokenFinder finder(
        {token("<a", 1), token("<a>", 2), token("a><", 3), token("<", 4)});
    EXPECT_EQ(divided(finder, "x<a><a<"), "(x)[2][1][4]");
    EXPECT_EQ(divided(finder, "a><a>"), "[3](a>)");
    EXPECT_EQ(divided(finder, ""), "");
    EXPECT_EQ(divided(finder, "plain"), "(plain)");
}

TEST(AddedTokens, WithTheSameTextTheLowestIdCounts) {
    EXPECT_EQ(divided(AddedTokenFinder({token("x", 2), token("x", 1)}), "x"), "[1]");
}

TEST(AddedTokens, TakeTheWhiteSpaceBesideThem) {
    AddedToken left = token("<l>", 1);
    left.left_strip = true;
    AddedToken right = token("<r>", 2);
    right.right_strip = true;
    const AddedTokenFinder finder({left, right, token("<n>", 3)});
    EXPECT_EQ(divided(finder, "a \xe3\x80\x80<l> b"), "(a)[1]( b)");
    EXPECT_EQ(divided(finder, "a <r> \n\xe3\x80\x80 b"), "(a )[2](b)");
    EXPECT_EQ(divided(finder, "a <n> b"), "(a )[3]( b)");
    EXPECT_EQ(divided(finder, "<r> <l>"), "[2][1]");
    EXPECT_EQ(divided(finder, "<n>  <l>"), "[3][1]");
}

TEST(AddedTokens, ATokenOfWhiteSpaceIsFoundInWhatAnotherOneTook) {
    AddedToken right = token("<r>", 2);
    right.right_strip = true;
    const AddedTokenFinder finder({right, token("  ", 1), token(" x", 3)});
    EXPECT_EQ(divided(finder, "<r>   a"), "[2][1]( a)");  // the third blank is text again
    EXPECT_EQ(divided(finder, "<r>    a"), "[2][1][1](a)");
    EXPECT_EQ(divided(finder, "<r> xa"), "[2][3](a)");
    EXPECT_EQ(divided(finder, "<r> a"), "[2](a)");
    AddedToken both = token(" ", 4);
    both.left_strip = true;
    both.right_strip = true;
    EXPECT_EQ(divided(AddedTokenFinder({both}), "a   b "), "(a)[4](b)[4]");
    EXPECT_EQ(divided(AddedTokenFinder({right, both}), "<r>   b"), "[2](b)");
}

TEST(AddedTokens, TakingWhiteSpaceIsLinear) {
    AddedToken blank = token(" ", 1);
    blank.right_strip = true;
    AddedToken line = token("\n", 2);
    line.left_strip = true;
    const AddedTokenFinder finder({blank, line});
    std::string text;
    while (text.size() < 300'000) {
        text += " \n ";
    }
    std::vector<TextSegment> segments;
    const auto begin = std::chrono::steady_clock::now();
    finder.divide(text, segments);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(seconds.count(), 20.0);      // 0.05 s; once a token: 3e10 steps
    EXPECT_EQ(segments.size(), 200'000U);  // the new lines find nothing left to take
}

TEST(AddedTokens, ASingleWordIsNotFoundInsideAnother) {
    AddedToken word = token("cat", 1);
    word.single_word = true;
    const AddedTokenFinder finder({word});
    EXPECT_EQ(divided(finder, "cat concat cat!"), "[1]( concat )[1](!)");
    EXPECT_EQ(divided(finder,
                      "cat\xc3\xa9 \xc3\xa9"
                      "cat cat_"),
              "(cat\xc3\xa9 \xc3\xa9"
              "cat cat_)");
}

TEST(AddedTokens, EverythingSpecialOrMarkedIsAControlToken) {
    for (const char* text : {"<think>", "<\xef\xbd\x9cUser\xef\xbd\x9c>", "|x|", "[INST]", "{x}",
                             "\xef\xbd\x9c"
                             "DSML\xef\xbd\x9c",
                             "<dsml:"}) {
        EXPECT_TRUE(is_control_token(token(text, 1))) << text;
    }
    for (const char* text : {"\xc3\xbc", "    ", "word", "\n\n"}) {
        EXPECT_FALSE(is_control_token(token(text, 1))) << text;
        AddedToken special = token(text, 1);
        special.special = true;
        EXPECT_TRUE(is_control_token(special)) << text;
    }
}

}  // namespace
}  // namespace nereus
