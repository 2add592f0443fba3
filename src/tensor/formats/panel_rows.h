#pragma once
// What the panel formats share: where a code lies within a block, and decode_row from unpack.

#include <algorithm>
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
template <void (*kUnpack)(const std::byte*, int8_t*, float*), int64_t kBlockBytes, bool kTurned>
void decode_panel_row(const StoredRow& row, int64_t n, float* out) {
    std::array<int8_t, kPanelRows * kPanelColumns> values;
    std::array<float, kPanelRows> scales;
    std::array<float, kPanelColumns> numbers;
    const std::byte* block = row.data;
    for (int64_t begin = 0; begin < n; begin += kPanelColumns, block += kBlockBytes) {
        kUnpack(block, values.data(), scales.data());
        const float scale = scales[static_cast<size_t>(row.row_in_panel)];
        const int8_t* from = values.data() + row.row_in_panel * kPanelColumns;
        std::transform(from, from + kPanelColumns, numbers.begin(),
                       [scale](int8_t w8) { return scale * static_cast<float>(w8); });
        if constexpr (kTurned) {
            std::transform(numbers.begin(), numbers.end(), numbers.begin(),
                           [](float x) { return x * (kTurnedWeight / kPanelColumns); });
            turn_block_back(numbers.data());
        }
        std::copy_n(numbers.begin(), std::min(kPanelColumns, n - begin), out + begin);
    }
}

}  // namespace nereus
