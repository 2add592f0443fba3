// Q6_K: 256 numbers in 210 bytes: 128 bytes of low nibbles (byte 64 h + j: numbers 128 h + j low
// and 128 h + 64 + j high), 64 bytes of high pairs as in Q2_K, 16 signed scales, f16 d. value = (d
// * scale) * (q - 32), per group of 16.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q6_k(const StoredRow& row, int64_t n, float* out) {
    for_each_block<256, 210>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block + 208);
        for (int group = 0; group < 16; ++group) {
            const float factor = d * static_cast<float>(load_i8(block + 192, group));
            for (int i = group * 16; i < group * 16 + 16; ++i) {
                const int low = nibble(load_u8(block, i / 128 * 64 + i % 64), i / 64 % 2);
                const int high = bits_2(load_u8(block + 128, i / 128 * 32 + i % 32), i / 32 % 4);
                values[i] = factor * static_cast<float>((low | high << 4) - 32);
            }
        }
    });
}

}  // namespace nereus
