// MXFP4 as GGUF stores it: 32 numbers in 17 bytes: the exponent byte e, 16 bytes of nibbles as in
// Q4_0. value = 2^(e - 128) * table[q], the table holding E2M1 values doubled (codebooks.h), so
// that negative zero is zero and e = 255 is 2^127, not NaN.

#include "tensor/codebooks.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {
void decode_mxfp4(const StoredRow& row, int64_t n, float* out) {
    for_each_block<32, 17>(row, n, out, [](const std::byte* block, float* values) {
        const float d = mxfp4_scale(load_u8(block));
        for (int i = 0; i < 32; ++i) {
            const int q = nibble(load_u8(block + 1, i % 16), i / 16);
            values[i] = d * static_cast<float>(kMxfp4DoubledValues[static_cast<size_t>(q)]);
        }
    });
}

}  // namespace nereus
