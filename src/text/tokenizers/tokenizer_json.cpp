// tokenizer.json to a BpeSpec. The two big sections, vocabulary and merges, are scanned without
// building a document: 9 MB of them in some 100 ms.

#include <charconv>
#include <map>

#include "base/json_scan.h"
#include "text/tokenizer.h"
#include "text/tokenizers/bpe_tokenizer.h"
#include "text/tokenizers/json_sections.h"
#include "text/tokenizers/vocabulary_builder.h"

namespace nereus {
namespace {

/// Above the largest published file (34 MB) by a factor of 16.
constexpr size_t kMaxJsonBytes = size_t{512} << 20;
constexpr JsonLimits kSectionLimits{size_t{256} << 20, 32};

/// The raw text of an object's fields by name.
using Fields = std::map<std::string, std::string_view, std::less<>>;

Result<Fields> fields_of(std::string_view object, std::string_view origin) {
    Fields fields;
    NEREUS_TRY(scan_object(object, origin, [&](std::string_view key, std::string_view raw) {
        if (!fields.emplace(key, raw).second) {
            return Status(make_error(ErrorCode::kCorrupt, "{}: \"{}\" appears twice", origin, key));
        }
        return Status();
    }));
    return fields;
}

/// A field as a document; null when it is missing.
Result<Json> section(const Fields& fields, std::string_view key, std::string_view origin) {
    const auto found = fields.find(key);
    if (found == fields.end()) {
        return Json();
    }
    return parse_json(found->second, origin, kSectionLimits);
}

/// The raw text of a field that must be there.
Result<std::string_view> required(const Fields& fields, std::string_view key,
                                  std::string_view origin) {
    const auto found = fields.find(key);
    if (found == fields.end()) {
        return make_error(ErrorCode::kCorrupt, "{}: \"{}\" is missing", origin, key);
    }
    return found->second;
}

/// A raw JSON string; most hold no escapes and need no copy.
Result<std::string_view> text_of(std::string_view raw, std::string& buffer,
                                 std::string_view origin) {
    if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"') {
        return make_error(ErrorCode::kCorrupt, "{}: \"{}\" is not a string", origin,
                          raw.substr(0, 40));
    }
    if (raw.find('\\') == raw.npos) {
        return raw.substr(1, raw.size() - 2);
    }
    buffer = NEREUS_TRY(unescape_json(raw, origin));
    return std::string_view(buffer);
}

Status read_vocabulary(std::string_view raw, std::string_view origin, VocabularyBuilder& builder) {
    return scan_object(raw, origin, [&](std::string_view token, std::string_view number) -> Status {
        int64_t id = 0;
        const char* end = number.data() + number.size();
        const auto parsed = std::from_chars(number.data(), end, id);
        if (parsed.ec != std::errc() || parsed.ptr != end) {
            return make_error(ErrorCode::kCorrupt, "{}: the id of token \"{}\" is \"{}\"", origin,
                              token, number.substr(0, 40));
        }
        return builder.add_token(token, id);
    });
}

/// One merge: "a b", or since tokenizers 0.20 ["a", "b"].
class MergeReader {
  public:
    MergeReader(std::string_view origin, VocabularyBuilder& builder)
        : origin_(origin), builder_(builder) {}

    Status operator()(std::string_view raw) {
        if (raw.starts_with('[')) {
            return read_pair(raw);
        }
        const std::string_view text = NEREUS_TRY(text_of(raw, left_, origin_));
        const size_t space = text.find(' ');
        if (space == text.npos || text.find(' ', space + 1) != text.npos) {
            return make_error(ErrorCode::kCorrupt, "{}: merge \"{}\" is not two tokens", origin_,
                              text);
        }
        return builder_.add_merge(text.substr(0, space), text.substr(space + 1), false);
    }

  private:
    Status read_pair(std::string_view raw) {
        std::string_view rest = raw.substr(1);
        const std::string_view left = next_string(rest);
        const std::string_view right = next_string(rest);
        if (left.empty() || right.empty() || rest != "]") {
            return make_error(ErrorCode::kCorrupt, "{}: merge {} is not two strings", origin_,
                              raw.substr(0, 80));
        }
        return builder_.add_merge(NEREUS_TRY(text_of(left, left_, origin_)),
                                  NEREUS_TRY(text_of(right, right_, origin_)), false);
    }

    /// Cuts the next string token, its quotes included, and the comma and white space around it.
    static std::string_view next_string(std::string_view& rest) {
        constexpr std::string_view kBetween = " \t\r\n,";
        rest.remove_prefix(std::min(rest.find_first_not_of(kBetween), rest.size()));
        if (!rest.starts_with('"')) {
            return {};
        }
        size_t end = 1;
        while (end < rest.size() && rest[end] != '"') {
            end += rest[end] == '\\' ? 2 : 1;
        }
        end = std::min(end + 1, rest.size());
        const std::string_view token = rest.substr(0, end);
        rest.remove_prefix(end);
        rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
        return token;
    }

    std::string_view origin_;
    VocabularyBuilder& builder_;
    std::string left_;
    std::string right_;
};

/// Options of the BPE model that must be off: this build has no use for them.
Status check_model_options(const Fields& model, std::string_view origin) {
    const Json type = NEREUS_TRY(section(model, "type", origin));
    if (!type.is_null() && type != Json("BPE")) {
        return make_error(ErrorCode::kUnsupported, "{}: model {} is not supported; only \"BPE\" is",
                          origin, dump_json(type));
    }
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
        const Json value = NEREUS_TRY(section(model, key, origin));
        if (!value.is_null() && value != Json("") && value != Json(0.0)) {
            return make_error(ErrorCode::kUnsupported, "{}: model option \"{}\": {}", origin, key,
                              dump_json(value));
        }
    }
    return {};
}

Status read_model_flags(const Fields& model, std::string_view origin, BpeSpec& spec) {
    Json flags = Json::object();
    for (const char* key : {"ignore_merges", "byte_fallback", "fuse_unk", "unk_token"}) {
        flags[key] = NEREUS_TRY(section(model, key, origin));
    }
    spec.ignore_merges = NEREUS_TRY(json_bool(flags, "ignore_merges", false, origin));
    spec.byte_fallback = NEREUS_TRY(json_bool(flags, "byte_fallback", false, origin));
    spec.fuse_unknown = NEREUS_TRY(json_bool(flags, "fuse_unk", false, origin));
    return {};
}

Status read_unknown_token(const Fields& model, std::string_view origin,
                          const VocabularyBuilder& builder, BpeSpec& spec) {
    const Json unknown = NEREUS_TRY(section(model, "unk_token", origin));
    if (unknown.is_null()) {
        return {};
    }
    spec.unknown_id =
        unknown.is_string() ? builder.find(unknown.get_ref<const std::string&>()) : kNoToken;
    if (spec.unknown_id == kNoToken) {
        return make_error(ErrorCode::kCorrupt, "{}: unk_token {} is not in the vocabulary", origin,
                          dump_json(unknown));
    }
    return {};
}

Status read_model(std::string_view raw, std::string_view origin, VocabularyBuilder& builder,
                  BpeSpec& spec) {
    const Fields model = NEREUS_TRY(fields_of(raw, origin));
    NEREUS_TRY(check_model_options(model, origin));
    NEREUS_TRY(read_model_flags(model, origin, spec));
    NEREUS_TRY(read_vocabulary(NEREUS_TRY(required(model, "vocab", origin)), origin, builder));
    NEREUS_TRY(builder.finish_tokens());
    NEREUS_TRY(read_unknown_token(model, origin, builder, spec));
    return scan_array(NEREUS_TRY(required(model, "merges", origin)), origin,
                      MergeReader(origin, builder));
}

Status read_added_tokens(const Fields& fields, std::string_view origin,
                         VocabularyBuilder& builder) {
    const Json added = NEREUS_TRY(section(fields, "added_tokens", origin));
    if (!added.is_array() && !added.is_null()) {
        return make_error(ErrorCode::kCorrupt, "{}: added_tokens is not an array", origin);
    }
    for (const Json& token : added) {
        NEREUS_TRY(builder.add_added_token(NEREUS_TRY(read_added_token(token, origin))));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(std::string_view json,
                                                       std::string_view origin) {
    if (json.size() > kMaxJsonBytes) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: {} bytes; a tokenizer of at most {} is read", origin, json.size(),
                          kMaxJsonBytes);
    }
    const Fields fields = NEREUS_TRY(fields_of(json, origin));
    BpeSpec spec;
    NEREUS_TRY(read_normalizer(NEREUS_TRY(section(fields, "normalizer", origin)), origin, spec));
    NEREUS_TRY(
        read_pre_tokenizer(NEREUS_TRY(section(fields, "pre_tokenizer", origin)), origin, spec));
    NEREUS_TRY(read_decoder(NEREUS_TRY(section(fields, "decoder", origin)), origin, spec));
    VocabularyBuilder builder(spec, origin);
    NEREUS_TRY(read_added_tokens(fields, origin, builder));
    NEREUS_TRY(read_model(NEREUS_TRY(required(fields, "model", origin)), origin, builder, spec));
    NEREUS_TRY(
        read_post_processor(NEREUS_TRY(section(fields, "post_processor", origin)), origin, spec));
    return BpeTokenizer::create(std::move(spec), origin);
}

}  // namespace nereus
