#pragma once
// Integer dot products of panels with activations, for any vocabulary I of integer lanes:
//   I::kRows                 rows of a register, 16 or 8 (a panel is 16 / kRows parts)
//   I::Codes                 kRows rows of four bytes each
//   I::Ints, I::Floats       one 32-bit lane a row
//   I::Run                   sums of a run of columns with small codes, finished by I::add_run
// Lanes are rows: a broadcast of four activations meets four columns of every row.

#include "compute/cpu/int8.h"
#include "compute/cpu/wide/int8_factors.h"
#include "compute/cpu/wide/repeat.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

template <typename I>
inline constexpr int kPartsOf = static_cast<int>(kPanelRows) / I::kRows;

/// Bytes of a part's rows within a group of columns.
template <typename I>
inline constexpr int64_t kPartBytes = int64_t{I::kRows} * kPanelGroup;

/// Groups kGroup and up of a chunk of codes against T rows of activations from column on.
template <typename I, int kBits, int T, int kGroup>
__attribute__((always_inline)) inline void add_chunk(const typename I::Codes* raw, const int8_t* x,
                                                     typename I::Run* runs) {
    constexpr int kParts = kPartsOf<I>;
    if constexpr (kGroup < 8 / kBits) {
        typename I::Codes codes[kParts];
        repeat<kParts>([&](auto part) __attribute__((always_inline)) {
            codes[part.value] = I::template field<kBits, kGroup>(raw[part.value]);
        });
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            const auto four = I::broadcast_four(x + t.value * kPanelColumns + kGroup * kPanelGroup);
            repeat<kParts>([&](auto part) __attribute__((always_inline)) {
                typename I::Run& run = runs[t.value * kParts + part.value];
                run = I::add(run, codes[part.value], four);
            });
        });
        add_chunk<I, kBits, T, kGroup + 1>(raw, x, runs);
    }
}

/// totals[t, part] += step * (sum of code * x8) over one run of columns.
template <typename I, class Layout, int kBits, int T>
__attribute__((always_inline)) inline void add_run_of(const unsigned char* codes, int64_t n_chunks,
                                                      const uint8_t* steps, const int8_t* x,
                                                      typename I::Ints* totals) {
    constexpr int kParts = kPartsOf<I>;
    typename I::Run runs[T * kParts];
    repeat<T * kParts>([&](auto at)
                           __attribute__((always_inline)) { runs[at.value] = I::start(); });
// Unrolled, GCC 12 multiplies ahead of the additions and spills the products.
#pragma GCC unroll 1
    for (int64_t chunk = 0; chunk < n_chunks; ++chunk) {
        typename I::Codes raw[kParts];
        repeat<kParts>([&](auto part) __attribute__((always_inline)) {
            raw[part.value] = I::load_codes(codes + part.value * kPartBytes<I>);
        });
        add_chunk<I, kBits, T, 0>(raw, x, runs);
        codes += Layout::kChunkBytes;
        x += Layout::kGroupsPerChunk * kPanelGroup;
    }
    repeat<kParts>([&](auto part) __attribute__((always_inline)) {
        const auto step = I::load_steps(steps + part.value * I::kRows);
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            constexpr int kAt = t.value * kParts + part.value;
            totals[kAt] = I::add_run(totals[kAt], runs[kAt], step);
        });
    });
}

/// totals[t, part] = sum of offset * x8 over a block; sums: the block's of runs of this length.
template <typename I, class Layout, int T>
__attribute__((always_inline)) inline void start_with_offsets(const RunFactors<Layout>& factors,
                                                              const int16_t* sums,
                                                              typename I::Ints* totals) {
    constexpr int kParts = kPartsOf<I>;
    repeat<T * kParts>([&](auto at)
                           __attribute__((always_inline)) { totals[at.value] = I::zero(); });
    for (int64_t pair = 0; pair < Layout::kRuns / 2; ++pair) {
        repeat<kParts>([&](auto part) __attribute__((always_inline)) {
            const auto offsets =
                I::load_offset_pairs(factors.offset_pairs(pair, part.value * I::kRows));
            repeat<T>([&](auto t) __attribute__((always_inline)) {
                typename I::Ints& total = totals[t.value * kParts + part.value];
                total = I::add_pairs(total, offsets,
                                     I::broadcast_four(sums + t.value * kSumsPerBlock + 2 * pair));
            });
        });
    }
}

/// The formats, as what the walk over blocks asks of them: totals[t, part] = sum of w8 * x8 by row.
template <int kBits, int kColumns>
struct CodeBlocks {
    using Layout = CodeLayout<kBits, kColumns>;
    static constexpr int64_t kBytes = Layout::kBytes;
    template <typename I, int T>
    __attribute__((always_inline)) static inline void sum(const unsigned char* block,
                                                          const Int8Rows& x, int64_t at,
                                                          typename I::Ints* totals) {
        constexpr int64_t kChunks = kColumns / (Layout::kGroupsPerChunk * kPanelGroup);
        const RunFactors<Layout> factors(block);
        start_with_offsets<I, Layout, T>(factors, x.sums + at * kSumsPerBlock + first_sum(kColumns),
                                         totals);
        for (int64_t run = 0; run < Layout::kRuns; ++run) {
            add_run_of<I, Layout, kBits, T>(
                block + Layout::kCodes + run * kChunks * Layout::kChunkBytes, kChunks,
                factors.steps_of(run, 0), x.values + at * kPanelColumns + run * kColumns, totals);
        }
    }
};

/// q8.
struct ByteBlocks {
    static constexpr int64_t kBytes = kQ8BlockBytes;
    template <typename I, int T>
    __attribute__((always_inline)) static inline void sum(const unsigned char* block,
                                                          const Int8Rows& x, int64_t at,
                                                          typename I::Ints* totals) {
        constexpr int kParts = kPartsOf<I>;
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            repeat<kParts>([&](auto part) __attribute__((always_inline)) {
                totals[t.value * kParts + part.value] = I::start_bytes(x.totals[at + t.value]);
            });
        });
        const unsigned char* codes = block + 2 * kPanelRows;
        const int8_t* values = x.values + at * kPanelColumns;
        for (int64_t group = 0; group < kPanelColumns / kPanelGroup; ++group) {
            typename I::Codes bytes[kParts];
            repeat<kParts>([&](auto part) __attribute__((always_inline)) {
                bytes[part.value] = I::load_codes(codes + part.value * kPartBytes<I>);
            });
            repeat<T>([&](auto t) __attribute__((always_inline)) {
                const auto four = I::broadcast_four(values + t.value * kPanelColumns);
                repeat<kParts>([&](auto part) __attribute__((always_inline)) {
                    typename I::Ints& total = totals[t.value * kParts + part.value];
                    total = I::add_bytes(total, bytes[part.value], four);
                });
            });
            codes += kPanelRows * kPanelGroup;
            values += kPanelGroup;
        }
    }
};

/// Asked for ahead of use: four blocks of q4. Share of a plain read's bandwidth on Zen 5 with huge
/// pages, q4 on one thread and two: 0.94 and 0.91 with 1 KB ahead, 0.94 and 1.00 with 2.3 KB, 1.00
/// and 1.00 with 4.6 KB. Two panels side by side are slower, 0.65 to 0.75: one stream is enough.
inline constexpr int64_t kPrefetchBytes = 4608;

/// T rows of activations against one panel.
template <typename I, class F, int T>
void dot_panel(const PanelDotArgs& args) {
    constexpr int kParts = kPartsOf<I>;
    const Int8Rows& x = *args.x;
    typename I::Floats sums[T * kParts];
    repeat<T * kParts>([&](auto at)
                           __attribute__((always_inline)) { sums[at.value] = I::zero_floats(); });
    const unsigned char* block = args.panel;
    for (int64_t b = 0; b < x.n_blocks; ++b, block += F::kBytes) {
        for (int64_t line = 0; line < F::kBytes; line += 64) {
            __builtin_prefetch(block + kPrefetchBytes + line, 0, 2);
        }
        const int64_t at = b * x.n_rows + args.first;
        typename I::Ints totals[T * kParts];
        F::template sum<I, T>(block, x, at, totals);
        repeat<kParts>([&](auto part) __attribute__((always_inline)) {
            const typename I::Floats scale = I::load_scales(block + 2 * part.value * I::kRows);
            repeat<T>([&](auto t) __attribute__((always_inline)) {
                constexpr int kAt = t.value * kParts + part.value;
                sums[kAt] = I::scale_add(totals[kAt], scale, x.scales[at + t.value], sums[kAt]);
            });
        });
    }
    repeat<T * kParts>([&](auto at) __attribute__((always_inline)) {
        I::store(args.out + int64_t{at.value} * I::kRows, sums[at.value]);
    });
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

/// turn_block on eight registers of sixteen lanes.
template <typename V>
__attribute__((always_inline)) inline void turn_registers(typename V::Floats* x) {
    repeat<8>([&](auto i) __attribute__((always_inline)) {
        x[i.value] = V::mul(x[i.value], V::load(kPanelSigns.data() + 16 * i.value));
    });
    repeat<4>([&](auto level) __attribute__((always_inline)) {
        constexpr int kApart = 1 << level.value;
        float signs[16];
        for (int lane = 0; lane < 16; ++lane) {
            signs[lane] = (lane & kApart) == 0 ? 1.0F : -1.0F;
        }
        const typename V::Floats sign = V::load(signs);
        repeat<8>([&](auto i) __attribute__((always_inline)) {
            x[i.value] = V::fma(x[i.value], sign, V::template swap<kApart>(x[i.value]));
        });
    });
    repeat<3>([&](auto level) __attribute__((always_inline)) {
        constexpr int kApart = 1 << level.value;
        repeat<8>([&](auto i) __attribute__((always_inline)) {
            if constexpr ((i.value & kApart) == 0) {
                const typename V::Floats a = x[i.value];
                const typename V::Floats b = x[i.value + kApart];
                x[i.value] = V::add(a, b);
                x[i.value + kApart] = V::sub(a, b);
            }
        });
    });
}

/// Rounds a row of activations; V: the float lanes, I: the integer ones.
template <typename V, typename I, bool kTurned>
void round_row(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < out.n_blocks; ++block) {
        const int64_t at = block * out.n_rows + row;
        const float* from = x + block * kPanelColumns;
        const int64_t length = n - block * kPanelColumns;
        typename V::Floats turned[kSumsOf16];
        repeat<kSumsOf16>([&](auto i) __attribute__((always_inline)) {
            constexpr int64_t kColumn = i.value * kSumColumns;
            turned[i.value] = kColumn + kSumColumns <= length ? V::load(from + kColumn)
                              : kColumn < length ? V::load_first(from + kColumn, length - kColumn)
                                                 : V::zero();
        });
        if constexpr (kTurned) {
            turn_registers<V>(turned);
        }
        typename V::Floats largest = V::zero();
        repeat<kSumsOf16>([&](auto i) __attribute__((always_inline)) {
            const typename V::Floats v = turned[i.value];
            largest = V::max(V::max(v, V::sub(V::zero(), v)), largest);
        });
        const float top = I::largest_lane(largest);
        const float inverse = top == 0.0F ? 0.0F : 127.0F / top;
        out.scales[at] = top / (127.0F * (kTurned ? kTurnedActivation : 1.0F));
        int16_t* sums = out.sums + at * kSumsPerBlock;
        int32_t total = 0;
        repeat<kSumsOf16>([&](auto i) __attribute__((always_inline)) {
            const int32_t sum =
                I::store_rounded(V::mul(turned[i.value], V::broadcast(inverse)),
                                 out.values + at * kPanelColumns + i.value * kSumColumns);
            sums[i.value] = static_cast<int16_t>(sum);
            total += sum;
        });
        for (int64_t i = 0; i < kSumsOf16 / 2; ++i) {
            sums[kSumsOf16 + i] = static_cast<int16_t>(sums[2 * i] + sums[2 * i + 1]);
        }
        out.totals[at] = total;
    }
}

/// The kernels that need no unpacked blocks. V: the float lanes, I: the integer ones.
template <typename V, typename I>
constexpr Int8Kernels direct_int8() {
    Int8Kernels kernels{};
    kernels.round_row = round_row<V, I, false>;
    kernels.round_turned_row = round_row<V, I, true>;
    kernels.formats[panel_index_of(FormatId::kQ8)].dot = dot_panel_of<I, ByteBlocks, I::kTokens>;
    kernels.formats[panel_index_of(FormatId::kQ4)].dot =
        dot_panel_of<I, CodeBlocks<4, 32>, I::kTokens>;
    kernels.formats[panel_index_of(FormatId::kQ2)].dot =
        dot_panel_of<I, CodeBlocks<2, 16>, I::kTokens>;
    kernels.direct_rows_max = I::kTokens;
    return kernels;
}

}  // namespace
}  // namespace nereus
