// Q4: 4.5 bits a weight: 16 levels, a step and an offset for every 32 columns of a row.
// The layout is CodeLayout's, value = scale * (step * code + offset).

#include "tensor/formats/code_blocks.h"

namespace nereus {

void unpack_q4(const std::byte* block, int8_t* values, float* scales) {
    unpack_codes<4, 32>(block, values, scales);
}

void encode_q4(const PanelValues& from, std::byte* block) { encode_codes<4, 32>(from, block); }

extern constexpr PanelFormat kQ4Panel{Q4Layout::kBytes, 4.5, false, unpack_q4, encode_q4};

void decode_q4(const StoredRow& row, int64_t n, float* out) {
    decode_panel_row<unpack_q4, Q4Layout::kBytes, false>(row, n, out);
}

}  // namespace nereus
