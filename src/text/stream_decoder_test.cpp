#include "text/stream_decoder.h"

#include <gtest/gtest.h>

#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

StreamDecoder decoder(const Tokenizer& tokenizer, std::vector<std::string> stop,
                      bool skip_control = true) {
    auto created = StreamDecoder::create(tokenizer, {std::move(stop), skip_control});
    EXPECT_TRUE(created.ok());
    return std::move(created).value();
}

/// The parts of a text fed byte by byte.
std::vector<std::string> parts_of(StreamDecoder& stream, const Tokenizer& tokenizer,
                                  std::string_view text) {
    std::vector<std::string> parts;
    for (const int32_t id : tokenizer.encode(text, ControlTokens::kParse)) {
        parts.push_back(stream.feed(id));
    }
    parts.push_back(stream.finish());
    return parts;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) {
        text += part;
    }
    return text;
}

TEST(StreamDecoder, GivesOutOnlyWholeCharacters) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder stream = decoder(*tokenizer, {});
    EXPECT_EQ(parts_of(stream, *tokenizer, "a\xe2\x82\xac"),
              (std::vector<std::string>{"a", "", "", "\xe2\x82\xac", ""}));
}

TEST(StreamDecoder, ReplacesBytesThatAreNoCharacter) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder stream = decoder(*tokenizer, {});
    EXPECT_EQ(joined(parts_of(stream, *tokenizer, "a\xff\x62\xe2\x82")),
              "a\xef\xbf\xbd"
              "b\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(StreamDecoder, HoldsBackWhatMayBecomeAStopString) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder stream = decoder(*tokenizer, {"END"});
    EXPECT_EQ(parts_of(stream, *tokenizer, "aEEx"),
              (std::vector<std::string>{"a", "", "E", "Ex", ""}));
    EXPECT_FALSE(stream.stopped());
}

TEST(StreamDecoder, EndsBeforeTheStopStringAndStaysEmptyAfterIt) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder stream = decoder(*tokenizer, {"zzz", "END"});
    EXPECT_EQ(joined(parts_of(stream, *tokenizer, "text ENDmore")), "text ");
    EXPECT_EQ(stream.stop_index(), 1);
}

TEST(StreamDecoder, TakesTheEarlierOfTwoStopStringsInOneToken) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder stream = decoder(*tokenizer, {"tok", "<"}, false);
    EXPECT_EQ(stream.feed(*tokenizer->find_control("<|end|>")), "");
    EXPECT_EQ(stream.stop_index(), 1);
}

TEST(StreamDecoder, FinishGivesOutAHeldBeginningOfAStopString) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder stream = decoder(*tokenizer, {"END"});
    EXPECT_EQ(parts_of(stream, *tokenizer, "xEN").back(), "EN");
}

TEST(StreamDecoder, LeavesOutSpecialTokensOnRequest) {
    const auto tokenizer = byte_tokenizer();
    StreamDecoder skipping = decoder(*tokenizer, {});
    EXPECT_EQ(joined(parts_of(skipping, *tokenizer, "a<|end|>b")), "ab");
    StreamDecoder keeping = decoder(*tokenizer, {}, false);
    EXPECT_EQ(joined(parts_of(keeping, *tokenizer, "a<|end|>b")), "a<|end|>b");
}

TEST(StreamDecoder, JoinedPartsAreTheDecodedText) {
    const auto tokenizer = sentencepiece_tokenizer();
    const std::string text = " ab  ab\xe2\x82\xac";
    StreamDecoder stream = decoder(*tokenizer, {}, false);
    const auto ids = tokenizer->encode(text, ControlTokens::kAsText);
    EXPECT_EQ(joined(parts_of(stream, *tokenizer, text)), tokenizer->decode(ids, false));
    EXPECT_EQ(tokenizer->decode(ids, false), text);
}

TEST(StreamDecoder, RefusesStopStringsBeyondItsBounds) {
    const auto tokenizer = byte_tokenizer();
    const std::vector<std::vector<std::string>> refused = {
        {""},
        {std::string(kMaxStopBytes + 1, 'x')},
        std::vector<std::string>(kMaxStopStrings + 1, "x")};
    for (const auto& stop : refused) {
        const auto created = StreamDecoder::create(*tokenizer, {stop, true});
        ASSERT_FALSE(created.ok());
        EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
    }
}

}  // namespace
}  // namespace nereus
