// Q4_1: 32 numbers in 20 bytes: f16 d, f16 m, 16 bytes of nibbles as in Q4_0; value = d * q + m.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q4_1(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 20>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        const float m = load_f16(block + 2);
        for (int i = 0; i < 32; ++i) {
            values[i] = d * static_cast<float>(nibble(load_u8(block + 4, i % 16), i / 16)) + m;
        }
    });
}

}  // namespace nereus
