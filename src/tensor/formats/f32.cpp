// F32: as it is in memory.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_f32(const StoredRow& row, int64_t n, float* out) {
    std::memcpy(out, row.data, static_cast<size_t>(n) * sizeof(float));
}

void encode_f32(const float* values, int64_t n, std::byte* out) {
    std::memcpy(out, values, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace nereus
