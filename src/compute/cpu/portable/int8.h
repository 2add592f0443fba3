#pragma once
// The integer kernels as they are defined: every other table gives these bits.

#include "compute/cpu/int8.h"
#include "tensor/format.h"

namespace nereus {
namespace {

template <bool kTurned>
void portable_round_row(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < out.n_blocks; ++block) {
        const int64_t at = block * out.n_rows + row;
        const int64_t begin = block * kPanelColumns;
        const int64_t length = n - begin < kPanelColumns ? n - begin : kPanelColumns;
        float turned[kPanelColumns];
        for (int64_t c = 0; c < kPanelColumns; ++c) {
            turned[c] = c < length ? x[begin + c] : 0.0F;
        }
        if constexpr (kTurned) {
            turn_block(turned);
        }
        float largest = 0.0F;
        for (const float value : turned) {
            const float magnitude = __builtin_fabsf(value);
            largest = magnitude > largest ? magnitude : largest;
        }
        const float inverse = largest == 0.0F ? 0.0F : 127.0F / largest;
        out.scales[at] = largest / (127.0F * (kTurned ? kTurnedActivation : 1.0F));
        out.totals[at] = 0;
        int16_t* sums = out.sums + at * kSumsPerBlock;
        for (int64_t i = 0; i < kSumsPerBlock; ++i) {
            sums[i] = 0;
        }
        for (int64_t c = 0; c < kPanelColumns; ++c) {
            const float value = __builtin_nearbyintf(turned[c] * inverse);
            // A NaN or infinity must not be undefined behaviour; its scale makes the result one.
            const auto x8 = static_cast<int8_t>(__builtin_fabsf(value) <= 127.0F ? value : 0.0F);
            out.values[at * kPanelColumns + c] = x8;
            int16_t& of_16 = sums[c / kSumColumns];
            int16_t& of_32 = sums[kSumsOf16 + c / (2 * kSumColumns)];
            of_16 = static_cast<int16_t>(of_16 + x8);
            of_32 = static_cast<int16_t>(of_32 + x8);
            out.totals[at] += x8;
        }
    }
}

template <int kFormat>
void portable_dot(const PanelDotArgs& args) {
    const PanelFormat& format = *format_of(kPanelFormats[kFormat]).panel;
    int8_t weights[kPanelRows * kPanelColumns];
    float scales[kPanelRows];
    for (int64_t i = 0; i < args.n * kPanelRows; ++i) {
        args.out[i] = 0.0F;
    }
    const Int8Rows& x = *args.x;
    for (int64_t block = 0; block < x.n_blocks; ++block) {
        format.unpack(reinterpret_cast<const std::byte*>(args.panel) + block * format.block_bytes,
                      weights, scales);
        for (int64_t i = 0; i < args.n; ++i) {
            const int64_t at = block * x.n_rows + args.first + i;
            for (int64_t r = 0; r < kPanelRows; ++r) {
                int32_t sum = 0;
                for (int64_t c = 0; c < kPanelColumns; ++c) {
                    sum += weights[r * kPanelColumns + c] * x.values[at * kPanelColumns + c];
                }
                float& out = args.out[i * kPanelRows + r];
                out = __builtin_fmaf(static_cast<float>(sum), scales[r] * x.scales[at], out);
            }
        }
    }
}

inline constexpr Int8Kernels kPortableInt8{.round_row = portable_round_row<false>,
                                           .round_turned_row = portable_round_row<true>,
                                           .formats = {{portable_dot<0>, nullptr, nullptr, 0},
                                                       {portable_dot<1>, nullptr, nullptr, 0},
                                                       {portable_dot<2>, nullptr, nullptr, 0}},
                                           .begin = nullptr,
                                           .end = nullptr,
                                           .direct_rows_max = 8};

}  // namespace
}  // namespace nereus
