#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json_scan.h"
#include "base/rng.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;

std::string nested(int depth) {
    return std::string(static_cast<size_t>(depth), '[') + "1" +
           std::string(static_cast<size_t>(depth), ']');
}

TEST(Json, limits_are_inclusive_and_named) {
    EXPECT_TRUE(parse_json(nested(64), "x").ok());
    EXPECT_THAT(parse_json(nested(65), "x").error().message, HasSubstr("deeper than 64"));
    const JsonLimits tight{4, 64};
    EXPECT_TRUE(parse_json("1234", "x", tight).ok());
    const Error error = parse_json("12345", "folder/config.json", tight).error();
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_THAT(error.message, HasSubstr("folder/config.json: 5 bytes of JSON, at most 4"));
}

TEST(Json, a_syntax_error_names_its_byte_and_a_duplicate_its_key) {
    const Error error = parse_json(R"({"a": 1, })", "origin").error();
    EXPECT_EQ(error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(error.message, HasSubstr("origin: not valid JSON: at byte 10"));
    EXPECT_THAT(parse_json(R"({"k":{"twice":1,"twice":2}})", "x").error().message,
                HasSubstr("\"twice\" appears twice"));
    EXPECT_TRUE(parse_json(R"([{"k":1},{"k":2}])", "x").ok()) << "different objects";
    EXPECT_TRUE(parse_json(R"({"k":{"k":1}})", "x").ok()) << "different levels";
}

TEST(Json, dumping_never_throws_and_replaces_invalid_bytes) {
    EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xef\xbf\xbd\"");
    EXPECT_EQ(dump_json(Json("é\n")), "\"é\\n\"");
}

/// A random document of plain ASCII keys.
Json random_document(uint64_t seed, uint64_t& at, int depth) {
    const uint64_t bits = random_bits(seed, 0, at++);
    const auto n = static_cast<int>((bits >> 8) % 4);
    switch (bits % (depth > 0 ? 7U : 5U)) {
        case 0:
            return nullptr;
        case 1:
            return (bits >> 9) % 2 == 0;
        case 2:
            return static_cast<int64_t>(bits >> 20) - (int64_t{1} << 42);
        case 3:
            return static_cast<double>(bits >> 40) / 1024;
        case 4:
            return std::string("t\"\\\n\xc3\xa9", static_cast<size_t>(n + (n == 3 ? 3 : 1)));
        case 5: {
            Json array = Json::array();
            for (int i = 0; i < n; ++i) {
                array.push_back(random_document(seed, at, depth - 1));
            }
            return array;
        }
        default: {
            Json object = Json::object();
            for (int i = 0; i < n; ++i) {
                object[fmt::format("key {}", i)] = random_document(seed, at, depth - 1);
            }
            return object;
        }
    }
}

TEST(JsonScan, rebuilds_every_random_document_that_parse_json_reads) {
    for (uint64_t seed = 0; seed < 2000; ++seed) {
        uint64_t at = 0;
        Json document = Json::object();
        document["first"] = random_document(seed, at, 4);
        document["second"] = random_document(seed, at, 4);
        const std::string text = document.dump(seed % 2 == 0 ? -1 : 2);
        Json rebuilt = Json::object();
        const Status status =
            scan_object(text, "x", [&](std::string_view key, std::string_view raw) -> Status {
                rebuilt[std::string(key)] = NEREUS_TRY(parse_json(raw, "field"));
                return {};
            });
        ASSERT_TRUE(status.ok()) << status.error().message << text;
        ASSERT_EQ(rebuilt, parse_json(text, "x").value()) << text;
    }
}

TEST(JsonScan, the_first_error_of_the_caller_stops_the_walk) {
    int n_seen = 0;
    const Status status = scan_array("[1, 2, 3]", "x", [&](std::string_view) -> Status {
        return ++n_seen == 2 ? Status(make_error(ErrorCode::kCancelled, "enough")) : Status();
    });
    EXPECT_EQ(status.error().message, "enough");
    EXPECT_EQ(n_seen, 2);
}

}  // namespace
}  // namespace nereus
