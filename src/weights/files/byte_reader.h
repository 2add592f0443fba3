#pragma once
// A cursor over untrusted bytes: every read is checked against what is left.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace nereus {

/// Reads little-endian values from the front. A read past the end yields nothing and moves nothing.
class ByteReader {
  public:
    explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    uint64_t position() const { return position_; }
    uint64_t remaining() const { return bytes_.size() - position_; }

    std::optional<std::span<const std::byte>> take(uint64_t n_bytes) {
        if (n_bytes > remaining()) {
            return std::nullopt;
        }
        const auto taken = bytes_.subspan(position_, n_bytes);
        position_ += n_bytes;
        return taken;
    }

    template <typename T>
    std::optional<T> read() {
        const auto taken = take(sizeof(T));
        if (!taken) {
            return std::nullopt;
        }
        T value{};
        std::memcpy(&value, taken->data(), sizeof(T));
        return value;
    }

    /// A string with a 64-bit length before it.
    std::optional<std::string_view> read_string() {
        const uint64_t start = position_;
        const auto length = read<uint64_t>();
        const auto taken = length ? take(*length) : std::nullopt;
        if (!taken) {
            position_ = start;
            return std::nullopt;
        }
        return std::string_view(reinterpret_cast<const char*>(taken->data()), taken->size());
    }

  private:
    std::span<const std::byte> bytes_;
    uint64_t position_ = 0;
};

}  // namespace nereus
