// ConfigSource over a config.json, with both spellings of the RoPE keys: rope_scaling beside
// rope_theta, and the newer rope_parameters that holds them all.

#include <cmath>

#include "base/json.h"
#include "model/families/config_source.h"

namespace nereus {
namespace {

class JsonSource final : public ConfigSource {
  public:
    JsonSource(const Json& config, std::string origin)
        : config_(&config), origin_(std::move(origin)) {}

    const std::string& origin() const override { return origin_; }

    Result<std::optional<int64_t>> find_integer(std::string_view key) const override {
        const Json* value = find(key);
        if (value == nullptr) {
            return std::optional<int64_t>();
        }
        const bool whole_float = value->is_number_float() &&
                                 std::abs(value->get<double>()) < 9e15 &&
                                 std::trunc(value->get<double>()) == value->get<double>();
        const bool too_large = value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX;
        if ((!value->is_number_integer() && !whole_float) || too_large) {
            return wrong_type(key, "an integer", *value);
        }
        return std::optional<int64_t>(whole_float ? static_cast<int64_t>(value->get<double>())
                                                  : value->get<int64_t>());
    }

    Result<std::optional<double>> find_number(std::string_view key) const override {
        const Json* value = find(key);
        if (value == nullptr) {
            return std::optional<double>();
        }
        if (!value->is_number()) {
            return wrong_type(key, "a number", *value);
        }
        return std::optional<double>(value->get<double>());
    }

    Result<std::optional<bool>> find_boolean(std::string_view key) const override {
        const Json* value = find(key);
        if (value == nullptr) {
            return std::optional<bool>();
        }
        if (!value->is_boolean()) {
            return wrong_type(key, "true or false", *value);
        }
        return std::optional<bool>(value->get<bool>());
    }

    Result<std::optional<std::string>> find_text(std::string_view key) const override {
        const Json* value = find(key);
        if (value == nullptr) {
            return std::optional<std::string>();
        }
        if (!value->is_string()) {
            return wrong_type(key, "a string", *value);
        }
        return std::optional<std::string>(value->get<std::string>());
    }

    Result<RopeScaling> rope_scaling() const override {
        RopeScaling scaling;
        const Json* object = rope_object();
        if (object == nullptr) {
            return scaling;
        }
        if (!object->is_object()) {
            return wrong_type("rope_scaling", "an object", *object);
        }
        const JsonSource inner(*object, origin_ + ": rope_scaling");
        std::string type = NEREUS_TRY(inner.text_or("rope_type", ""));
        type = type.empty() ? NEREUS_TRY(inner.text_or("type", "default")) : type;
        NEREUS_TRY(read_type(inner, type, scaling));
        if (scaling.type == RopeScalingType::kNone) {
            return scaling;
        }
        constexpr double kHuge = 1e9;
        scaling.factor = NEREUS_TRY(inner.number_or("factor", 1, 1e-9, kHuge));
        const int64_t positions = NEREUS_TRY(integer_or("max_position_embeddings", 2048, 1));
        scaling.original_max_position_embeddings =
            NEREUS_TRY(inner.integer_or("original_max_position_embeddings", positions, 1));
        scaling.beta_fast = NEREUS_TRY(inner.number_or("beta_fast", 32, 1e-9, kHuge));
        scaling.beta_slow = NEREUS_TRY(inner.number_or("beta_slow", 1, 1e-9, kHuge));
        scaling.mscale = NEREUS_TRY(inner.number_or("mscale", 1, 0, kHuge));
        scaling.mscale_all_dim = NEREUS_TRY(inner.number_or("mscale_all_dim", 0, 0, kHuge));
        scaling.low_freq_factor = NEREUS_TRY(inner.number_or("low_freq_factor", 1, 1e-9, kHuge));
        scaling.high_freq_factor = NEREUS_TRY(inner.number_or("high_freq_factor", 4, 1e-9, kHuge));
        NEREUS_TRY(check_bands(inner, scaling));
        return scaling;
    }

  private:
    const Json* rope_object() const {
        const Json* object = find("rope_scaling");
        return object != nullptr ? object : find("rope_parameters");
    }

    /// A value of the top level, or of rope_parameters for rope_theta; nullptr when null.
    const Json* find(std::string_view key) const {
        const Json* value = member(*config_, key);
        if (value == nullptr && key == "rope_theta") {
            const Json* nested = member(*config_, "rope_parameters");
            return nested == nullptr || !nested->is_object() ? nullptr : member(*nested, key);
        }
        return value;
    }

    /// nullptr when absent or null.
    static const Json* member(const Json& object, std::string_view key) {
        const auto found = object.find(key);
        return found == object.end() || found->is_null() ? nullptr : &*found;
    }

    /// The ramp between the bands divides by their distance.
    static Status check_bands(const ConfigSource& source, const RopeScaling& scaling) {
        if (scaling.type == RopeScalingType::kLlama3 &&
            scaling.high_freq_factor <= scaling.low_freq_factor) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: high_freq_factor is {}, expected more than low_freq_factor {}",
                              source.origin(), scaling.high_freq_factor, scaling.low_freq_factor);
        }
        return {};
    }

    static Status read_type(const ConfigSource& source, const std::string& type,
                            RopeScaling& scaling) {
        static constexpr std::pair<std::string_view, RopeScalingType> kTypes[] = {
            {"default", RopeScalingType::kNone},  {"none", RopeScalingType::kNone},
            {"yarn", RopeScalingType::kYarn},     {"llama3", RopeScalingType::kLlama3},
            {"linear", RopeScalingType::kLinear},
        };
        for (const auto& [name, value] : kTypes) {
            if (name == type) {
                scaling.type = value;
                return {};
            }
        }
        return source.unsupported("rope_type", type, "default, yarn, llama3, linear");
    }

    Error wrong_type(std::string_view key, std::string_view expected, const Json& found) const {
        return make_error(ErrorCode::kCorrupt, "{}: {} is {}, expected {}", origin_, key,
                          dump_json(found).substr(0, 60), expected);
    }

    const Json* config_;
    std::string origin_;
};

}  // namespace

std::unique_ptr<ConfigSource> source_from_json(const Json& config, const std::string& origin) {
    return std::make_unique<JsonSource>(config, origin);
}

}  // namespace nereus
