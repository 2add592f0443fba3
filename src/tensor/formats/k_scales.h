#pragma once
// The 12 bytes of Q4_K and Q5_K that hold eight six-bit (scale, minimum) pairs, and those of Q3_K
// that hold sixteen six-bit scales.

#include "tensor/formats/blocks.h"

namespace nereus {

struct ScaleAndMinimum {
    float scale;
    float minimum;
};

/// Pair `group` of 0..7. Groups 0..3 lie whole in bytes 0..3 (scales) and 4..7 (minima); of groups
/// 4..7 the low four bits lie in bytes 8..11 and the high two atop the bytes of groups 0..3.
inline ScaleAndMinimum k_scale(const std::byte* packed, int group) {
    const int lane = group % 4;
    const int first = load_u8(packed, lane);
    const int second = load_u8(packed, lane + 4);
    if (group < 4) {
        return {static_cast<float>(first & 63), static_cast<float>(second & 63)};
    }
    const int low = load_u8(packed, lane + 8);
    return {static_cast<float>((low & 15) | (first >> 6) << 4),
            static_cast<float>((low >> 4) | (second >> 6) << 4)};
}

/// Q3_K's scale `group` of 0..15: low nibbles in bytes 0..7 (low half first), high pairs in bytes
/// 8..11.
inline int q3_k_scale(const std::byte* scales, int group) {
    const int low = nibble(load_u8(scales, group % 8), group / 8);
    const int high = bits_2(load_u8(scales + 8, group % 4), group / 4);
    return (low | high << 4) - 32;
}

}  // namespace nereus
