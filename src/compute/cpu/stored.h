#pragma once
// From a Weight to what kernels take, and float copies of stored rows.

#include "compute/cpu/kernels.h"
#include "compute/weight.h"

namespace nereus {

inline StoredRows stored_rows(const Weight& weight) {
    return {.data = reinterpret_cast<const unsigned char*>(weight.data),
            .stride_bytes = weight.row_stride_bytes,
            .cols = weight.cols,
            .scales = weight.scales,
            .scale_stride = weight.scale_stride,
            .scale_row_offset = weight.scale_row_offset};
}

/// Columns [begin, begin + n) as a matrix of their own. begin and n are whole blocks of the format,
/// and begin a multiple of 128 for fp8_block128.
inline Weight slice_columns(const Weight& weight, int64_t begin, int64_t n) {
    Weight part = weight;
    part.cols = n;
    part.data = weight.data + weight.format->row_bytes(begin);
    part.scales = weight.scales == nullptr ? nullptr : weight.scales + begin / 128;
    return part;
}

inline const FormatKernels& format_kernels(const KernelTable& kernels, const Weight& weight) {
    return kernels.formats[static_cast<int>(weight.format->id)];
}

/// Rows [first, first + n) as floats: by the table's kernel, else by the format's definition.
inline void decode_rows(const KernelTable& kernels, const Weight& weight, int64_t first, int64_t n,
                        float* out, int64_t out_stride) {
    const FormatKernels& format = format_kernels(kernels, weight);
    if (format.decode_rows != nullptr) {
        format.decode_rows(stored_rows(weight), first, n, out, out_stride);
        return;
    }
    for (int64_t r = 0; r < n; ++r) {
        weight.format->decode_row(weight.row(first + r), weight.cols, out + r * out_stride);
    }
}

}  // namespace nereus
