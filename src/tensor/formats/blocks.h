#pragma once
// What the format files share: reading little-endian fields of unaligned blocks, and the walk over
// the blocks of a row. Layouts are GGUF's, from the definitions in gguf-py `quants.py`.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/floats.h"
#include "tensor/format.h"

namespace nereus {

static_assert(std::endian::native == std::endian::little, "files and blocks are little-endian");

inline uint8_t load_u8(const std::byte* data, int64_t index = 0) {
    return std::to_integer<uint8_t>(data[index]);
}

inline int8_t load_i8(const std::byte* data, int64_t index = 0) {
    return static_cast<int8_t>(load_u8(data, index));
}

template <typename T>
T load_as(const std::byte* data) {
    T value{};
    std::memcpy(&value, data, sizeof(T));
    return value;
}

inline float load_f16(const std::byte* data) { return f16_to_f32(load_as<uint16_t>(data)); }

inline void store_u16(std::byte* out, uint16_t value) { std::memcpy(out, &value, sizeof(value)); }

/// The 2-bit number `index` of a byte, lowest first; likewise nibbles.
inline int bits_2(uint8_t byte, int index) { return (byte >> (2 * index)) & 3; }
inline int nibble(uint8_t byte, int index) { return (byte >> (4 * index)) & 15; }
inline int bit_of(uint32_t bits, int index) { return static_cast<int>((bits >> index) & 1U); }

/// MXFP4's scale: 2^(e - 128), subnormal for e < 2; half of what e means, for doubled values.
inline float mxfp4_scale(uint8_t e) {
    const uint32_t bits = e < 2 ? 0x00200000U << e : (uint32_t{e} - 1) << 23;
    return std::bit_cast<float>(bits);
}

/// Calls decode(block, out) for every block of the row.
template <int64_t kElements, int64_t kBytes, typename DecodeBlock>
void for_each_block(const StoredRow& row, int64_t n, float* out, DecodeBlock decode) {
    const std::byte* block = row.data;
    for (int64_t i = 0; i < n; i += kElements, block += kBytes) {
        decode(block, out + i);
    }
}

}  // namespace nereus
