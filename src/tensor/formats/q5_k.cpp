// Q5_K: 256 numbers in 176 bytes: f16 d, f16 dmin, 12 bytes of scales (k_scales.h), 32 bytes of
// fifth bits (bit g of byte j: number 32 g + j), 128 bytes of nibbles as in Q4_K.
// value = (d * scale) * q - (dmin * minimum), per group of 32.

#include "tensor/formats/k_scales.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q5_k(const StoredRow& row, int64_t n, float* out) {
    for_each_block<256, 176>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        const float d_min = load_f16(block + 2);
        for (int group = 0; group < 8; ++group) {
            const auto [scale, minimum] = k_scale(block + 4, group);
            const float factor = d * scale;
            const float offset = d_min * minimum;
            for (int j = 0; j < 32; ++j) {
                const int low = nibble(load_u8(block + 48, group / 2 * 32 + j), group % 2);
                const int q = low | bit_of(load_u8(block + 16, j), group) << 4;
                values[group * 32 + j] = factor * static_cast<float>(q) - offset;
            }
        }
    });
}

}  // namespace nereus
