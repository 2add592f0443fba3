#pragma once
// The integer kernels of latent attention over int8 rows (compute/kv_rows.h). Their order of
// operations, the same bits in every table:
//   keys     score = fma(float(sum of w8 * x8), row's scale * x's scale, score), blocks of columns
//            in order, from 0
//   weights  v = p * scale, a row's softmax weight times its scale of a block of columns, becomes
//            7-bit digits. With largest = max v over the page's rows:
//              where the page's largest p is above 1/32 of the sum of the span's p: two digits,
//                q = nearest even(v * (16256 / largest));  high = q >> 7;  low = q & 127
//              else one, as half a unit is below 1/8000 of that sum; the dither keeps the sum of
//              many weights that are smaller than a unit:
//                low = nearest even(v * (127 / largest) + dither of the row);  high = 0
//   values   out = fma(float(sum of low * w8), unit, out), then where there are two digits the same
//            with high and 128 * unit: pages in order;  unit = largest / 16256 or 127
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
    const int32_t* out_rows = nullptr;  ///< [n_x]: the rows of out; null: 0, 1, ...
    bool add = false;                   ///< to what is in out, else to 0
};

/// Weights of the rows of a page for one block of columns.
struct RoundWeightsArgs {
    const float* weights = nullptr;  ///< [n]
    const float* scales = nullptr;   ///< [n]
    int64_t n = 0;                   ///< 1 .. 128
    float one_digit_max = 0.0F;      ///< weights up to this make do with one digit
    int8_t* high = nullptr;          ///< [128], zeros from n on
    int8_t* low = nullptr;
    float* unit = nullptr;
};

inline constexpr float kDigitLevels = 127.0F;
inline constexpr float kWeightLevels = 128 * kDigitLevels;
inline constexpr float kOneDigitShare = 1.0F / 32;
/// A largest weight below this counts as 0: its inverse would not be finite.
inline constexpr float kWeightSmallest = 0x1p-100F;

/// Of row r of a page, in (-0.5, 0.5): the bits of r in reverse, so that neighbours differ most.
struct WeightDither {
    float of_row[128] = {};
    constexpr WeightDither() {
        for (int r = 0; r < 128; ++r) {
            int reversed = 0;
            for (int bit = 0; bit < 7; ++bit) {
                reversed |= ((r >> bit) & 1) << (6 - bit);
            }
            of_row[r] = (static_cast<float>(reversed) + 0.5F) / 128.0F - 0.5F;
        }
    }
};
// static: kernel files export no weak symbol.
static constexpr WeightDither kWeightDither;

struct LatentKernels {
    /// Panels hold w8 + 128 of 16 rows, x is -127 .. 127.
    void (*keys)(const LatentProductArgs& args);
    /// Panels hold w8 of 16 columns and four rows a group, x is 0 .. 127.
    void (*values)(const LatentProductArgs& args);
    /// Panels of keys [n_panels][n_columns / 4][16 rows][4 columns], w8 + 128, to panels of values
    /// [n_columns / 16][32][16 columns][4 rows], w8. n_columns is a multiple of 64.
    void (*turn)(const uint8_t* keys, int64_t n_panels, int64_t n_columns, uint8_t* values);
    /// Returns whether there are two digits.
    bool (*round_weights)(const RoundWeightsArgs& args);
};

}  // namespace nereus
