#include "text/tokenizers/nfc.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nereus {
namespace {

TEST(Nfc, ComposesAcrossTheBorderOfAscii) {
    EXPECT_EQ(normalize_nfc("cafe\xcc\x81 e\xcc\x81"), "caf\xc3\xa9 \xc3\xa9");
    EXPECT_EQ(normalize_nfc("plain"), "plain");
    EXPECT_EQ(normalize_nfc(""), "");
    EXPECT_EQ(normalize_nfc("\xcc\x81"
                            "a"),
              "\xcc\x81"
              "a");
}

TEST(Nfc, ReordersAndReplacesAsTheStandardSays) {
    EXPECT_EQ(normalize_nfc("q\xcc\x87\xcc\xa3"), "q\xcc\xa3\xcc\x87");
    EXPECT_EQ(normalize_nfc("\xe2\x84\xab"), "\xc3\x85");  // U+212B to U+00C5
    EXPECT_EQ(normalize_nfc("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"), "\xea\xb0\x81");
}

TEST(Nfc, ManyMarksInTurnTakeLinearTime) {
    constexpr int kPairs = 100'000;
    std::string text = "a";
    std::string expected = "\u1ea1";  // with the dot below, which sorts first
    for (int i = 0; i < kPairs; ++i) {
        text += "\u0301\u0323";
        expected += i > 0 ? "\u0323" : "";
    }
    for (int i = 0; i < kPairs; ++i) {
        expected += "\u0301";
    }
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(normalize_nfc(text) == expected, true);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(seconds.count(), 10.0);  // 0.1 s; two minutes with swaps of neighbours
}

TEST(Nfc, KeepsTextThatIsComposedAlready) {
    for (const char* text : {"na\xc3\xafve \xe2\x80\x9cquoted\xe2\x80\x9d",
                             "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
                             "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xea\xb0\x81\xf0\x9f\x98\x80"}) {
        EXPECT_EQ(normalize_nfc(text), text);
    }
}

TEST(Nfc, LeavesCharactersNewerThanUnicode9InPlace) {
    // U+1ACA (Unicode 14) has a combining class above that of U+0345... in a newer table only.
    const std::string newer = "a\xcd\x85\xe1\xab\x8a";
    EXPECT_EQ(normalize_nfc(newer), newer);
    const std::string parts = "\xf0\x91\xa4\xb5\xf0\x91\xa4\xb0";  // U+11935 U+11930
    EXPECT_EQ(normalize_nfc(parts), parts);
    EXPECT_EQ(normalize_nfc("e\xcc\x81\xe1\xab\x8a"
                            "e\xcc\x81"),
              "\xc3\xa9\xe1\xab\x8a\xc3\xa9");
}

TEST(Nfc, DoesNotSwallowTheLetterBeforeTheTrailingHangul) {
    const std::string text = "\xeb\xa1\x9c\xe1\x86\xa7";  // U+B85C U+11A7
    EXPECT_EQ(normalize_nfc(text), text);
}

}  // namespace
}  // namespace nereus
