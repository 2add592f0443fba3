#include "base/digest.h"

#include <gtest/gtest.h>

namespace nereus {
namespace {

TEST(Digest, is_xxh3_with_64_bits_whatever_the_pieces) {
    EXPECT_EQ(digest_of(std::string_view()), 0x2d06800538d394c2ULL);  // the published value of ""
    const std::string text(100'000, 'q');
    Digest pieces;
    for (size_t i = 0; i < text.size(); i += 777) {
        const auto part = std::string_view(text).substr(i, 777);
        pieces.add({reinterpret_cast<const std::byte*>(part.data()), part.size()});
    }
    EXPECT_EQ(pieces.value(), digest_of(text));
}

TEST(Digest, texts_keep_their_borders) {
    EXPECT_NE(Digest().add_text("ab").add_text("c").value(),
              Digest().add_text("a").add_text("bc").value());
}

}  // namespace
}  // namespace nereus
