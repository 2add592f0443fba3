#pragma once
// Products of unpacked blocks on tiles of 16 rows of 64 bytes, written once for the instructions
// (amx/tiles.h) and for their software twin (tests/support/software_tiles.h), so that it runs and
// is tested on every CPU. T is a vocabulary of eight tiles:
//   T::configure(), T::release()    all tiles are 16 x 64 bytes
//   T::zero<t>()                    tile t becomes zeros
//   T::load<t>(p, stride)           row r becomes the 64 bytes at p + r * stride
//   T::dot<c, a, b>()               c[m][n] += sum over k < 64 of a[m][k] * b[k / 4][4 n + k % 4]:
//   16 x
//                                   16 sums of 32 bits, a signed and b unsigned bytes (tdpbsud)
//   T::store<t>(p, stride)          the converse of load
// and L one of lanes: kRows, Ints, Floats, broadcast, load_ints, load_floats, add, scale_add,
// store.
//
// A group of a panel, 16 rows x 4 columns, is a row of a tile of b: a block's 128 columns are two
// tiles of weights as unpack leaves them. Two tiles of activations and two panels make four tiles
// of sums, so that every loaded tile is used twice. After 128 columns the sums leave the tiles, for
// a block has its own scales; those of the strip before are scaled while the next ones are summed.

#include "compute/cpu/int8.h"

namespace nereus {
namespace {

inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileColumns = 64;
static_assert(kTileRows == kReadableRows && kTileRows == kPanelRows);
/// Rows of activations that are summed at a time, and their sums.
inline constexpr int64_t kStripRows = 2 * kTileRows;

/// Tiles 0 to 3 are sums, 4 and 5 activations, 6 and 7 weights.
template <class T, int kX, int kPanels>
void sum_strip(const int8_t* x, const uint8_t* weights, int32_t* sums) {
    constexpr int64_t kSumBytes = kOutColumns * 4;
    T::template zero<0>();
    if constexpr (kPanels > 1) {
        T::template zero<1>();
    }
    if constexpr (kX > 1) {
        T::template zero<2>();
    }
    if constexpr (kX > 1 && kPanels > 1) {
        T::template zero<3>();
    }
    for (int64_t column = 0; column < kPanelColumns; column += kTileColumns) {
        T::template load<4>(x + column, kPanelColumns);
        T::template load<6>(weights + column * kPanelRows, kTileColumns);
        T::template dot<0, 4, 6>();
        if constexpr (kPanels > 1) {
            T::template load<7>(weights + kUnpackedBytes + column * kPanelRows, kTileColumns);
            T::template dot<1, 4, 7>();
        }
        if constexpr (kX > 1) {
            T::template load<5>(x + kTileRows * kPanelColumns + column, kPanelColumns);
            T::template dot<2, 5, 6>();
        }
        if constexpr (kX > 1 && kPanels > 1) {
            T::template dot<3, 5, 7>();
        }
    }
    T::template store<0>(sums, kSumBytes);
    if constexpr (kPanels > 1) {
        T::template store<1>(sums + kPanelRows, kSumBytes);
    }
    if constexpr (kX > 1) {
        T::template store<2>(sums + kTileRows * kOutColumns, kSumBytes);
    }
    if constexpr (kX > 1 && kPanels > 1) {
        T::template store<3>(sums + kTileRows * kOutColumns + kPanelRows, kSumBytes);
    }
}

/// The sums of activations i .. i + n - 1, without the weights' bias, scaled and added to the
/// outputs.
template <class L>
void scale_strip(const BlockMultiplyArgs& args, int64_t i, int64_t n, const int32_t* sums) {
    for (int64_t t = 0; t < n; ++t) {
        const typename L::Ints bias = L::broadcast(-128 * args.x_totals[i + t]);
        float* out = args.out + (i + t) * kOutColumns;
        for (int64_t row = 0; row < args.n_panels * kPanelRows; row += L::kRows) {
            const typename L::Ints sum = L::add(L::load_ints(sums + t * kOutColumns + row), bias);
            L::store(out + row, L::scale_add(sum, L::load_floats(args.scales + row),
                                             args.x_scales[i + t], L::load_floats(out + row)));
        }
    }
}

template <class T>
void sum_strip_of(const BlockMultiplyArgs& args, int64_t i, int64_t n, int32_t* sums) {
    constexpr void (*kSums[2][2])(const int8_t*, const uint8_t*, int32_t*) = {
        {sum_strip<T, 1, 1>, sum_strip<T, 1, 2>}, {sum_strip<T, 2, 1>, sum_strip<T, 2, 2>}};
    kSums[n > kTileRows][args.n_panels > 1](args.x + i * kPanelColumns, args.weights, sums);
}

template <class T, class L>
void multiply_on_tiles(const BlockMultiplyArgs& args) {
    static_assert(kPanelsTogether == 2);
    alignas(64) int32_t sums[2][kStripRows * kOutColumns];
    int64_t before = 0;
    for (int64_t i = 0; i < args.n_x; i += kStripRows) {
        const int64_t left = args.n_x - i;
        sum_strip_of<T>(args, i, left, sums[i / kStripRows % 2]);
        if (i > 0) {
            scale_strip<L>(args, before, kStripRows, sums[before / kStripRows % 2]);
        }
        before = i;
    }
    scale_strip<L>(args, before, args.n_x - before, sums[before / kStripRows % 2]);
}

}  // namespace
}  // namespace nereus
