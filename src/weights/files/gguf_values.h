#pragma once
// The key-value part of a GGUF header. Values stay in the mapping and are read when asked for, so
// that a vocabulary of 128k tokens costs one walk at open.

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "weights/checkpoint.h"
#include "weights/files/byte_reader.h"

namespace nereus {

/// The value types of GGUF, by their number in the file.
enum class GgufType : uint32_t {
    kUint8,
    kInt8,
    kUint16,
    kInt16,
    kUint32,
    kInt32,
    kFloat32,
    kBool,
    kString,
    kArray,
    kUint64,
    kInt64,
    kFloat64,
    kCount
};

/// One value: a scalar, or the elements of an array back to back.
struct GgufValue {
    GgufType type = GgufType::kUint8;  ///< of the elements, for an array
    bool is_array = false;
    uint64_t count = 1;
    std::span<const std::byte> bytes;
};

class GgufValues final : public GgufMetadata {
  public:
    bool contains(std::string_view key) const override;
    std::optional<int64_t> integer(std::string_view key) const override;
    std::optional<double> number(std::string_view key) const override;
    std::optional<std::string_view> string(std::string_view key) const override;
    std::vector<std::string_view> strings(std::string_view key) const override;
    std::vector<double> numbers(std::string_view key) const override;
    std::string as_file() const override;

    /// False when the key is there already.
    bool add(std::string_view key, const GgufValue& value) {
        return values_.emplace(key, value).second;
    }

  private:
    const GgufValue* find(std::string_view key, bool is_array) const;

    std::unordered_map<std::string_view, GgufValue> values_;
};

/// Reads n pairs at the reader's position; the bytes must outlive the result. `file` is for
/// messages. errors: corrupt (truncated, duplicate or empty key), unsupported (nested array, type)
Result<std::unique_ptr<GgufValues>> read_gguf_values(ByteReader& reader, uint64_t n,
                                                     std::string_view file);

}  // namespace nereus
