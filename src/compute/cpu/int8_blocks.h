#pragma once
// Integer kernels of GGUF's block formats: activations as int8 in the same blocks, and what a
// kernel table provides for them. The arithmetic is llama.cpp's (ggml-cpu/quants.c and
// ggml-quants.c: quantize_row_q8_0, _q8_1, _q8_K and the ggml_vec_dot functions), with an order of
// sums of our own.
//
// Rounding of a row of activations, the same bits in every table. Per block of 32 or 256 columns:
//   largest = max |x|;  inverse = 127 / largest;  x8 = nearest even(x * inverse)
//   32:   scale = f16(largest / 127);  offset = f16(largest / 127 * sum of x8)
//   256:  scale = 1 / inverse;         sums of 16 columns each
// All are 0 where largest < 2^-121 (inverse would be infinite). Where a number is not finite, scale
// and offset are NaN and x8 is 0.
// (llama.cpp takes -127 over the number of the largest magnitude for blocks of 256: scale and x8
// then change their signs together, which no product sees.)
//
// A dot product, the same bits in every table. Eight lanes of floats; q are a block's signed codes:
//   blocks of 32    lane j = fma(float(q . x8 of columns 4j .. 4j+3), d * scale, lane j), block
//                   after block; a format with a minimum m then adds it: lane 0 = fma(m, offset,
//                   lane 0)
//   blocks of 256   lane j = fma(float(S_j), d * scale, lane j), where S_j is the sum over the
//   eight
//                   runs k of 32 columns of factor * (q . x8 of columns 32 k + 4j .. 4j+3), factor
//                   being the run's or half run's integer; a format with minima then takes them
//                   off: lane j = fma(-float(M_j), dmin * scale, lane j), where M_j is the sum of
//                   minimum * (sum of x8) over columns 32 j .. 32 j + 31
// d * scale is one rounded product; integers are exact. At the end lanes are added as a tree:
// l[i] + l[i+4], then +2, +1.

#include <cstdint>

#include "compute/cpu/int8.h"
#include "compute/cpu/kernels.h"

namespace nereus {

/// Below it a block of activations is zeros.
inline constexpr float kLargestMin = 0x1p-121F;

inline constexpr int64_t kRunColumns = 32;
inline constexpr int64_t kChunkColumns = 256;  ///< also the columns of a large block
inline constexpr int64_t kChunkRuns = kChunkColumns / kRunColumns;

/// Rows first .. first + n - 1 of a matrix against rows x_first .. x_first + n_x - 1 of x.
struct BlockDotArgs {
    StoredRows rows;
    int64_t first = 0;
    int64_t n = 0;
    const Int8Rows* x = nullptr;
    int64_t x_first = 0;
    int64_t n_x = 0;
    float* out = nullptr;  ///< out[t * out_stride + r], both from 0
    int64_t out_stride = 0;
};

/// What a table provides for block formats; taken as a whole from the next slower table.
struct BlockKernels {
    /// Rounds row `row` of x (n columns) into `out`, in blocks of 32 and of 256.
    void (*round_row_32)(const float* x, int64_t n, int64_t row, const Int8Rows& out);
    void (*round_row_256)(const float* x, int64_t n, int64_t row, const Int8Rows& out);
    /// Products by format; null where activations stay floats.
    void (*dot[kFormatCount])(const BlockDotArgs& args);
    int64_t rows_together;  ///< rows a kernel has in flight; pieces are multiples
};

}  // namespace nereus
