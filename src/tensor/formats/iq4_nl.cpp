// IQ4_NL: 32 numbers in 18 bytes: f16 d, 16 bytes of nibbles as in Q4_0, each an index into a fixed
// table (codebooks.h); value = d * table[q].

#include "tensor/codebooks.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_iq4_nl(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 18>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        for (int i = 0; i < 32; ++i) {
            const int q = nibble(load_u8(block + 2, i % 16), i / 16);
            values[i] = d * static_cast<float>(kIq4NlValues[static_cast<size_t>(q)]);
        }
    });
}

}  // namespace nereus
