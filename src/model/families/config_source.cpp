#include "model/families/config_source.h"

namespace nereus {

namespace {

template <typename T>
Error out_of_range(const ConfigSource& source, std::string_view key, T found, T low, T high) {
    return make_error(ErrorCode::kCorrupt, "{}: {} is {}, expected {} to {}", source.origin(), key,
                      found, low, high);
}

}  // namespace

Result<int64_t> ConfigSource::integer(std::string_view key, int64_t low, int64_t high) const {
    const auto value = NEREUS_TRY(find_integer(key));
    if (!value) {
        return make_error(ErrorCode::kCorrupt, "{}: {} is missing, expected an integer {} to {}",
                          origin(), key, low, high);
    }
    if (*value < low || *value > high) {
        return out_of_range(*this, key, *value, low, high);
    }
    return *value;
}

Result<int64_t> ConfigSource::integer_or(std::string_view key, int64_t fallback, int64_t low,
                                         int64_t high) const {
    const int64_t value = NEREUS_TRY(find_integer(key)).value_or(fallback);
    if (value < low || value > high) {
        return out_of_range(*this, key, value, low, high);
    }
    return value;
}

Result<double> ConfigSource::number_or(std::string_view key, double fallback, double low,
                                       double high) const {
    const double value = NEREUS_TRY(find_number(key)).value_or(fallback);
    if (!(value >= low && value <= high)) {  // also refuses NaN
        return out_of_range(*this, key, value, low, high);
    }
    return value;
}

Result<bool> ConfigSource::boolean_or(std::string_view key, bool fallback) const {
    return NEREUS_TRY(find_boolean(key)).value_or(fallback);
}

Result<std::string> ConfigSource::text_or(std::string_view key, std::string_view fallback) const {
    return NEREUS_TRY(find_text(key)).value_or(std::string(fallback));
}

Error ConfigSource::unsupported(std::string_view key, std::string_view found,
                                std::string_view known) const {
    return make_error(ErrorCode::kUnsupported, "{}: {} is {}; this build knows {}", origin(), key,
                      found, known);
}

}  // namespace nereus
