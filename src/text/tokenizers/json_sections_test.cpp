// What a tokenizer.json may say beside its vocabulary, and what is refused by name.

#include "text/tokenizers/json_sections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizers/test_vocabularies.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<int32_t>;

/// The error of a tokenizer.json with one section replaced.
Error error_with(const char* section, const std::string& value) {
    Json json = small_json();
    json[section] = Json::parse(value);
    const auto created = tokenizer_from_json(dump_json(json), "dir/tokenizer.json");
    EXPECT_FALSE(created.ok()) << section << " = " << value;
    return created.ok() ? make_error(ErrorCode::kNotFound, "no error") : created.error();
}

TEST(JsonSections, unknown_types_are_refused_by_section_and_name) {
    const std::pair<const char*, std::vector<const char*>> types[] = {
        {"normalizer",
         {"NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "BertNormalizer",
          "Precompiled", "ByteLevel", "Nmt", ""}},
        {"pre_tokenizer",
         {"Whitespace", "WhitespaceSplit", "BertPreTokenizer", "Metaspace", "Punctuation",
          "CharDelimiterSplit", "UnicodeScripts", "FixedLength", "bytelevel"}},
        {"decoder", {"WordPiece", "Metaspace", "BPEDecoder", "CTC", ""}}};
    for (const auto& [section, names] : types) {
        for (const std::string name : names) {
            const Error error = error_with(section, R"({"type":")" + name + R"("})");
            EXPECT_EQ(error.code, ErrorCode::kUnsupported) << section << " " << name;
            EXPECT_THAT(error.message, HasSubstr("dir/tokenizer.json"));
            EXPECT_THAT(error.message, HasSubstr('"' + name + '"'));
        }
    }
}

struct Refused {
    const char* section;
    const char* value;
    ErrorCode code;
    const char* words;
};

constexpr Refused kRefused[] = {
    {"normalizer", R"({})", ErrorCode::kCorrupt, "\"type\" is missing or not a string"},
    {"normalizer", R"({"type":3})", ErrorCode::kCorrupt, "\"type\" is missing or not a string"},
    {"normalizer", R"("NFC")", ErrorCode::kCorrupt, "normalizer is not an object"},
    {"normalizer", R"({"type":"Prepend"})", ErrorCode::kCorrupt, "\"prepend\" is missing"},
    {"normalizer", R"({"type":"Sequence"})", ErrorCode::kCorrupt, "\"normalizers\" is missing"},
    {"normalizer", R"({"type":"Sequence","normalizers":[{"type":"NFKD"}]})",
     ErrorCode::kUnsupported, "\"NFKD\""},
    {"normalizer", R"({"type":"Replace","pattern":{"Regex":"a"},"content":""})",
     ErrorCode::kUnsupported, "regex or empty pattern"},
    {"normalizer", R"({"type":"Replace","pattern":{"String":""},"content":""})",
     ErrorCode::kUnsupported, "regex or empty pattern"},
    {"normalizer", R"({"type":"Replace","pattern":{"String":"a"}})", ErrorCode::kCorrupt,
     "\"content\" is missing"},
    {"normalizer", R"({"type":"Replace","pattern":"a","content":""})", ErrorCode::kCorrupt,
     "\"pattern\" is missing or not an object"},
    {"pre_tokenizer", R"({"type":"Sequence","pretokenizers":{}})", ErrorCode::kCorrupt,
     "\"pretokenizers\" is missing or not an array"},
    {"pre_tokenizer", R"({"type":"Split","pattern":{"String":""},"behavior":"Isolated"})",
     ErrorCode::kUnsupported, "\"Split\" by nothing"},
    {"pre_tokenizer", R"({"type":"Split","pattern":{"String":"a"}})", ErrorCode::kCorrupt,
     "\"behavior\" is missing"},
    {"pre_tokenizer",
     R"({"type":"Split","pattern":{"String":"a"},"behavior":"isolated","invert":false})",
     ErrorCode::kUnsupported, "split behavior \"isolated\""},
    {"pre_tokenizer",
     R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Isolated","invert":0})",
     ErrorCode::kCorrupt, "\"invert\" is missing or not true or false"},
    {"pre_tokenizer", R"({"type":"Digits","individual_digits":"yes"})", ErrorCode::kCorrupt,
     "individual_digits"},
    {"decoder", R"({"type":"Strip","content":" ","start":2,"stop":0})", ErrorCode::kUnsupported,
     "other than one leading space"},
    {"decoder", R"({"type":"Strip","content":"_","start":1,"stop":0})", ErrorCode::kUnsupported,
     "other than one leading space"},
    {"decoder", R"({"type":"Sequence","decoders":[{"type":"CTC"}]})", ErrorCode::kUnsupported,
     "\"CTC\""},
    {"decoder", R"([])", ErrorCode::kCorrupt, "decoder is not an object"},
    {"added_tokens", R"([{"content":"x"}])", ErrorCode::kCorrupt, "id (missing)"},
    {"added_tokens", R"([{"id":18446744073709551615,"content":"x"}])", ErrorCode::kCorrupt,
     "18446744073709551615"},
    {"added_tokens", R"([{"id":4194304,"content":"x"}])", ErrorCode::kCorrupt, "0 to 4194303"},
    {"added_tokens", R"([{"id":1.0,"content":"x"}])", ErrorCode::kCorrupt, "1.0"},
    {"added_tokens", R"([{"id":300}])", ErrorCode::kCorrupt, "\"content\" is missing"},
    {"added_tokens", R"([{"id":300,"content":"x","lstrip":"no"}])", ErrorCode::kCorrupt, "lstrip"},
    {"added_tokens", R"([{"id":300,"content":"x","rstrip":1}])", ErrorCode::kCorrupt, "rstrip"},
    {"added_tokens", R"([{"id":300,"content":"x","single_word":[]}])", ErrorCode::kCorrupt,
     "single_word"},
    {"added_tokens", R"([{"id":300,"content":"x","normalized":{}}])", ErrorCode::kCorrupt,
     "normalized"},
};

TEST(JsonSections, what_is_wrong_is_named_with_file_and_field) {
    for (const Refused& one : kRefused) {
        const Error error = error_with(one.section, one.value);
        EXPECT_EQ(error.code, one.code) << one.value << ": " << error.message;
        EXPECT_THAT(error.message, HasSubstr("dir/tokenizer.json")) << one.value;
        EXPECT_THAT(error.message, HasSubstr(one.words)) << one.value;
    }
}

TEST(JsonSections, a_field_that_stands_twice_is_refused) {
    const std::string text = dump_json(small_json());
    const std::pair<const char*, const char*> doubled[] = {
        {"\"model\":{", "\"model\":{\"vocab\":{},"},
        {"{\"version\"", "{\"model\":{},\"version\""},
        {"{\"version\"", "{\"added_tokens\":[],\"version\""}};
    for (const auto& [from, to] : doubled) {
        std::string broken = text;
        const size_t at = broken.find(from);
        ASSERT_NE(at, broken.npos);
        broken.replace(at, std::string_view(from).size(), to);
        const auto created = tokenizer_from_json(broken, "twice.json");
        ASSERT_FALSE(created.ok()) << to;
        EXPECT_THAT(created.error().message, HasSubstr("appears twice"));
    }
}

TEST(JsonSections, too_many_steps_are_refused) {
    Json steps = Json::array();
    for (size_t i = 0; i < kMaxSplitRules + 2; ++i) {
        steps.push_back({{"type", "NFC"}});
    }
    const Json normalizer = {{"type", "Sequence"}, {"normalizers", steps}};
    EXPECT_THAT(error_with("normalizer", dump_json(normalizer)).message, HasSubstr("more than"));
    for (Json& step : steps) {
        step = {{"type", "Digits"}, {"individual_digits", true}};
    }
    const Json pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", steps}};
    EXPECT_THAT(error_with("pre_tokenizer", dump_json(pre_tokenizer)).message,
                HasSubstr("pre-tokenizer stages"));
}

Ids encode_with(const char* section, const char* value, std::string_view text) {
    Json json = small_json();
    json[section] = Json::parse(value);
    return tokenizer_of(json)->encode(text, ControlTokens::kAsText);
}

TEST(JsonSections, normalizers_are_applied_in_their_order) {
    constexpr const char* kSwap = R"({"type":"Sequence","normalizers":[
        {"type":"Replace","pattern":{"String":"aa"},"content":"b"},
        {"type":"Prepend","prepend":"a"},
        {"type":"Replace","pattern":{"String":"ab"},"content":"c"}]})";
    EXPECT_EQ(encode_with("normalizer", kSwap, "aaa"), (Ids{'c', 'a'}));
    EXPECT_EQ(encode_with("normalizer", kSwap, "a"), (Ids{'a', 'a'}));
    EXPECT_EQ(encode_with("normalizer", kSwap, ""), Ids{});  // nothing gets nothing in front
    constexpr const char* kCompose = R"({"type":"Sequence","normalizers":[{"type":"NFC"},
        {"type":"Replace","pattern":{"String":"\u00e9"},"content":"x"}]})";
    EXPECT_EQ(encode_with("normalizer", kCompose, "e\u0301"), (Ids{'x'}));
}

TEST(JsonSections, a_string_pattern_is_no_regex) {
    const auto with = [](const std::string& pattern) {
        const Json split = {{"type", "Split"},
                            {"pattern", {{"String", pattern}}},
                            {"behavior", "Removed"},
                            {"invert", false}};
        const Json bytes = {
            {"type", "ByteLevel"}, {"use_regex", false}, {"add_prefix_space", false}};
        return dump_json({{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}});
    };
    for (const std::string pattern :
         {".", "a|b", "(", "[x", "\\d", "^", "$", "a-b", "{2}", "#", "&&", "~", "*", "+?"}) {
        const std::string text = "x" + pattern + "y";
        EXPECT_EQ(encode_with("pre_tokenizer", with(pattern).c_str(), text), (Ids{'x', 'y'}))
            << pattern;
        EXPECT_EQ(encode_with("pre_tokenizer", with(pattern).c_str(), "x7y").size(), 3U) << pattern;
    }
}

TEST(JsonSections, the_reference_s_defaults_hold_for_missing_flags) {
    // ByteLevel: a space in front and GPT-2's split.
    EXPECT_EQ(encode_with("pre_tokenizer", R"({"type":"ByteLevel"})", "a1"), (Ids{258, '1'}));
    // An added token is normalized unless it is special.
    Json json = small_json();
    json["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "x"}}}, {"content", "y"}};
    json["added_tokens"] = Json::parse(R"([{"id":300,"content":"wx"},
        {"id":301,"content":"<x>","special":true}])");
    const auto tokenizer = tokenizer_of(json);
    EXPECT_EQ(tokenizer->encode("wy<x>", ControlTokens::kParse), (Ids{300, 301}));
    EXPECT_EQ(tokenizer->encode("<y>", ControlTokens::kParse), (Ids{'<', 'y', '>'}));
}

}  // namespace
}  // namespace nereus
