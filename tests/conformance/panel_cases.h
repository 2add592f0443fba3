#pragma once
// What tests of panel formats share: encoded matrices, shapes and numbers of rows that leave tails
// in every tile.

#include "compute/cpu/int8.h"
#include "tensor/panel.h"
#include "tests/conformance/cases.h"

namespace nereus::conformance {

/// A matrix rounded to a panel format, at an odd address.
class PanelWeight {
  public:
    PanelWeight(FormatId id, int64_t rows, int64_t cols, uint64_t seed,
                EncodeEffort effort = EncodeEffort::kFast)
        : values_(random_floats(rows * cols, seed)) {
        const Format& format = format_of(id);
        bytes_.resize(static_cast<size_t>(format.matrix_bytes(rows, cols)) + 1);
        for (int64_t row = 0; row < rows; row += kPanelRows) {
            encode_panel(format, values_.data() + row * cols, cols,
                         std::min(kPanelRows, rows - row), cols, nullptr, effort,
                         bytes_.data() + 1 + row / kPanelRows * format.stride_bytes(cols));
        }
        weight_ = {.format = &format,
                   .rows = rows,
                   .cols = cols,
                   .data = bytes_.data() + 1,
                   .row_stride_bytes = format.stride_bytes(cols)};
    }
    const Weight& get() const { return weight_; }
    const std::vector<float>& values() const { return values_; }

  private:
    std::vector<float> values_;
    std::vector<std::byte> bytes_;
    Weight weight_;
};

struct PanelShape {
    int64_t rows;
    int64_t cols;
};
inline constexpr PanelShape kPanelShapes[] = {{1, 1},    {2, 15},    {16, 128}, {17, 129},
                                              {48, 576}, {31, 1408}, {33, 256}, {130, 300}};
inline constexpr int64_t kPanelTokens[] = {1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 25, 33, 300};

}  // namespace nereus::conformance
