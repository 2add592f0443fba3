#include "tensor/panel.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/check.h"

namespace nereus {

int64_t Format::rows_together() const { return panel == nullptr ? 1 : kPanelRows; }

int64_t Format::stride_bytes(int64_t n) const {
    return panel == nullptr ? row_bytes(n) : panel_blocks(n) * panel->block_bytes;
}

namespace {

float held(float x) { return std::clamp(x, -kLargestPanelNumber, kLargestPanelNumber); }

void butterflies(float* x) {
    for (int64_t apart = 1; apart < kPanelColumns; apart *= 2) {
        for (int64_t c = 0; c < kPanelColumns; c = (c + apart + 1) & ~apart) {
            const float a = x[c];
            const float b = x[c + apart];
            x[c] = a + b;
            x[c + apart] = a - b;
        }
    }
}

void flip_signs(float* x) {
    std::transform(x, x + kPanelColumns, kPanelSigns.begin(), x, std::multiplies<>());
}

}  // namespace

void turn_block(float* x) {
    flip_signs(x);
    butterflies(x);
}

void turn_block_back(float* x) {
    butterflies(x);
    flip_signs(x);
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
            float* block = values.data() + r * kPanelColumns;
            std::transform(row, row + n, block, held);
            if (format.panel->turned) {
                turn_block(block);
                std::transform(block, block + kPanelColumns, block,
                               [](float x) { return held(x / kTurnedWeight); });
            }
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
