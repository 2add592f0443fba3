#pragma once
// The integer kernels of latent attention over int8 rows (compute/kv_rows.h). Their order of
// operations, the same bits in every table:
//   keys     score = fma(float(sum of w8 * x8), row's scale * x's scale, score), blocks of columns
//            in order, from 0
//   weights  a row's softmax weight times its scale of a block of columns becomes two 7-bit digits:
//              v = p * scale;  largest = max v over the page's rows;  unit = largest / 16256
//              q = nearest even(v * (16256 / largest));  high = q >> 7;  low = q & 127
//   values   out = fma(float(sum of high * w8), 128 * unit, out), then the same with low and unit:
//            pages in order
// A sum never leaves 24 bits, so that it is exact as a float too. The shapes are those of a matrix
// unit's tiles: 16 rows or columns of the cache by 64 or 128 by as many x as there are.

#include <cstdint>

namespace nereus {

/// Panels against x: out[i * out_stride + 16 p + r] (+)= float(sum) * (scales[16 p + r] * x scale).
struct LatentProductArgs {
    const uint8_t* panels = nullptr;  ///< [n_panels][n_groups][16][4]
    int64_t panel_stride = 0;         ///< bytes from one panel to the next
    int64_t n_panels = 0;
    int64_t n_groups = 0;           ///< of four columns, at most 32
    const float* scales = nullptr;  ///< [n_panels * 16]
    const int8_t* x = nullptr;      ///< [n_x, 128]
    const float* x_scales = nullptr;
    const int32_t* x_totals = nullptr;  ///< keys only
    int64_t n_x = 0;
    float* out = nullptr;
    int64_t out_stride = 0;
    bool add = false;  ///< to what is in out, else to 0
};

/// Weights of the rows of a page for one block of columns.
struct RoundWeightsArgs {
    const float* weights = nullptr;  ///< [n]
    const float* scales = nullptr;   ///< [n]
    int64_t n = 0;                   ///< 1 .. 128
    int8_t* high = nullptr;          ///< [128], zeros from n on
    int8_t* low = nullptr;
    float* unit = nullptr;
};

inline constexpr float kWeightLevels = 16256.0F;  ///< 127 * 128
/// A largest weight below this counts as 0: its inverse would not be finite.
inline constexpr float kWeightSmallest = 0x1p-100F;

struct LatentKernels {
    /// Panels hold w8 + 128 of 16 rows, x is -127 .. 127.
    void (*keys)(const LatentProductArgs& args);
    /// Panels hold w8 of 16 columns and four rows a group, x is 0 .. 127.
    void (*values)(const LatentProductArgs& args);
    /// Panels of keys [n_panels][n_columns / 4][16 rows][4 columns], w8 + 128, to panels of values
    /// [n_columns / 16][32][16 columns][4 rows], w8. n_columns is a multiple of 64.
    void (*turn)(const uint8_t* keys, int64_t n_panels, int64_t n_columns, uint8_t* values);
    void (*round_weights)(const RoundWeightsArgs& args);
};

}  // namespace nereus
