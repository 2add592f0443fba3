#include "text/tokenizers/json_sections.h"

#include <utility>

namespace nereus {
namespace {

/// Byte-level BPE's own split (GPT-2).
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr int kMaxSequenceDepth = 8;

using Reader = Status (*)(const Json& json, std::string_view origin, BpeSpec& spec, int depth);

struct ComponentRow {
    std::string_view type;
    Reader read;
};

Error wrong_field(std::string_view origin, const char* key, const char* expected) {
    return make_error(ErrorCode::kCorrupt, "{}: \"{}\" is missing or not {}", origin, key,
                      expected);
}

/// Dispatches a component (null: nothing to do) on its "type".
template <size_t N>
Status read_component(const ComponentRow (&table)[N], const char* section, const Json& json,
                      std::string_view origin, BpeSpec& spec, int depth) {
    if (json.is_null()) {
        return {};
    }
    if (!json.is_object()) {
        return make_error(ErrorCode::kCorrupt, "{}: {} is not an object", origin, section);
    }
    if (depth > kMaxSequenceDepth) {
        return make_error(ErrorCode::kUnsupported, "{}: {}: sequences more than {} deep", origin,
                          section, kMaxSequenceDepth);
    }
    const std::string type = NEREUS_TRY(json_string(json, "type", origin));
    for (const ComponentRow& row : table) {
        if (row.type == type) {
            return row.read(json, origin, spec, depth);
        }
    }
    return make_error(ErrorCode::kUnsupported, "{}: {} \"{}\" is not supported", origin, section,
                      type);
}

/// Reads every element of the array json[key] with `read`.
Status read_sequence(Reader read, const char* key, const Json& json, std::string_view origin,
                     BpeSpec& spec, int depth) {
    const auto elements = json.find(key);
    if (elements == json.end() || !elements->is_array()) {
        return wrong_field(origin, key, "an array");
    }
    for (const Json& element : *elements) {
        NEREUS_TRY(read(element, origin, spec, depth + 1));
    }
    return {};
}

struct Pattern {
    std::string text;
    bool is_regex = false;
};

/// {"String": "..."} or {"Regex": "..."}
Result<Pattern> read_pattern(const Json& json, std::string_view origin) {
    const auto pattern = json.find("pattern");
    if (pattern == json.end() || !pattern->is_object()) {
        return wrong_field(origin, "pattern", "an object");
    }
    const bool is_regex = pattern->contains("Regex");
    return Pattern{NEREUS_TRY(json_string(*pattern, is_regex ? "Regex" : "String", origin)),
                   is_regex};
}

std::string quote_regex(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain =
            static_cast<uint8_t>(c) >= 0x80 ||
            std::string_view("\\^$.|?*+()[]{}-&#~ ").find(c) == std::string_view::npos;
        out += plain ? "" : "\\";
        out += c;
    }
    return out;
}

// --- normalizer ---

Status normalizer(const Json& json, std::string_view origin, BpeSpec& spec, int depth);

Status normalizer_nfc(const Json&, std::string_view, BpeSpec& spec, int) {
    spec.normalizer.push_back({NormalizerStep::Kind::kNfc, "", ""});
    return {};
}

Status normalizer_prepend(const Json& json, std::string_view origin, BpeSpec& spec, int) {
    const std::string content = NEREUS_TRY(json_string(json, "prepend", origin));
    spec.normalizer.push_back({NormalizerStep::Kind::kPrepend, "", content});
    return {};
}

Status normalizer_replace(const Json& json, std::string_view origin, BpeSpec& spec, int) {
    const Pattern pattern = NEREUS_TRY(read_pattern(json, origin));
    if (pattern.is_regex || pattern.text.empty()) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: normalizer \"Replace\" with a regex or empty pattern", origin);
    }
    const std::string content = NEREUS_TRY(json_string(json, "content", origin));
    spec.normalizer.push_back({NormalizerStep::Kind::kReplace, pattern.text, content});
    return {};
}

Status normalizer_sequence(const Json& json, std::string_view origin, BpeSpec& spec, int depth) {
    return read_sequence(normalizer, "normalizers", json, origin, spec, depth);
}

constexpr ComponentRow kNormalizers[] = {
    {"NFC", normalizer_nfc},
    {"Prepend", normalizer_prepend},
    {"Replace", normalizer_replace},
    {"Sequence", normalizer_sequence},
};

Status normalizer(const Json& json, std::string_view origin, BpeSpec& spec, int depth) {
    if (spec.normalizer.size() > kMaxSplitRules) {
        return make_error(ErrorCode::kUnsupported, "{}: more than {} normalizers", origin,
                          kMaxSplitRules);
    }
    return read_component(kNormalizers, "normalizer", json, origin, spec, depth);
}

// --- pre_tokenizer ---

Status pre_tokenizer(const Json& json, std::string_view origin, BpeSpec& spec, int depth);

Status pre_tokenizer_byte_level(const Json& json, std::string_view origin, BpeSpec& spec, int) {
    SplitRule rule;
    rule.prefix_space = NEREUS_TRY(json_bool(json, "add_prefix_space", true, origin));
    rule.pattern = NEREUS_TRY(json_bool(json, "use_regex", true, origin)) ? kGpt2Pattern : "";
    if (rule.prefix_space || !rule.pattern.empty()) {
        spec.split_rules.push_back(std::move(rule));
    }
    spec.byte_level = true;
    return {};
}

Status pre_tokenizer_digits(const Json& json, std::string_view origin, BpeSpec& spec, int) {
    const bool each = NEREUS_TRY(json_bool(json, "individual_digits", false, origin));
    spec.split_rules.push_back({each ? "\\p{N}" : "\\p{N}+"});
    return {};
}

struct BehaviorRow {
    std::string_view name;
    SplitBehavior behavior;
};
constexpr BehaviorRow kBehaviors[] = {
    {"Isolated", SplitBehavior::kIsolated},
    {"Removed", SplitBehavior::kRemoved},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
};

Status pre_tokenizer_split(const Json& json, std::string_view origin, BpeSpec& spec, int) {
    const Pattern pattern = NEREUS_TRY(read_pattern(json, origin));
    const std::string behavior = NEREUS_TRY(json_string(json, "behavior", origin));
    SplitRule rule;
    rule.pattern = pattern.is_regex ? pattern.text : quote_regex(pattern.text);
    rule.invert = NEREUS_TRY(json_bool(json, "invert", false, origin));
    if (rule.pattern.empty()) {
        return make_error(ErrorCode::kUnsupported, "{}: pre-tokenizer \"Split\" by nothing",
                          origin);
    }
    for (const BehaviorRow& row : kBehaviors) {
        if (row.name == behavior) {
            rule.behavior = row.behavior;
            spec.split_rules.push_back(std::move(rule));
            return {};
        }
    }
    return make_error(ErrorCode::kUnsupported, "{}: split behavior \"{}\" is not supported", origin,
                      behavior);
}

Status pre_tokenizer_sequence(const Json& json, std::string_view origin, BpeSpec& spec, int depth) {
    return read_sequence(pre_tokenizer, "pretokenizers", json, origin, spec, depth);
}

constexpr ComponentRow kPreTokenizers[] = {
    {"ByteLevel", pre_tokenizer_byte_level},
    {"Digits", pre_tokenizer_digits},
    {"Sequence", pre_tokenizer_sequence},
    {"Split", pre_tokenizer_split},
};

Status pre_tokenizer(const Json& json, std::string_view origin, BpeSpec& spec, int depth) {
    if (spec.split_rules.size() > kMaxSplitRules) {
        return make_error(ErrorCode::kUnsupported, "{}: more than {} pre-tokenizer stages", origin,
                          kMaxSplitRules);
    }
    return read_component(kPreTokenizers, "pre-tokenizer", json, origin, spec, depth);
}

// --- decoder ---

Status decoder(const Json& json, std::string_view origin, BpeSpec& spec, int depth);

/// What the vocabulary already says: bytes, "▁" for a space, <0xNN>.
Status decoder_implied(const Json&, std::string_view, BpeSpec&, int) { return {}; }

Status decoder_strip(const Json& json, std::string_view origin, BpeSpec& spec, int) {
    const auto start = json.find("start");
    const auto stop = json.find("stop");
    const bool one_space = json.value("content", Json()) == Json(" ") && start != json.end() &&
                           *start == Json(1) && stop != json.end() && *stop == Json(0);
    if (!one_space) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: decoder \"Strip\" of other than one leading space", origin);
    }
    spec.strip_leading_space = true;
    return {};
}

Status decoder_sequence(const Json& json, std::string_view origin, BpeSpec& spec, int depth) {
    return read_sequence(decoder, "decoders", json, origin, spec, depth);
}

constexpr ComponentRow kDecoders[] = {
    {"ByteFallback", decoder_implied}, {"ByteLevel", decoder_implied}, {"Fuse", decoder_implied},
    {"Replace", decoder_implied},      {"Sequence", decoder_sequence}, {"Strip", decoder_strip},
};

Status decoder(const Json& json, std::string_view origin, BpeSpec& spec, int depth) {
    return read_component(kDecoders, "decoder", json, origin, spec, depth);
}

/// The first special token that a TemplateProcessing writes in front of a single text.
void bos_of_template(const Json& processor, BpeSpec& spec) {
    const Json single = processor.value("single", Json());
    if (!single.is_array() || single.empty() || !single[0].is_object()) {
        return;
    }
    const Json special = single[0].value("SpecialToken", Json());
    const Json name = special.is_object() ? special.value("id", Json()) : Json();
    for (const AddedToken& token : spec.added) {
        if (name.is_string() && token.text == name.get_ref<const std::string&>()) {
            spec.bos_id = token.id;
            spec.add_bos = true;
        }
    }
}

}  // namespace

Result<bool> json_bool(const Json& object, const char* key, bool missing, std::string_view origin) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) {
        return missing;
    }
    if (!found->is_boolean()) {
        return wrong_field(origin, key, "true or false");
    }
    return found->get<bool>();
}

Result<std::string> json_string(const Json& object, const char* key, std::string_view origin) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) {
        return wrong_field(origin, key, "a string");
    }
    return found->get<std::string>();
}

Status read_normalizer(const Json& json, std::string_view origin, BpeSpec& spec) {
    return normalizer(json, origin, spec, 0);
}

Status read_pre_tokenizer(const Json& json, std::string_view origin, BpeSpec& spec) {
    spec.byte_level = false;
    return pre_tokenizer(json, origin, spec, 0);
}

Status read_decoder(const Json& json, std::string_view origin, BpeSpec& spec) {
    return decoder(json, origin, spec, 0);
}

Status read_post_processor(const Json& json, std::string_view, BpeSpec& spec) {
    if (!json.is_object()) {
        return {};
    }
    bos_of_template(json, spec);
    const auto processors = json.find("processors");
    if (processors != json.end() && processors->is_array()) {
        for (const Json& processor : *processors) {
            if (processor.is_object()) {
                bos_of_template(processor, spec);
            }
        }
    }
    return {};
}

Result<AddedToken> read_added_token(const Json& json, std::string_view origin) {
    if (!json.is_object()) {
        return make_error(ErrorCode::kCorrupt, "{}: an added token is not an object", origin);
    }
    const auto id = json.find("id");
    if (id == json.end() || !id->is_number_unsigned() ||
        id->get<uint64_t>() >= static_cast<uint64_t>(kMaxTokens)) {
        return make_error(ErrorCode::kCorrupt, "{}: added token id {} is not one of 0 to {}",
                          origin, id == json.end() ? "(missing)" : dump_json(*id), kMaxTokens - 1);
    }
    AddedToken token;
    token.id = id->get<int32_t>();
    token.text = NEREUS_TRY(json_string(json, "content", origin));
    token.special = NEREUS_TRY(json_bool(json, "special", false, origin));
    token.normalized = NEREUS_TRY(json_bool(json, "normalized", !token.special, origin));
    token.left_strip = NEREUS_TRY(json_bool(json, "lstrip", false, origin));
    token.right_strip = NEREUS_TRY(json_bool(json, "rstrip", false, origin));
    token.single_word = NEREUS_TRY(json_bool(json, "single_word", false, origin));
    return token;
}

}  // namespace nereus
