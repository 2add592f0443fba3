#pragma once
// Integer dot products of panels with activations, for any vocabulary I of integer lanes:
//   I::kRows                 rows of a register, 16 or 8 (a panel is 16 / kRows parts)
//   I::Codes                 kRows rows of four bytes each
//   I::Ints, I::Floats       one 32-bit lane a row
//   I::Run                   sums of a run of columns with small codes, finished by I::finish
// Lanes are rows: a broadcast of four activations meets four columns of every row.

#include "compute/cpu/int8.h"
#include "compute/cpu/wide/repeat.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

/// Where part `part` of the rows lies in a chunk.
template <typename I>
constexpr int64_t part_bytes(int part) {
    return int64_t{part} * I::kRows * kPanelGroup;
}

/// Groups kGroup and up of a chunk of codes against T rows of activations from column on.
template <typename I, int kBits, int T, int kGroup>
__attribute__((always_inline)) inline void add_chunk(typename I::Codes raw, const int8_t* x,
                                                     typename I::Run* runs) {
    if constexpr (kGroup < 8 / kBits) {
        const typename I::Codes codes = I::template field<kBits, kGroup>(raw);
        for (int t = 0; t < T; ++t) {
            runs[t] = I::add(runs[t], codes,
                             I::broadcast_bytes(x + t * kPanelColumns + kGroup * kPanelGroup));
        }
        add_chunk<I, kBits, T, kGroup + 1>(raw, x, runs);
    }
}

/// One block of codes below 8 bits: total[t] = sum of w8 * x8 by row.
template <typename I, int kBits, int kColumns, int T>
__attribute__((always_inline)) inline void sum_block(const unsigned char* block, int part,
                                                     const int8_t* x, const int32_t* sums,
                                                     typename I::Ints* totals) {
    using Layout = CodeLayout<kBits, kColumns>;
    constexpr int kChunkColumns = Layout::kGroupsPerChunk * kPanelGroup;
    constexpr int kSumsPerRun = kColumns / kSumColumns;
    for (int t = 0; t < T; ++t) {
        totals[t] = I::zero();
    }
    for (int run = 0; run < Layout::kRuns; ++run) {
        typename I::Run runs[T];
        for (int t = 0; t < T; ++t) {
            runs[t] = I::start();
        }
        const int64_t column = int64_t{run} * kColumns;
        for (int chunk = 0; chunk < kColumns / kChunkColumns; ++chunk) {
            const int64_t at = column / kChunkColumns + chunk;
            const typename I::Codes raw = I::load_codes(
                block + Layout::kCodes + at * Layout::kChunkBytes + part_bytes<I>(part));
            add_chunk<I, kBits, T, 0>(raw, x + column + chunk * kChunkColumns, runs);
        }
        const int64_t first = int64_t{run} * kPanelRows + part * I::kRows;
        const typename I::Ints step = I::load_steps(block + Layout::kSteps + first / 2);
        const typename I::Ints offset = I::load_offsets(block + Layout::kOffsets + first);
        for (int t = 0; t < T; ++t) {
            int32_t sum = 0;
            for (int i = 0; i < kSumsPerRun; ++i) {
                sum += sums[t * kSumsPerBlock + run * kSumsPerRun + i];
            }
            totals[t] = I::multiply_add(step, I::finish(runs[t]), totals[t]);
            totals[t] = I::multiply_add(offset, I::broadcast(sum), totals[t]);
        }
    }
}

/// One block of q8.
template <typename I, int T>
__attribute__((always_inline)) inline void sum_bytes(const unsigned char* block, int part,
                                                     const int8_t* x, const int32_t* x_totals,
                                                     typename I::Ints* totals) {
    for (int t = 0; t < T; ++t) {
        totals[t] = I::start_bytes(x_totals[t]);
    }
    const unsigned char* codes = block + 2 * kPanelRows + part_bytes<I>(part);
    for (int group = 0; group < kPanelColumns / kPanelGroup; ++group) {
        const typename I::Codes bytes =
            I::load_codes(codes + int64_t{group} * kPanelRows * kPanelGroup);
        for (int t = 0; t < T; ++t) {
            totals[t] = I::add_bytes(
                totals[t], bytes, I::broadcast_bytes(x + t * kPanelColumns + group * kPanelGroup));
        }
    }
}

/// The formats, as what the walk over blocks asks of them.
template <int kBits, int kColumns>
struct CodeBlocks {
    static constexpr int64_t kBytes = CodeLayout<kBits, kColumns>::kBytes;
    template <typename I, int T>
    __attribute__((always_inline)) static inline void sum(const unsigned char* block, int part,
                                                          const Int8Rows& x, int64_t at,
                                                          typename I::Ints* totals) {
        sum_block<I, kBits, kColumns, T>(block, part, x.values + at * kPanelColumns,
                                         x.sums + at * kSumsPerBlock, totals);
    }
};

struct ByteBlocks {
    static constexpr int64_t kBytes = kQ8BlockBytes;
    template <typename I, int T>
    __attribute__((always_inline)) static inline void sum(const unsigned char* block, int part,
                                                          const Int8Rows& x, int64_t at,
                                                          typename I::Ints* totals) {
        sum_bytes<I, T>(block, part, x.values + at * kPanelColumns, x.totals + at, totals);
    }
};

/// Asked for ahead of use. Zen 4, share of a plain read's bandwidth on one core and huge
/// pages: 1.01 to 1.04 with 1 KB ahead, 0.7 with 4 KB or 8 KB.
inline constexpr int64_t kPrefetchBytes = 1024;

template <typename I, class F, int T>
void dot_panel(const PanelDotArgs& args) {
    constexpr int kParts = kPanelRows / I::kRows;
    const Int8Rows& x = *args.x;
    typename I::Floats sums[kParts][T];
    for (int part = 0; part < kParts; ++part) {
        for (int t = 0; t < T; ++t) {
            sums[part][t] = I::zero_floats();
        }
    }
    const unsigned char* block = args.panel;
    for (int64_t b = 0; b < x.n_blocks; ++b, block += F::kBytes) {
        for (int64_t line = 0; line < F::kBytes; line += 64) {
            __builtin_prefetch(block + kPrefetchBytes + line, 0, 2);
        }
        const int64_t at = b * x.n_rows + args.first;
        for (int part = 0; part < kParts; ++part) {
            typename I::Ints totals[T];
            F::template sum<I, T>(block, part, x, at, totals);
            const typename I::Floats scale = I::load_scales(block + 2 * part * I::kRows);
            for (int t = 0; t < T; ++t) {
                sums[part][t] = I::scale_add(totals[t], scale, x.scales[at + t], sums[part][t]);
            }
        }
    }
    for (int t = 0; t < T; ++t) {
        for (int part = 0; part < kParts; ++part) {
            I::store(args.out + t * kPanelRows + part * I::kRows, sums[part][t]);
        }
    }
}

/// dot_panel for args.n = 1 .. T.
template <typename I, class F, int T>
void dot_panel_of(const PanelDotArgs& args) {
    if constexpr (T > 0) {
        if (args.n == T) {
            dot_panel<I, F, T>(args);
        } else {
            dot_panel_of<I, F, T - 1>(args);
        }
    }
}

template <typename I>
constexpr Int8Kernels direct_int8(void (*round_row)(const float*, int64_t, int64_t,
                                                    const Int8Rows&)) {
    Int8Kernels kernels{};
    kernels.round_row = round_row;
    kernels.formats[panel_index_of(FormatId::kQ8)].dot = dot_panel_of<I, ByteBlocks, I::kTokens>;
    kernels.formats[panel_index_of(FormatId::kQ4)].dot =
        dot_panel_of<I, CodeBlocks<4, 32>, I::kTokens>;
    kernels.formats[panel_index_of(FormatId::kQ2)].dot =
        dot_panel_of<I, CodeBlocks<2, 16>, I::kTokens>;
    kernels.direct_rows_max = I::kTokens;
    return kernels;
}

/// Rounds a row of activations; V: the float lanes, I: the integer ones.
template <typename V, typename I>
void round_row(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < out.n_blocks; ++block) {
        const int64_t at = block * out.n_rows + row;
        const float* from = x + block * kPanelColumns;
        const int64_t length = n - block * kPanelColumns;
        const auto values_at = [&](int64_t c) __attribute__((always_inline)) {
            return c + 16 <= length ? V::load(from + c)
                   : c < length     ? V::load_first(from + c, length - c)
                                    : V::zero();
        };
        typename V::Floats largest = V::zero();
        for (int64_t c = 0; c < kPanelColumns; c += kSumColumns) {
            const typename V::Floats v = values_at(c);
            largest = V::max(V::max(v, V::sub(V::zero(), v)), largest);
        }
        const float top = I::largest_lane(largest);
        const float inverse = top == 0.0F ? 0.0F : 127.0F / top;
        out.scales[at] = top / 127.0F;
        int32_t total = 0;
        for (int64_t c = 0; c < kPanelColumns; c += kSumColumns) {
            const int32_t sum = I::store_rounded(V::mul(values_at(c), V::broadcast(inverse)),
                                                 out.values + at * kPanelColumns + c);
            out.sums[at * kSumsPerBlock + c / kSumColumns] = sum;
            total += sum;
        }
        out.totals[at] = total;
    }
}

}  // namespace
}  // namespace nereus
