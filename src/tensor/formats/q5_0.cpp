// Q5_0: 32 numbers in 22 bytes: f16 d, 32 fifth bits, 16 bytes of nibbles as in Q4_0;
// value = d * (q - 16).

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_q5_0(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 22>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        const auto high = load_as<uint32_t>(block + 2);
        for (int i = 0; i < 32; ++i) {
            const int q = nibble(load_u8(block + 6, i % 16), i / 16) | bit_of(high, i) << 4;
            values[i] = d * static_cast<float>(q - 16);
        }
    });
}

}  // namespace nereus
