// fp8_block128: F8_E4M3 with one F32 factor per 128 x 128 tile, as DeepSeek-V3 is published
// (`weight_scale_inv`, which despite its name is multiplied).

#include "tensor/formats/blocks.h"
#include "tensor/formats/rows.h"

namespace nereus {

void decode_fp8_block128(const StoredRow& row, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        out[i] = e4m3_to_f32(load_u8(row.data, i)) * row.scales[i / 128];
    }
}

}  // namespace nereus
