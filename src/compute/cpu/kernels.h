#pragma once
// KernelTable: what an instruction set provides, as plain functions on plain data. One table a
// folder (portable/, avx2/, avx512/); a null entry is taken from the next slower table (isa.cpp).
//
// Every entry computes the bits that the portable one computes: the orders of summation are stated
// in compute/backend.h, and each function here says what is fused. Kernel files include only
// intrinsics and headers like this one, and export one symbol: code compiled for a newer CPU must
// not be picked by the linker for an older one.

#include <cstdint>

#include "tensor/format.h"

namespace nereus {

/// Rows of a stored matrix. A row is `cols` numbers, whole blocks of its format.
struct StoredRows {
    const unsigned char* data = nullptr;
    int64_t stride_bytes = 0;
    int64_t cols = 0;
    /// fp8_block128 only; as in Weight.
    const float* scales = nullptr;
    int64_t scale_stride = 0;
    int64_t scale_row_offset = 0;
};

/// out[t * out_stride + r] = dot(row r, x t): all dot products of two sets of float rows.
struct ProductArgs {
    const float* rows = nullptr;
    int64_t row_stride = 0;
    int64_t n_rows = 0;
    const float* x = nullptr;
    int64_t x_stride = 0;
    int64_t n_x = 0;
    int64_t n_cols = 0;
    float* out = nullptr;
    int64_t out_stride = 0;
};

/// out[i, c] = fma(coefficients[i, r], rows[r, c], out[i, c]) for r = 0, 1, ... in order.
struct AccumulateArgs {
    const float* rows = nullptr;
    int64_t row_stride = 0;
    int64_t n_rows = 0;
    const float* coefficients = nullptr;
    int64_t coefficient_stride = 0;
    int64_t n_out = 0;
    float* out = nullptr;
    int64_t out_stride = 0;
    int64_t n_cols = 0;
};

/// Kernels of one number format; either may be null.
struct FormatKernels {
    /// out[r] = dot(row first + r, x), r < n: the decode path, weights decoded in registers.
    void (*dot_rows)(const StoredRows& rows, int64_t first, int64_t n, const float* x, float* out);
    /// out[r * out_stride + c] = number c of row first + r, exactly as format.decode_row has it.
    void (*decode_rows)(const StoredRows& rows, int64_t first, int64_t n, float* out,
                        int64_t out_stride);
};

struct Int8Kernels;
struct BlockKernels;
struct LatentKernels;

inline constexpr int kFormatCount = static_cast<int>(FormatId::kCount);

struct KernelTable {
    const char* name;
    FormatKernels formats[kFormatCount];
    void (*products)(const ProductArgs& args);
    void (*accumulate)(const AccumulateArgs& args);
    /// out[i] = exp(x[i]) as math.h computes it; out may be x.
    void (*exp_row)(const float* x, int64_t n, float* out);
    /// scores[i] = exp(scores[i] * scale - max_i(scores[i] * scale)), each operation rounded.
    /// Returns their sum: lane i % 16 adds in order, lanes as a tree. highest: the maximum of
    /// scores[i] * scale.
    float (*softmax_row)(float* scores, int64_t n, float scale, float* highest);
    /// out = (x / sqrt(sum(x*x) / n + eps)) * gain: the sum is a dot product, the rest is rounded
    /// operation by operation. out may be x.
    void (*rms_norm_row)(const float* x, const float* gain, float eps, int64_t n, float* out);
    /// out = (gate / (1 + exp(-gate))) * up. out may be gate.
    void (*swiglu_row)(const float* gate, const float* up, int64_t n, float* out);
    /// Products of panel formats (int8.h).
    const Int8Kernels* int8;
    /// Products of block formats with int8 activations (int8_blocks.h).
    const BlockKernels* blocks;
    /// Latent attention over int8 rows (latent_kernels.h).
    const LatentKernels* latent;
};

extern const KernelTable kPortableKernels;
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512Kernels;
extern const KernelTable kAvx512VnniKernels;

}  // namespace nereus
