#pragma once
// Weight: the one currency between memory, model and compute. Format + shape + bytes; a backend may
// add a packing later without a block noticing.

#include <cstddef>
#include <cstdint>

#include "tensor/format.h"

namespace nereus {

/// A matrix [rows, cols] in its stored format. Does not own its bytes.
struct Weight {
    const Format* format = nullptr;
    int64_t rows = 0;
    int64_t cols = 0;
    const std::byte* data = nullptr;
    int64_t row_stride_bytes = 0;  ///< from one row to the next; of a panel format, one panel
    /// fp8_block128: scale of (row r, column c) is scales[((r + scale_row_offset) / 128) *
    /// scale_stride + c / 128].
    const float* scales = nullptr;
    int64_t scale_stride = 0;
    int64_t scale_row_offset = 0;

    bool empty() const { return data == nullptr; }
    StoredRow row(int64_t r) const {
        const float* s =
            scales == nullptr ? nullptr : scales + (r + scale_row_offset) / 128 * scale_stride;
        const int64_t together = format->rows_together();
        return {data + r / together * row_stride_bytes, s, r % together};
    }
    /// Rows [begin, begin + n) as a matrix of their own; begin is a whole number of panels.
    Weight slice_rows(int64_t begin, int64_t n) const {
        Weight part = *this;
        part.rows = n;
        part.data = data + begin / format->rows_together() * row_stride_bytes;
        part.scale_row_offset = scale_row_offset + begin;
        return part;
    }
    /// Bytes one full read of the matrix touches, scales included.
    int64_t n_bytes() const {
        const int64_t scale_bytes =
            scales == nullptr ? 0 : (rows + 127) / 128 * ((cols + 127) / 128) * 4;
        return format->matrix_bytes(rows, cols) + scale_bytes;
    }
};

}  // namespace nereus
