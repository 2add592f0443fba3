// Q3_K: 256 numbers in 110 bytes: 32 bytes of third bits (bit g of byte j: number 32 g + j), 64
// bytes of 2-bit numbers as in Q2_K, 12 bytes of 16 six-bit scales, f16 d.
// value = (d * (scale - 32)) * (q - (third bit ? 0 : 4)).

#include "tensor/formats/k_scales.h"
#include "tensor/formats/rows.h"

namespace nereus {
void decode_q3_k(const StoredRow& row, int64_t n, float* out) {
    for_each_block<256, 110>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block + 108);
        for (int group = 0; group < 16; ++group) {
            const float factor = d * static_cast<float>(q3_k_scale(block + 96, group));
            for (int i = group * 16; i < group * 16 + 16; ++i) {
                const int low = bits_2(load_u8(block + 32, i / 128 * 32 + i % 32), i / 32 % 4);
                const int offset = bit_of(load_u8(block, i % 32), i / 32) != 0 ? 0 : 4;
                values[i] = factor * static_cast<float>(low - offset);
            }
        }
    });
}

}  // namespace nereus
