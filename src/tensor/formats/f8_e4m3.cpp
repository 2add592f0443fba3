// F8_E4M3 (the "fn" variant: no infinity) without scales.

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_f8_e4m3(const StoredRow& row, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        out[i] = e4m3_to_f32(load_u8(row.data, i));
    }
}

}  // namespace nereus
