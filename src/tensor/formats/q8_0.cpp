// Q8_0: 32 numbers in 34 bytes: f16 d, 32 signed bytes; value = q * d.

#include <cmath>

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q8_0(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 34>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        for (int i = 0; i < 32; ++i) {
            values[i] = static_cast<float>(load_i8(block + 2, i)) * d;
        }
    });
}

void encode_q8_0(const float* values, int64_t n, std::byte* out) {
    for (int64_t begin = 0; begin < n; begin += 32, out += 34) {
        float largest = 0.0F;
        for (int64_t i = 0; i < 32; ++i) {
            largest = std::fmax(largest, std::fabs(values[begin + i]));
        }
        const float d = largest / 127.0F;
        const float inverse = d == 0.0F ? 0.0F : 1.0F / d;
        store_u16(out, f32_to_f16(d));
        for (int64_t i = 0; i < 32; ++i) {
            // std::round: halves away from zero, as the reference; the bound is for inputs so small
            // that `inverse` overflows.
            const float q = std::round(values[begin + i] * inverse);
            out[2 + i] =
                static_cast<std::byte>(static_cast<int>(std::fmin(std::fmax(q, -127), 127)));
        }
    }
}

}  // namespace nereus
