// Q5_1: 32 numbers in 24 bytes: f16 d, f16 m, 32 fifth bits, 16 bytes of nibbles as in Q4_0;
// value = d * q + m.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q5_1(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 24>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        const float m = load_f16(block + 2);
        const auto high = load_as<uint32_t>(block + 4);
        for (int i = 0; i < 32; ++i) {
            const int q = nibble(load_u8(block + 8, i % 16), i / 16) | bit_of(high, i) << 4;
            values[i] = d * static_cast<float>(q) + m;
        }
    });
}

}  // namespace nereus
