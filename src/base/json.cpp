#include "base/json.h"

#include <unordered_set>
#include <vector>

namespace nereus {
namespace {

/// Builds the document like nlohmann's own DOM parser, but stops at the depth limit and at the
/// second use of a key, and keeps the message instead of throwing.
class LimitedBuilder : public nlohmann::json_sax<Json> {
  public:
    LimitedBuilder(Json& root, int max_depth) : dom_(root, false), max_depth_(max_depth) {}

    bool null() override { return dom_.null(); }
    bool boolean(bool value) override { return dom_.boolean(value); }
    bool number_integer(number_integer_t value) override { return dom_.number_integer(value); }
    bool number_unsigned(number_unsigned_t value) override { return dom_.number_unsigned(value); }
    bool number_float(number_float_t value, const string_t& text) override {
        return dom_.number_float(value, text);
    }
    bool string(string_t& value) override { return dom_.string(value); }
    bool binary(binary_t& value) override { return dom_.binary(value); }

    bool start_object(std::size_t size) override {
        keys_.emplace_back();
        return enter() && dom_.start_object(size);
    }
    bool key(string_t& name) override {
        if (!keys_.back().insert(name).second) {
            message = fmt::format("key \"{}\" appears twice in one object", name);
            return false;
        }
        return dom_.key(name);
    }
    bool end_object() override {
        keys_.pop_back();
        --depth_;
        return dom_.end_object();
    }
    bool start_array(std::size_t size) override { return enter() && dom_.start_array(size); }
    bool end_array() override {
        --depth_;
        return dom_.end_array();
    }
    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception& error) override {
        message = fmt::format("at byte {}: {}", position, reason_of(error.what()));
        return false;
    }

    std::string message;
    bool too_deep = false;

  private:
    /// nlohmann writes "[json.exception.parse_error.101] parse error at line 1, ...: reason".
    static std::string reason_of(std::string_view what) {
        const size_t colon = what.find(": ");
        return std::string(colon == std::string_view::npos ? what : what.substr(colon + 2));
    }
    bool enter() {
        if (++depth_ > max_depth_) {
            too_deep = true;
            message = fmt::format("nested deeper than {} levels", max_depth_);
            return false;
        }
        return true;
    }

    nlohmann::detail::json_sax_dom_parser<Json> dom_;
    std::vector<std::unordered_set<std::string>> keys_;
    int depth_ = 0;
    int max_depth_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view origin, JsonLimits limits) {
    if (text.size() > limits.max_bytes) {
        return make_error(ErrorCode::kUnsupported, "{}: {} bytes of JSON, at most {} are accepted",
                          origin, text.size(), limits.max_bytes);
    }
    Json root;
    LimitedBuilder builder(root, limits.max_depth);
    if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
        const ErrorCode code = builder.too_deep ? ErrorCode::kUnsupported : ErrorCode::kCorrupt;
        return make_error(code, "{}: not valid JSON: {}", origin, builder.message);
    }
    return root;
}

std::string dump_json(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace nereus
