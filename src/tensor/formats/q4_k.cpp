// Q4_K: 256 numbers in 144 bytes: f16 d, f16 dmin, 12 bytes of scales (k_scales.h), 128 bytes of
// nibbles (byte 32 p + j holds numbers 64 p + j low and 64 p + 32 + j high).
// value = (d * scale) * q - (dmin * minimum), per group of 32.

#include "tensor/formats/k_scales.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q4_k(const StoredRow& row, int64_t n, float* out) {
    for_each_block<256, 144>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        const float d_min = load_f16(block + 2);
        for (int group = 0; group < 8; ++group) {
            const auto [scale, minimum] = k_scale(block + 4, group);
            const float factor = d * scale;
            const float offset = d_min * minimum;
            for (int j = 0; j < 32; ++j) {
                const int q = nibble(load_u8(block + 16, group / 2 * 32 + j), group % 2);
                values[group * 32 + j] = factor * static_cast<float>(q) - offset;
            }
        }
    });
}

}  // namespace nereus
