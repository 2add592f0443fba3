// Q4_0: 32 numbers in 18 bytes: f16 d, 16 bytes of nibbles (byte j holds number j low and j + 16
// high); value = d * (q - 8).

#include <cmath>

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q4_0(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 18>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        for (int i = 0; i < 32; ++i) {
            values[i] = d * static_cast<float>(nibble(load_u8(block + 2, i % 16), i / 16) - 8);
        }
    });
}

void encode_q4_0(const float* values, int64_t n, std::byte* out) {
    for (int64_t begin = 0; begin < n; begin += 32, out += 18) {
        float extreme = 0.0F;  // the number of largest magnitude, sign kept: it becomes -8
        for (int64_t i = 0; i < 32; ++i) {
            if (std::fabs(values[begin + i]) > std::fabs(extreme)) {
                extreme = values[begin + i];
            }
        }
        const float d = extreme / -8.0F;
        const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
        const auto quantize = [&](int64_t i) {
            const float q = std::trunc(values[begin + i] * inverse + 8.5F);
            return static_cast<uint8_t>(std::fmin(std::fmax(q, 0), 15));
        };
        store_u16(out, f32_to_f16(d));
        for (int64_t j = 0; j < 16; ++j) {
            out[2 + j] = static_cast<std::byte>(quantize(j) | quantize(j + 16) << 4);
        }
    }
}

}  // namespace nereus
