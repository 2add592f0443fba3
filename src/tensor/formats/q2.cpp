// Q2: 2.875 bits a weight: 4 levels, a step and an offset for every 16 columns of a row.
// The layout is CodeLayout's, value = scale * (step * code + offset).

#include "tensor/formats/code_blocks.h"

namespace nereus {

void unpack_q2(const std::byte* block, int8_t* values, float* scales) {
    unpack_codes<2, 16>(block, values, scales);
}

void encode_q2(const PanelValues& from, std::byte* block) { encode_codes<2, 16>(from, block); }

extern constexpr PanelFormat kQ2Panel{Q2Layout::kBytes, 2.875, false, unpack_q2, encode_q2};

void decode_q2(const StoredRow& row, int64_t n, float* out) {
    decode_panel_row<unpack_q2, Q2Layout::kBytes, false>(row, n, out);
}

}  // namespace nereus
