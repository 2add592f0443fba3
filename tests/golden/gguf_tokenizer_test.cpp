// A published tokenizer.json and the same vocabulary as a converter writes it into a GGUF give the
// same ids: the patterns behind tokenizer.ggml.pre are those of the files.

#include <gtest/gtest.h>

#include <map>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/rng.h"
#include "tests/support/published_tokenizers.h"

namespace nereus {
namespace {

using Ids = std::vector<int32_t>;

/// The texts a GgufVocabulary looks at.
struct Converted {
    std::vector<std::string> tokens;
    std::vector<std::string> merges;
    GgufVocabulary vocabulary;
};

/// The raw text of one field of an object.
std::string_view field(std::string_view object, std::string_view name) {
    std::string_view found;
    const Status scanned =
        scan_object(object, "test", [&](std::string_view key, std::string_view raw) {
            found = key == name ? raw : found;
            return Status();
        });
    EXPECT_TRUE(scanned.ok() && !found.empty()) << name;
    return found;
}

std::vector<std::string> merges_of(std::string_view model) {
    std::vector<std::string> merges;
    const Status scanned = scan_array(field(model, "merges"), "test", [&](std::string_view raw) {
        const Json merge = parse_json(raw, "merge").value();
        merges.push_back(merge.is_string()
                             ? merge.get<std::string>()
                             : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
        return Status();
    });
    EXPECT_TRUE(scanned.ok());
    return merges;
}

std::unique_ptr<Converted> convert(const std::string& json, std::string_view pre) {
    const std::string_view model = field(json, "model");
    std::map<int32_t, std::string> texts;
    const Status scanned = scan_object(field(model, "vocab"), "test",
                                       [&](std::string_view token, std::string_view id) {
                                           texts[std::stoi(std::string(id))] = token;
                                           return Status();
                                       });
    EXPECT_TRUE(scanned.ok());
    std::map<int32_t, double> types;
    const Json added_tokens = parse_json(field(json, "added_tokens"), "added").value();
    for (const Json& added : added_tokens) {
        texts[added["id"].get<int32_t>()] = added["content"];
        types[added["id"].get<int32_t>()] = added["special"].get<bool>() ? 3 : 4;
    }
    auto out = std::make_unique<Converted>();
    for (int32_t id = 0; id <= texts.rbegin()->first; ++id) {
        // Converters fill holes with unused tokens.
        const bool known = texts.contains(id);
        out->tokens.push_back(known ? texts[id] : "[PAD" + std::to_string(id) + "]");
        out->vocabulary.token_types.push_back(!known ? 5 : types.contains(id) ? types[id] : 1);
    }
    out->merges = merges_of(model);
    out->vocabulary.model = "gpt2";
    out->vocabulary.pre = pre;
    out->vocabulary.tokens.assign(out->tokens.begin(), out->tokens.end());
    out->vocabulary.merges.assign(out->merges.begin(), out->merges.end());
    return out;
}

std::string random_text(uint64_t seed) {
    constexpr std::string_view kParts[] = {
        " ",      "  ",      "\n",    "\r\n",   "\t",      "the", " of",     "Hello",
        "'s",     "'LL",     "don't", "12345",  "3.14",    "!?",  "...",     "中文",
        "。",     "かな",    "한국",  "\u0301", "e\u0301", "ü",   "Ü",       "ß",
        "Привет", "مرحبا",   "नमस्ते",  "😀",     "=>",      "_x",  "<think>", "\u00a0",
        "\u3000", "x\u200b", "$",     "\\n",    "// ",     "A",   "ﬁ",       "<|im_end|>"};
    std::string text;
    for (uint64_t i = 0; i < 1 + random_bits(seed, 1, 0) % 24; ++i) {
        text += kParts[random_bits(seed, 2, i) % std::size(kParts)];
    }
    return text;
}

struct Pair {
    const char* json;
    const char* pre;
};
constexpr Pair kPairs[] = {{"deepseek-v3", "deepseek-v3"},
                           {"qwen2.5", "qwen2"},
                           {"qwen2.5", "deepseek-r1-qwen"},
                           {"llama-3.1", "llama-bpe"}};

TEST(GgufTokenizer, gives_the_ids_of_the_tokenizer_json_it_was_made_from) {
    for (const Pair& pair : kPairs) {
        const std::string folder = std::string_view(pair.json) == "llama-3.1" ? "llama-3.1/" : "";
        const std::string bytes = test::unpacked(folder + pair.json + ".tokenizer.json");
        const auto from_json = test::from_json(bytes, pair.json);
        const auto converted = convert(bytes, pair.pre);
        const auto from_gguf = tokenizer_from_gguf(converted->vocabulary, pair.pre).value();
        ASSERT_EQ(from_gguf->n_tokens(), from_json->n_tokens()) << pair.pre;
        for (uint64_t seed = 0; seed < 3000; ++seed) {
            const std::string text = random_text(seed);
            for (const ControlTokens control : {ControlTokens::kAsText, ControlTokens::kParse}) {
                const Ids ids = from_json->encode(text, control);
                ASSERT_EQ(from_gguf->encode(text, control), ids) << pair.pre << ": " << text;
                ASSERT_EQ(from_gguf->decode(ids, false), from_json->decode(ids, false)) << text;
            }
        }
    }
}

}  // namespace
}  // namespace nereus
