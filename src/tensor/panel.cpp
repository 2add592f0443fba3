#include "tensor/panel.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace nereus {

int64_t Format::rows_together() const { return panel == nullptr ? 1 : kPanelRows; }

int64_t Format::stride_bytes(int64_t n) const {
    return panel == nullptr ? row_bytes(n) : panel_blocks(n) * panel->block_bytes;
}

void encode_panel(const Format& format, const float* rows, int64_t row_stride, int64_t n_rows,
                  int64_t n_cols, const float* importance, EncodeEffort effort, std::byte* out) {
    NEREUS_CHECK(format.panel != nullptr);
    NEREUS_CHECK(n_rows <= kPanelRows);
    std::array<float, kPanelRows * kPanelColumns> values{};
    std::array<float, kPanelColumns> weights{};
    for (int64_t column = 0; column < n_cols; column += kPanelColumns) {
        const int64_t n = std::min(kPanelColumns, n_cols - column);
        values.fill(0.0F);
        weights.fill(0.0F);
        for (int64_t r = 0; r < n_rows; ++r) {
            const float* row = rows + r * row_stride + column;
            std::transform(row, row + n, values.data() + r * kPanelColumns, [](float x) {
                return std::clamp(x, -kLargestPanelNumber, kLargestPanelNumber);
            });
        }
        if (importance != nullptr) {
            std::copy_n(importance + column, n, weights.data());
        }
        format.panel->encode(
            {values.data(), importance == nullptr ? nullptr : weights.data(), effort}, out);
        out += format.panel->block_bytes;
    }
}

}  // namespace nereus
