#pragma once
// What the panel formats share: where a code lies within a block, and decode_row from unpack.

#include <array>
#include <cstdint>

#include "tensor/panel.h"

namespace nereus {

/// Index of (row, column) among the codes of a block: groups of four columns, in a group the 16
/// rows, of a row its four columns.
inline int64_t panel_index(int64_t row, int64_t column) {
    return (column / kPanelGroup * kPanelRows + row) * kPanelGroup + column % kPanelGroup;
}

/// decode_row of a panel format.
template <void (*kUnpack)(const std::byte*, int8_t*, float*), int64_t kBlockBytes>
void decode_panel_row(const StoredRow& row, int64_t n, float* out) {
    std::array<int8_t, kPanelRows * kPanelColumns> values;
    std::array<float, kPanelRows> scales;
    const std::byte* block = row.data;
    for (int64_t begin = 0; begin < n; begin += kPanelColumns, block += kBlockBytes) {
        kUnpack(block, values.data(), scales.data());
        const float scale = scales[static_cast<size_t>(row.row_in_panel)];
        const int8_t* from = values.data() + row.row_in_panel * kPanelColumns;
        for (int64_t c = begin; c < n && c < begin + kPanelColumns; ++c) {
            out[c] = scale * static_cast<float>(from[c - begin]);
        }
    }
}

}  // namespace nereus
