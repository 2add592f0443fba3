// IQ2_XXS: 256 numbers in 66 bytes: f16 d, then per 32 numbers four grid indices (one byte per 8
// numbers) and a word with four 7-bit sign indices and a 4-bit scale at the top.
// value = ((d * (0.5 + scale)) * 0.25) * grid * sign.

#include "tensor/codebooks.h"
#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_iq2_xxs(const StoredRow& row, int64_t n, float* out) {
    for_each_block<256, 66>(row, n, out, [](const std::byte* block, float* values) {
        const float d = load_f16(block);
        for (int group = 0; group < 8; ++group) {
            const std::byte* part = block + 2 + group * 8;
            const auto word = load_as<uint32_t>(part + 4);
            const float scale = d * (0.5F + static_cast<float>(word >> 28)) * 0.25F;
            for (int eight = 0; eight < 4; ++eight) {
                const uint8_t index = load_u8(part, eight);
                const uint8_t signs = iq2_signs((word >> (7 * eight)) & 127U);
                for (int i = 0; i < 8; ++i) {
                    const float magnitude = scale * static_cast<float>(iq2_xxs_value(index, i));
                    values[group * 32 + eight * 8 + i] =
                        bit_of(signs, i) != 0 ? -magnitude : magnitude;
                }
            }
        }
    });
}

}  // namespace nereus
