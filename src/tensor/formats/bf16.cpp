// BF16: two bytes a number.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_bf16(const StoredRow& row, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        out[i] = bf16_to_f32(load_as<uint16_t>(row.data + 2 * i));
    }
}

void encode_bf16(const float* values, int64_t n, std::byte* out) {
    for (int64_t i = 0; i < n; ++i) {
        store_u16(out + 2 * i, f32_to_bf16(values[i]));
    }
}

}  // namespace nereus
