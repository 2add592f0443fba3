#include "text/stream_decoder.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "base/rng.h"
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

/// Random bytes, many of them the beginnings of characters and of stop strings.
std::string random_bytes(uint64_t seed, size_t n) {
    constexpr std::string_view kParts[] = {"E",    "N",    "D",        "END",  "\xe2",
                                           "\x82", "\xac", "\xf0",     "\x9f", "\x98",
                                           "\x80", "\xff", "\xc3\xa9", "abc",  " a"};
    std::string text;
    for (size_t i = 0; i < n; ++i) {
        text += kParts[random_bits(seed, 1, i) % std::size(kParts)];
    }
    return text;
}

TEST(StreamDecoder, AnyBytesGiveTheWholeTextsCharacters) {
    const auto tokenizer = byte_tokenizer();
    for (uint64_t seed = 0; seed < 400; ++seed) {
        const std::string text = random_bytes(seed, seed % 30);
        StreamDecoder stream = decoder(*tokenizer, {});
        for (const std::string& part : parts_of(stream, *tokenizer, text)) {
            EXPECT_TRUE(is_valid_utf8(part)) << "seed " << seed;
        }
        StreamDecoder again = decoder(*tokenizer, {});
        EXPECT_EQ(joined(parts_of(again, *tokenizer, text)), replace_invalid_utf8(text))
            << "seed " << seed;
    }
}

/// A vocabulary whose decoder leaves out the space in front, as Llama 2's tokenizer.json.
std::unique_ptr<Tokenizer> stripping_tokenizer() {
    Json json = small_json();
    json["decoder"] = {
        {"type", "Sequence"},
        {"decoders",
         Json::array({{{"type", "ByteLevel"}},
                      {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}};
    json["added_tokens"] =
        Json::array({added_json(300, "<|end|>", true), added_json(301, "<think>", false),
                     added_json('|', "|", true)});
    return tokenizer_of(json);
}

TEST(StreamDecoder, AnyIdsGiveWhatDecodeGives) {
    const std::unique_ptr<Tokenizer> tokenizers[] = {byte_tokenizer(), sentencepiece_tokenizer(),
                                                     stripping_tokenizer()};
    for (uint64_t seed = 0; seed < 3000; ++seed) {
        const Tokenizer& tokenizer = *tokenizers[seed % 3];
        const bool skip = seed % 2 == 0;
        std::vector<int32_t> ids;
        for (uint64_t i = 0; i < random_bits(seed, 5, 0) % 8; ++i) {
            // Often blanks, bytes, control tokens; sometimes an id that has no token.
            const int32_t usual[] = {32,  35,  1,   2,   '|', 258,  259,
                                     262, 264, 300, 301, 299, 9999, -1};
            const uint64_t bits = random_bits(seed, 6, i);
            ids.push_back(bits % 3 == 0 ? static_cast<int32_t>(bits % 266)
                                        : usual[bits / 3 % std::size(usual)]);
        }
        StreamDecoder stream = decoder(tokenizer, {}, skip);
        std::string out;
        for (const int32_t id : ids) {
            out += stream.feed(id);
        }
        out += stream.finish();
        ASSERT_EQ(out, replace_invalid_utf8(tokenizer.decode(ids, skip)))
            << "seed " << seed << ": " << fmt::format("{}", fmt::join(ids, " "));
    }
}

TEST(StreamDecoder, EveryByteAloneAndBesideEveryOther) {
    const auto tokenizer = byte_tokenizer();
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const std::string text = {static_cast<char>(first), static_cast<char>(second)};
            StreamDecoder stream = decoder(*tokenizer, {});
            std::string out = stream.feed(first);
            out += stream.feed(second);
            out += stream.finish();
            ASSERT_EQ(out, replace_invalid_utf8(text)) << first << " " << second;
        }
    }
}

/// The definition: as soon as a stop string is in the text, it ends before the first of them.
std::string until_stop(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                       const std::vector<std::string>& stops) {
    std::string text;
    for (const int32_t id : ids) {
        text += tokenizer.token_bytes(id);
        size_t cut = text.npos;
        for (const std::string& stop : stops) {
            cut = std::min(cut, text.find(stop));
        }
        if (cut != text.npos) {
            return text.substr(0, cut);
        }
    }
    return text;
}

TEST(StreamDecoder, StopStringsEndAnyText) {
    const auto tokenizer = byte_tokenizer();
    const std::vector<std::vector<std::string>> stop_sets = {
        {"END"},       {"EE", "END"},  {"NDEND", "DE"},      {"\xe2\x82\xac"},
        {"ENDENDEND"}, {"abcE", "bc"}, {"\xc3\xa9\xc3\xa9"}, {"DEND", "ENDE", "N\xff"}};
    for (uint64_t seed = 0; seed < 200; ++seed) {
        const auto ids = tokenizer->encode(random_bytes(seed, 25), ControlTokens::kAsText);
        for (const auto& stops : stop_sets) {
            StreamDecoder stream = decoder(*tokenizer, stops);
            std::string out;
            for (const int32_t id : ids) {
                out += stream.feed(id);
            }
            out += stream.finish();
            ASSERT_EQ(out, replace_invalid_utf8(until_stop(*tokenizer, ids, stops)))
                << "seed " << seed << ", " << stops[0];
        }
    }
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
