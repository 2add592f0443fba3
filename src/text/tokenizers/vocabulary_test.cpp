#include "text/tokenizers/vocabulary.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "text/tokenizers/byte_alphabet.h"
#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

TEST(Vocabulary, FindsByBytesAndById) {
    Vocabulary vocabulary;
    for (int32_t id = 0; id < 20'000; ++id) {
        ASSERT_TRUE(vocabulary.set(id, fmt::format("token {}", id)));
        ASSERT_TRUE(vocabulary.make_findable(id));
    }
    EXPECT_EQ(vocabulary.n_tokens(), 20'000);
    for (int32_t id = 0; id < 20'000; id += 7) {
        EXPECT_EQ(vocabulary.find(fmt::format("token {}", id)), id);
        EXPECT_EQ(vocabulary.bytes(id), fmt::format("token {}", id));
    }
    EXPECT_EQ(vocabulary.find("token"), kNoToken);
    EXPECT_EQ(vocabulary.find("token 20000 and more"), kNoToken);
    EXPECT_EQ(vocabulary.longest_findable(), 11U);
}

TEST(Vocabulary, MayHaveHolesAndTokensThatCannotBeFound) {
    Vocabulary vocabulary;
    EXPECT_EQ(vocabulary.find("x"), kNoToken);
    EXPECT_TRUE(vocabulary.set(5, "<x>"));
    EXPECT_EQ(vocabulary.find("<x>"), kNoToken);
    EXPECT_EQ(vocabulary.bytes(5), "<x>");
    EXPECT_FALSE(vocabulary.has(4));
    EXPECT_EQ(vocabulary.bytes(4), "");
    EXPECT_EQ(vocabulary.bytes(-1), "");
    EXPECT_EQ(vocabulary.bytes(6), "");
}

TEST(Vocabulary, NoticesASecondTokenWithTheSameIdOrBytes) {
    Vocabulary vocabulary;
    EXPECT_TRUE(vocabulary.set(1, "a"));
    EXPECT_FALSE(vocabulary.set(1, "b"));
    EXPECT_TRUE(vocabulary.make_findable(1));
    EXPECT_TRUE(vocabulary.set(2, "a"));
    EXPECT_FALSE(vocabulary.make_findable(2));
}

TEST(ByteAlphabet, HasACharacterForEveryByte) {
    std::string bytes;
    for (const std::string& character : alphabet_characters()) {
        ASSERT_TRUE(append_alphabet_bytes(character, bytes));
    }
    ASSERT_EQ(bytes.size(), 256U);
    for (size_t byte = 0; byte < 256; ++byte) {
        EXPECT_EQ(static_cast<uint8_t>(bytes[byte]), byte);
    }
}

TEST(ByteAlphabet, RefusesOtherCharactersAndLeavesTheBufferAsItWas) {
    std::string bytes = "before";
    for (const char* text : {"a b", "a\xef\xbd\x9c", "a\xff", "\xc5\x84"}) {  // U+0144 is the first
        EXPECT_FALSE(append_alphabet_bytes(text, bytes)) << text;
    }
    EXPECT_EQ(bytes, "before");
}

}  // namespace
}  // namespace nereus
