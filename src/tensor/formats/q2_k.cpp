// Q2_K: 256 numbers in 84 bytes: 16 bytes of (scale, minimum) nibbles, one per 16 numbers; 64 bytes
// of 2-bit numbers; f16 d; f16 dmin. value = (d * scale) * q - (dmin * minimum).
// Byte 32 h + j holds numbers 128 h + 32 s + j for s = 0..3.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q2_k(const StoredRow& row, int64_t n, float* out) {
    for_each_block<256, 84>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block + 80);
        const float d_min = load_f16(block + 82);
        for (int group = 0; group < 16; ++group) {
            const uint8_t scale = load_u8(block, group);
            const float factor = d * static_cast<float>(nibble(scale, 0));
            const float minimum = d_min * static_cast<float>(nibble(scale, 1));
            for (int i = group * 16; i < group * 16 + 16; ++i) {
                const uint8_t byte = load_u8(block + 16, i / 128 * 32 + i % 32);
                values[i] = factor * static_cast<float>(bits_2(byte, i / 32 % 4)) - minimum;
            }
        }
    });
}

}  // namespace nereus
