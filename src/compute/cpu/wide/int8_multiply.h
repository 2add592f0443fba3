#pragma once
// Products of unpacked blocks with many rows of activations, for integer lanes I that multiply four
// unsigned by four signed bytes exactly (vpdpbusd). Weights are w8 + 128 in panel order. Beside the
// vocabulary of int8_panels.h:
//   I::kTileRegisters, kTileTokens   registers of weights and rows of activations of a tile; their
//                                    product is the number of accumulators

#include "compute/cpu/int8.h"
#include "compute/cpu/wide/repeat.h"

namespace nereus {
namespace {

/// Activations i .. i+T-1 against P registers of weights; the first register begins a panel.
template <typename I, int P, int T>
__attribute__((noinline)) void multiply_tile(const BlockMultiplyArgs& args, int64_t panel,
                                             int64_t i) {
    constexpr int kParts = static_cast<int>(kPanelRows) / I::kRows;
    constexpr int64_t kGroupBytes = kPanelRows * kPanelGroup;
    const int8_t* x = args.x + i * kPanelColumns;
    const uint8_t* weights = args.weights + panel * kUnpackedBytes;
    typename I::Ints sums[P * T];
    repeat<T>([&](auto t) __attribute__((always_inline)) {
        const auto start = I::start_bytes(args.x_totals[i + t.value]);
        repeat<P>([&](auto p)
                      __attribute__((always_inline)) { sums[t.value * P + p.value] = start; });
    });
    for (int64_t group = 0; group < kPanelColumns / kPanelGroup; ++group) {
        typename I::Codes w[P];
        repeat<P>([&](auto p) __attribute__((always_inline)) {
            constexpr int64_t kPart = p.value % kParts * I::kRows * kPanelGroup;
            w[p.value] = I::load_codes(weights + p.value / kParts * kUnpackedBytes + kPart);
        });
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            const auto four = I::broadcast_four(x + t.value * kPanelColumns);
            repeat<P>([&](auto p) __attribute__((always_inline)) {
                typename I::Ints& sum = sums[t.value * P + p.value];
                sum = I::add_bytes(sum, w[p.value], four);
            });
        });
        weights += kGroupBytes;
        x += kPanelGroup;
    }
    float* out = args.out + i * kOutColumns + panel * kPanelRows;
    const float* scales = args.scales + panel * kPanelRows;
    const float* x_scales = args.x_scales + i;
    repeat<P>([&](auto p) __attribute__((always_inline)) {
        const typename I::Floats scale = I::load_floats(scales + p.value * I::kRows);
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            float* at = out + t.value * kOutColumns + p.value * I::kRows;
            I::store(at, I::scale_add(sums[t.value * P + p.value], scale, x_scales[t.value],
                                      I::load_floats(at)));
        });
    });
}

template <typename I, int P, int T>
void multiply_tile_of(const BlockMultiplyArgs& args, int64_t panel, int64_t i, int64_t n) {
    if constexpr (T > 0) {
        if (n == T) {
            multiply_tile<I, P, T>(args, panel, i);
        } else {
            multiply_tile_of<I, P, T - 1>(args, panel, i, n);
        }
    }
}

/// run(i, n) for equal parts of at most `most` of n_x rows (13 becomes 7 + 6, not 12 + 1).
template <typename Run>
inline void in_equal_parts(int64_t n_x, int64_t most, const Run& run) {
    for (int64_t i = 0; i < n_x;) {
        const int64_t left = n_x - i;
        const int64_t parts = (left + most - 1) / most;
        const int64_t n = (left + parts - 1) / parts;
        run(i, n);
        i += n;
    }
}

template <typename I>
void multiply_block(const BlockMultiplyArgs& args) {
    constexpr int64_t kTogether = I::kTileRegisters * I::kRows / kPanelRows;
    for (int64_t panel = 0; panel < args.n_panels; panel += kTogether) {
        in_equal_parts(args.n_x, I::kTileTokens, [&](int64_t i, int64_t n) {
            if (args.n_panels - panel >= kTogether) {
                multiply_tile_of<I, I::kTileRegisters, I::kTileTokens>(args, panel, i, n);
            } else if constexpr (kTogether > 1) {
                multiply_tile_of<I, 1, I::kTileTokens>(args, panel, i, n);
            }
        });
    }
}

}  // namespace
}  // namespace nereus
