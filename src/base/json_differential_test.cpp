// scan_object and parse_json read the same language: what one takes the other takes with the same
// content, also when single bytes of a document are changed.

#include <gtest/gtest.h>

#include <optional>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/rng.h"

namespace nereus {
namespace {

/// The document put together again from scan_object's fields, each read by parse_json; nothing when
/// the walk or a field fails, or a key comes twice.
std::optional<Json> scanned(std::string_view text) {
    Json rebuilt = Json::object();
    const Status status =
        scan_object(text, "x", [&](std::string_view key, std::string_view raw) -> Status {
            if (rebuilt.contains(key)) {
                return make_error(ErrorCode::kCorrupt, "twice");
            }
            rebuilt[std::string(key)] = NEREUS_TRY(parse_json(raw, "field"));
            return {};
        });
    return status.ok() ? std::optional(rebuilt) : std::nullopt;
}

std::optional<Json> parsed(std::string_view text) {
    const auto json = parse_json(text, "x");
    return json.ok() && json->is_object() ? std::optional(*json) : std::nullopt;
}

TEST(JsonDifferential, both_readers_agree_on_what_is_json) {
    const std::pair<const char*, bool> cases[] = {
        {"{}", true},
        {" \t\r\n{ } \n", true},
        {R"({"a":1})", true},
        {R"({"a":1,})", false},
        {R"({,"a":1})", false},
        {R"({"a" 1})", false},
        {R"({"a":})", false},
        {R"({"a":1 "b":2})", false},
        {R"({"a":1;"b":2})", false},
        {R"({a:1})", false},
        {R"({'a':1})", false},
        {R"({"a":01})", false},
        {R"({"a":+1})", false},
        {R"({"a":1.})", false},
        {R"({"a":.5})", false},
        {R"({"a":1e})", false},
        {R"({"a":-})", false},
        {R"({"a":-0})", true},
        {R"({"a":1e5,"b":1E-5,"c":1e+5})", true},
        {R"({"a":NaN})", false},
        {R"({"a":Infinity})", false},
        {R"({"a":nul})", false},
        {R"({"a":True})", false},
        {R"({"a":[1,2})", false},
        {R"({"a":[1,2]]})", false},
        {R"({"a":[1 2]})", false},
        {R"({"a":[1,]})", false},
        {R"({"a":"x)", false},
        {R"({"a":"\x41"})", false},
        {R"({"a":"\u00"})", false},
        {R"({"a":"\ud800"})", false},
        {R"({"a":"\ud83e\udd99"})", true},
        {"{\"a\":\"tab\there\"}", false},
        {"{\"a\":\"nul\0\"}", false},
        {R"({"a":1} x)", false},
        {R"({"a":1}{})", false},
        {R"({"a":1)", false},
        {R"({"a":/**/1})", false},
        {R"({"":""})", true},
        {"{\"a\":\"\xc3\xa9\"}", true},
        {"{\"a\":\"\xc3\"}", false},
        {"{\"a\":\"\xed\xa0\x80\"}", false},
    };
    for (const auto& [text, valid] : cases) {
        EXPECT_EQ(parsed(text).has_value(), valid) << "parse_json: " << text;
        EXPECT_EQ(scanned(text).has_value(), valid) << "scan_object: " << text;
    }
}

constexpr const char* kDocument =
    R"({"model_type":"deepseek_v3","n":[1,-2,3.5e-7,true,false,null],"s":"a\"\\\n\u00e9",)"
    R"("deep":{"a":{"b":[{"c":"d"},[]]}},"e":"","f":1e+10,"g":[[[1]],{}]})";

TEST(JsonDifferential, one_changed_byte_is_seen_by_both_or_by_neither) {
    const std::string whole = kDocument;
    ASSERT_EQ(scanned(whole), parsed(whole));
    int n_valid = 0, n_invalid = 0;
    for (size_t at = 0; at < whole.size(); ++at) {
        for (const char byte : std::string("\"\\{}[],:0x-.eE+tn \x01\x80\xff")) {
            std::string text = whole;
            text[at] = byte;
            const auto a = parsed(text), b = scanned(text);
            ASSERT_EQ(a, b) << text;
            ++(a ? n_valid : n_invalid);
        }
    }
    EXPECT_GT(n_valid, 200);
    EXPECT_GT(n_invalid, 2000);
}

TEST(JsonDifferential, any_piece_taken_out_or_doubled_is_seen_by_both_or_by_neither) {
    const std::string whole = kDocument;
    for (uint64_t seed = 0; seed < 4000; ++seed) {
        std::string text = whole;
        const auto begin = static_cast<size_t>(random_bits(seed, 0, 0) % text.size());
        const auto n = static_cast<size_t>(1 + random_bits(seed, 0, 1) % 6);
        if (seed % 2 == 0) {
            text.erase(begin, n);
        } else {
            text.insert(begin, text.substr(begin, n));
        }
        ASSERT_EQ(parsed(text), scanned(text)) << text;
    }
}

TEST(JsonScanLimits, raw_text_lies_inside_the_callers_buffer_without_space_around_it) {
    const std::string text = "  { \"a\" :  [ 1 ,2 ]  ,\n\"b\"\t: \"x\" ,\"c\": -1.5e3  }  ";
    std::vector<std::string> raws;
    ASSERT_TRUE(scan_object(text, "x", [&](std::string_view, std::string_view raw) -> Status {
                    EXPECT_GE(raw.data(), text.data());
                    EXPECT_LE(raw.data() + raw.size(), text.data() + text.size());
                    raws.emplace_back(raw);
                    return {};
                }).ok());
    EXPECT_EQ(raws, (std::vector<std::string>{"[ 1 ,2 ]", "\"x\"", "-1.5e3"}));
}

TEST(JsonScanLimits, a_walk_may_be_nested_in_another) {
    const std::string text = R"({"a":{"x":[1,2,3]},"b":{"x":[4]}})";
    std::string seen;
    const Status status = scan_object(text, "x", [&](std::string_view, std::string_view raw) {
        return scan_object(raw, "x", [&](std::string_view key, std::string_view list) {
            seen += key;
            return scan_array(list, "x", [&](std::string_view number) -> Status {
                seen += number;
                return {};
            });
        });
    });
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(seen, "x123x4");
}

TEST(JsonScanLimits, strings_unescape_as_parse_json_does) {
    for (const char* raw : {R"("")", R"("\"\\\/\b\f\n\r\t")", R"("\u0041\u00e9\u4e2d")",
                            R"("\ud83e\udd99")", R"("\u0000")", "\"\xf0\x9f\xa6\x99\""}) {
        EXPECT_EQ(unescape_json(raw, "x").value(), parse_json(raw, "x").value().get<std::string>());
    }
    for (const char* raw : {"", "\"", "a", "12", R"("\q")", R"("\ud83e")", R"("a" "b")"}) {
        EXPECT_FALSE(unescape_json(raw, "x").ok()) << raw;
    }
}

}  // namespace
}  // namespace nereus
