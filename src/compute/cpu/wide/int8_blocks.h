#pragma once
// Products of block formats with int8 activations, for any vocabulary of byte registers
// (bytes256.h) and the formats of int8_blocks_of_32.h and int8_blocks_of_256.h. The order of sums
// is stated in compute/cpu/int8_blocks.h.

#include "compute/cpu/int8_blocks.h"
#include "compute/cpu/wide/int8_blocks_of_256.h"
#include "compute/cpu/wide/int8_blocks_of_32.h"
#include "compute/cpu/wide/repeat.h"

namespace nereus {
namespace {

/// Block `block` of T rows of activations.
template <class F>
struct BlockOfX {
    const int8_t* values;
    const float* scales;
    const float* offsets;
    const int16_t* sums;
    BlockOfX(const Int8Rows& x, int64_t block, int64_t row) {
        const int64_t at = block * x.n_rows + row;
        values = x.values + at * F::kColumns;
        scales = x.scales + at;
        offsets = x.offsets + at;
        sums = x.sums_16 + at * 16;
    }
};

/// One block of 32 of R rows against T activation rows.
template <class I, class F, int R, int T>
__attribute__((always_inline)) inline void add_small_block(const unsigned char* const* p,
                                                           const BlockOfX<F>& x,
                                                           typename I::Floats* sums) {
    typename I::Codes column[T];
    typename I::Sums bias[T];
    repeat<T>([&](auto t) __attribute__((always_inline)) {
        column[t.value] = I::load(x.values + t.value * F::kColumns);
        bias[t.value] = I::template bias<F::kBias>(column[t.value]);
    });
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        const typename I::Codes codes = F::codes(p[r.value]);
        const typename I::Floats d = F::scale(p[r.value]);
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            typename I::Floats& sum = sums[r.value * T + t.value];
            sum = I::float_add(
                I::finish(I::template dot<F::kWide>(bias[t.value], codes, column[t.value])), d,
                x.scales + t.value, sum);
            if constexpr (F::kMinimum) {
                sum = I::fma(F::minimum(p[r.value]), I::first_lane(x.offsets + t.value), sum);
            }
        });
    });
}

/// One run of 32 columns of R blocks of 256; calls itself for the next.
template <class I, class F, int R, int T, int G>
__attribute__((always_inline)) inline void add_runs(const typename F::Block* blocks,
                                                    const int8_t* x, typename I::Ints* totals) {
    if constexpr (G < kChunkRuns) {
        typename I::Codes column[T];
        typename I::Sums bias[T];
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            column[t.value] = I::load(x + t.value * F::kColumns + G * kRunColumns);
            bias[t.value] = I::template bias<F::kBias>(column[t.value]);
        });
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            const typename I::Codes codes = F::template codes<G>(blocks[r.value]);
            const typename I::Ints factors = F::template factors<G>(blocks[r.value]);
            repeat<T>([&](auto t) __attribute__((always_inline)) {
                typename I::Ints& total = totals[r.value * T + t.value];
                total = I::scale_add(
                    total, I::template dot<false>(bias[t.value], codes, column[t.value]), factors);
            });
        });
        add_runs<I, F, R, T, G + 1>(blocks, x, totals);
    }
}

template <class I, class F, int R, int T>
__attribute__((always_inline)) inline void add_large_block(const unsigned char* const* p,
                                                           const BlockOfX<F>& x,
                                                           typename I::Floats* sums) {
    typename F::Block blocks[R];
    typename I::Ints totals[R * T];
    repeat<R>([&](auto r) __attribute__((always_inline)) { F::open(p[r.value], blocks[r.value]); });
    repeat<R * T>([&](auto i) __attribute__((always_inline)) { totals[i.value] = I::zero(); });
    add_runs<I, F, R, T, 0>(blocks, x.values, totals);
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            typename I::Floats& sum = sums[r.value * T + t.value];
            sum = I::float_add(totals[r.value * T + t.value], blocks[r.value].d, x.scales + t.value,
                               sum);
            if constexpr (F::kMinima) {
                sum = I::float_subtract(
                    I::multiply_pairs(blocks[r.value].minima, x.sums + t.value * 16),
                    blocks[r.value].d_min, x.scales + t.value, sum);
            }
        });
    });
}

/// R rows from `row` on against T activation rows from x_row on (both counted from 0).
template <class I, class F, int R, int T>
__attribute__((noinline)) void dot_tile(const BlockDotArgs& args, int64_t row, int64_t x_row) {
    const int64_t stride = args.rows.stride_bytes;
    const unsigned char* data = args.rows.data + (args.first + row) * stride;
    typename I::Floats sums[R * T];
    repeat<R * T>([&](auto i) __attribute__((always_inline)) { sums[i.value] = I::zero_floats(); });
    const int64_t n_blocks = args.x->n_blocks;
    for (int64_t b = 0; b < n_blocks; ++b, data += F::kBytes) {
        const unsigned char* p[R];
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            p[r.value] = data + r.value * stride;
            prefetch(p[r.value] + R * stride, F::kBytes);
        });
        const BlockOfX<F> x(*args.x, b, args.x_first + x_row);
        if constexpr (F::kColumns == kRunColumns) {
            add_small_block<I, F, R, T>(p, x, sums);
        } else {
            add_large_block<I, F, R, T>(p, x, sums);
        }
    }
    float* out = args.out + x_row * args.out_stride + row;
    repeat<R>([&](auto r) __attribute__((always_inline)) {
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            out[t.value * args.out_stride + r.value] = I::add_lanes(sums[r.value * T + t.value]);
        });
    });
}

/// All rows against T activation rows.
template <class I, class F, int T>
void dot_columns(const BlockDotArgs& args, int64_t x_row) {
    constexpr int kRows = I::rows_in_flight(T) < F::kRowsMax ? I::rows_in_flight(T) : F::kRowsMax;
    int64_t row = 0;
    for (; row + kRows <= args.n; row += kRows) {
        dot_tile<I, F, kRows, T>(args, row, x_row);
    }
    for (; row < args.n; ++row) {
        dot_tile<I, F, 1, T>(args, row, x_row);
    }
}

template <class I, class F>
void dot_blocks(const BlockDotArgs& args) {
    int64_t t = 0;
    for (; t + 4 <= args.n_x; t += 4) {
        dot_columns<I, F, 4>(args, t);
    }
    for (; t + 2 <= args.n_x; t += 2) {
        dot_columns<I, F, 2>(args, t);
    }
    if (t < args.n_x) {
        dot_columns<I, F, 1>(args, t);
    }
}

/// 127 / largest and what else a block of n columns is rounded by.
template <class I>
struct BlockRounding {
    float largest = 0.0F;
    float inverse = 0.0F;
    bool finite;
    BlockRounding(const float* x, int64_t n) {
        __m256i bits = _mm256_setzero_si256();
        for (int64_t c = 0; c < n; c += 8) {
            bits = I::larger_bits(x + c, bits);
        }
        const uint32_t top = I::largest_lane(bits);
        finite = top < 0x7f800000U;
        if (finite && float_of_bits(top) >= kLargestMin) {
            largest = float_of_bits(top);
            inverse = 127.0F / largest;
        }
    }
    typename I::Codes round(const float* x) const {
        return largest == 0.0F ? _mm256_setzero_si256() : I::round32(x, inverse);
    }
};

inline float to_f16_and_back(float value) {
    return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
}

template <class I>
void round_row_32(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < n / kRunColumns; ++block, x += kRunColumns) {
        const int64_t at = block * out.n_rows + row;
        const BlockRounding<I> rounding(x, kRunColumns);
        const typename I::Codes rounded = rounding.round(x);
        I::store(out.values + at * kRunColumns, rounded);
        const auto sums = I::sums_of_halves(rounded);
        const float scale = rounding.finite ? rounding.largest / 127.0F : __builtin_nanf("");
        out.scales[at] = to_f16_and_back(scale);
        out.offsets[at] = to_f16_and_back(scale * static_cast<float>(sums.low + sums.high));
    }
}

template <class I>
void round_row_256(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < n / kChunkColumns; ++block, x += kChunkColumns) {
        const int64_t at = block * out.n_rows + row;
        const BlockRounding<I> rounding(x, kChunkColumns);
        for (int64_t run = 0; run < kChunkRuns; ++run) {
            const typename I::Codes rounded = rounding.round(x + run * kRunColumns);
            I::store(out.values + at * kChunkColumns + run * kRunColumns, rounded);
            const auto sums = I::sums_of_halves(rounded);
            out.sums_16[at * 16 + 2 * run] = static_cast<int16_t>(sums.low);
            out.sums_16[at * 16 + 2 * run + 1] = static_cast<int16_t>(sums.high);
        }
        out.scales[at] = !rounding.finite           ? __builtin_nanf("")
                         : rounding.largest == 0.0F ? 0.0F
                                                    : 1.0F / rounding.inverse;
    }
}

template <class I>
constexpr BlockKernels wide_blocks() {
    BlockKernels kernels{};
    kernels.round_row_32 = round_row_32<I>;
    kernels.round_row_256 = round_row_256<I>;
    const auto add = [&kernels]<class F>(FormatId id, F /*format*/) {
        kernels.dot[static_cast<int>(id)] = dot_blocks<I, F>;
    };
    add(FormatId::kQ8_0, Q8_0Codes<I>{});
    add(FormatId::kQ4_0, Q4_0Codes<I>{});
    add(FormatId::kQ4_1, Q4_1Codes<I>{});
    add(FormatId::kQ5_0, Q5_0Codes<I>{});
    add(FormatId::kQ5_1, Q5_1Codes<I>{});
    add(FormatId::kIq4Nl, Iq4NlCodes<I>{});
    add(FormatId::kMxfp4, Mxfp4Codes<I>{});
    add(FormatId::kQ2K, Q2KCodes<I>{});
    add(FormatId::kQ3K, Q3KCodes<I>{});
    add(FormatId::kQ4K, Q4KCodes<I>{});
    add(FormatId::kQ5K, Q5KCodes<I>{});
    add(FormatId::kQ6K, Q6KCodes<I>{});
    add(FormatId::kIq2Xxs, Iq2XxsCodes<I>{});
    kernels.rows_together = I::rows_in_flight(1);
    return kernels;
}

}  // namespace
}  // namespace nereus
