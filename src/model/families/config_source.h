#pragma once
// Where configuration values come from: config.json or a GGUF header behind one set of names, those
// of config.json. Every read states its range; an absurd value is an error, not a surprise later.

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "model/config.h"

namespace nereus {

/// Largest dimension accepted anywhere: far above any model, far below overflow of a product of
/// two.
inline constexpr int64_t kDimensionMax = int64_t{1} << 26;

class ConfigSource {
  public:
    virtual ~ConfigSource() = default;
    /// Path, for messages.
    virtual const std::string& origin() const = 0;

    /// nullopt when the key is absent or null; errors: corrupt (wrong type, not finite)
    virtual Result<std::optional<int64_t>> find_integer(std::string_view key) const = 0;
    virtual Result<std::optional<double>> find_number(std::string_view key) const = 0;
    virtual Result<std::optional<bool>> find_boolean(std::string_view key) const = 0;
    virtual Result<std::optional<std::string>> find_text(std::string_view key) const = 0;
    virtual Result<RopeScaling> rope_scaling() const = 0;

    /// Required; errors as above, and corrupt when absent or outside [low, high].
    Result<int64_t> integer(std::string_view key, int64_t low = 1,
                            int64_t high = kDimensionMax) const;
    Result<int64_t> integer_or(std::string_view key, int64_t fallback, int64_t low = 0,
                               int64_t high = kDimensionMax) const;
    Result<double> number_or(std::string_view key, double fallback, double low, double high) const;
    Result<bool> boolean_or(std::string_view key, bool fallback) const;
    Result<std::string> text_or(std::string_view key, std::string_view fallback) const;

    Error unsupported(std::string_view key, std::string_view found, std::string_view known) const;
};

/// config must outlive the source.
std::unique_ptr<ConfigSource> source_from_json(const Json& config, const std::string& origin);
std::unique_ptr<ConfigSource> source_from_gguf(const Checkpoint& checkpoint,
                                               std::string_view architecture);

}  // namespace nereus
