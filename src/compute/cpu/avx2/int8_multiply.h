#pragma once
// Products of unpacked blocks with many rows on AVX2. Finished w8 would saturate vpmaddubsw or cost
// a sign and an absolute value a product; codes of at most 4 bits need neither: their pair sums are
// added in 16 bits for a run of columns, and vpmaddwd multiplies them by the step as it adds the
// pairs. So a register of 32 products takes two instructions and a share of the run's two.

#include "compute/cpu/avx2/int8.h"
#include "compute/cpu/wide/int8_multiply.h"

namespace nereus {
namespace {

/// An unpacked block of codes: the codes, a byte each in panel order; for every run 16 steps and
/// for every two runs 16 pairs of offsets, as vpmaddwd takes them: 16-bit numbers, two a row.
template <int kBits, int kColumns>
struct Avx2Codes {
    using Layout = CodeLayout<kBits, kColumns>;
    static constexpr int kRuns = static_cast<int>(Layout::kRuns);
    static constexpr int kGroupsPerRun = kColumns / static_cast<int>(kPanelGroup);
    static constexpr int64_t kFirstSum = first_sum(kColumns);
    static constexpr int64_t kWordsBytes = 4 * kPanelRows;
    static constexpr int64_t kSteps = kPanelRows * kPanelColumns;
    static constexpr int64_t kOffsets = kSteps + kRuns * kWordsBytes;
    static_assert(kOffsets + kRuns / 2 * kWordsBytes <= kUnpackedBytes);
    // Sums of a run fit 16 bits: two products a pair, one pair a group.
    static_assert(kGroupsPerRun * 2 * (Layout::kLevels - 1) * 127 <= 32767);
};

/// Rows of a tile of AVX2: 8 sums in 16 bits, two registers of codes and one of activations.
inline constexpr int kAvx2TileTokens = 4;
/// Registers of a panel.
inline constexpr int kAvx2Parts = 2;

inline __m256i load_words(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

/// totals[t, part] = sum of offset * x8 over the block.
template <class Block, int T>
__attribute__((always_inline)) inline void start_with_unpacked_offsets(const uint8_t* weights,
                                                                       const int16_t* x_sums,
                                                                       Int8Avx2::Ints* totals) {
    repeat<T * kAvx2Parts>(
        [&](auto at) __attribute__((always_inline)) { totals[at.value] = Int8Avx2::zero(); });
    for (int64_t pair = 0; pair < Block::kRuns / 2; ++pair) {
        const uint8_t* words = weights + Block::kOffsets + pair * Block::kWordsBytes;
        const Int8Avx2::Ints offsets[kAvx2Parts] = {Int8Avx2::load_ints(words),
                                                    Int8Avx2::load_ints(words + 32)};
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            const Int8Avx2::Ints two = Int8Avx2::broadcast_four(x_sums + t.value * kSumsPerBlock +
                                                                Block::kFirstSum + 2 * pair);
            repeat<kAvx2Parts>([&](auto part) __attribute__((always_inline)) {
                Int8Avx2::Ints& total = totals[t.value * kAvx2Parts + part.value];
                total = Int8Avx2::add_pairs(total, offsets[part.value], two);
            });
        });
    }
}

/// totals += step * (sum of code * x8) over one run of columns.
template <class Block, int T>
__attribute__((always_inline)) inline void add_run(const uint8_t* codes, const uint8_t* steps,
                                                   const int8_t* x, Int8Avx2::Ints* totals) {
    Int8Avx2::Run runs[T * kAvx2Parts];
    repeat<T * kAvx2Parts>(
        [&](auto at) __attribute__((always_inline)) { runs[at.value] = Int8Avx2::start(); });
// Unrolled, GCC 12 multiplies ahead of the additions and spills the products: half the speed.
#pragma GCC unroll 1
    for (int group = 0; group < Block::kGroupsPerRun; ++group) {
        const __m256i w[kAvx2Parts] = {load_words(codes), load_words(codes + 32)};
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            const auto four = Int8Avx2::broadcast_four(x + t.value * kPanelColumns);
            repeat<kAvx2Parts>([&](auto part) __attribute__((always_inline)) {
                Int8Avx2::Run& run = runs[t.value * kAvx2Parts + part.value];
                run = Int8Avx2::add(run, w[part.value], four);
            });
        });
        codes += kPanelRows * kPanelGroup;
        x += kPanelGroup;
    }
    const Int8Avx2::Ints step[kAvx2Parts] = {Int8Avx2::load_ints(steps),
                                             Int8Avx2::load_ints(steps + 32)};
    repeat<T * kAvx2Parts>([&](auto at) __attribute__((always_inline)) {
        totals[at.value] =
            Int8Avx2::add_run(totals[at.value], runs[at.value], step[at.value % kAvx2Parts]);
    });
}

/// Sums of a tile, scaled and added to the outputs.
template <int T>
__attribute__((always_inline)) inline void add_to_outputs(const BlockMultiplyArgs& args,
                                                          int64_t panel, int64_t i,
                                                          const Int8Avx2::Ints* totals) {
    float* out = args.out + i * kOutColumns + panel * kPanelRows;
    repeat<kAvx2Parts>([&](auto part) __attribute__((always_inline)) {
        constexpr int64_t kRow = int64_t{part.value} * Int8Avx2::kRows;
        const __m256 scale = Int8Avx2::load_floats(args.scales + panel * kPanelRows + kRow);
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            float* at = out + t.value * kOutColumns + kRow;
            Int8Avx2::store(
                at, Int8Avx2::scale_add(totals[t.value * kAvx2Parts + part.value], scale,
                                        args.x_scales[i + t.value], Int8Avx2::load_floats(at)));
        });
    });
}

/// A tile of codes: activations i .. i+T-1 against one panel.
template <int kBits, int kColumns>
struct Avx2CodeTile {
    using Block = Avx2Codes<kBits, kColumns>;
    template <int T>
    static __attribute__((noinline)) void run(const BlockMultiplyArgs& args, int64_t panel,
                                              int64_t i) {
        const uint8_t* weights = args.weights + panel * kUnpackedBytes;
        const int8_t* x = args.x + i * kPanelColumns;
        Int8Avx2::Ints totals[T * kAvx2Parts];
        start_with_unpacked_offsets<Block, T>(weights, args.x_sums + i * kSumsPerBlock, totals);
        for (int64_t r = 0; r < Block::kRuns; ++r) {
            add_run<Block, T>(weights + r * kColumns * kPanelRows,
                              weights + Block::kSteps + r * Block::kWordsBytes, x + r * kColumns,
                              totals);
        }
        add_to_outputs<T>(args, panel, i, totals);
    }
};

/// A tile of q8: |w8| times x8 with the sign of w8.
struct Avx2ByteTile {
    template <int T>
    static __attribute__((noinline)) void run(const BlockMultiplyArgs& args, int64_t panel,
                                              int64_t i) {
        const uint8_t* weights = args.weights + panel * kUnpackedBytes;
        const int8_t* x = args.x + i * kPanelColumns;
        const __m256i ones = _mm256_set1_epi16(1);
        Int8Avx2::Ints totals[T * kAvx2Parts];
        repeat<T * kAvx2Parts>(
            [&](auto at) __attribute__((always_inline)) { totals[at.value] = Int8Avx2::zero(); });
#pragma GCC unroll 1
        for (int64_t group = 0; group < kPanelColumns / kPanelGroup; ++group) {
            const __m256i w[kAvx2Parts] = {load_words(weights), load_words(weights + 32)};
            const __m256i size[kAvx2Parts] = {_mm256_abs_epi8(w[0]), _mm256_abs_epi8(w[1])};
            repeat<T>([&](auto t) __attribute__((always_inline)) {
                const __m256i four =
                    Int8Avx2::raw(Int8Avx2::broadcast_four(x + t.value * kPanelColumns));
                repeat<kAvx2Parts>([&](auto part) __attribute__((always_inline)) {
                    Int8Avx2::Ints& total = totals[t.value * kAvx2Parts + part.value];
                    const __m256i pairs = _mm256_maddubs_epi16(
                        size[part.value], _mm256_sign_epi8(four, w[part.value]));
                    total = Int8Avx2::ints(
                        _mm256_add_epi32(Int8Avx2::raw(total), _mm256_madd_epi16(pairs, ones)));
                });
            });
            weights += kPanelRows * kPanelGroup;
            x += kPanelGroup;
        }
        add_to_outputs<T>(args, panel, i, totals);
    }
};

template <class Tile, int T>
void run_avx2_tile(const BlockMultiplyArgs& args, int64_t panel, int64_t i, int64_t n) {
    if constexpr (T > 0) {
        if (n == T) {
            Tile::template run<T>(args, panel, i);
        } else {
            run_avx2_tile<Tile, T - 1>(args, panel, i, n);
        }
    }
}

template <class Tile>
void multiply_avx2(const BlockMultiplyArgs& args) {
    for (int64_t panel = 0; panel < args.n_panels; ++panel) {
        in_equal_parts(args.n_x, kAvx2TileTokens, [&](int64_t i, int64_t n) {
            run_avx2_tile<Tile, kAvx2TileTokens>(args, panel, i, n);
        });
    }
}

inline void store_words(uint8_t* p, __m256i v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}

inline void copy_scales(const unsigned char* block, float* scales) {
    Int8Avx2::store(scales, Int8Avx2::load_scales(block));
    Int8Avx2::store(scales + Int8Avx2::kRows, Int8Avx2::load_scales(block + 2 * Int8Avx2::kRows));
}

template <int kBits, int kGroup>
__attribute__((always_inline)) inline void unpack_codes_of(__m256i raw, uint8_t* out) {
    if constexpr (kGroup < 8 / kBits) {
        store_words(out + int64_t{kGroup} * kPanelRows * kPanelGroup,
                    Int8Avx2::field<kBits, kGroup>(raw));
        unpack_codes_of<kBits, kGroup + 1>(raw, out);
    }
}

template <int kBits, int kColumns>
void unpack_avx2(const unsigned char* block, uint8_t* weights, float* scales) {
    using Block = Avx2Codes<kBits, kColumns>;
    using Layout = CodeLayout<kBits, kColumns>;
    const RunFactors<Layout> factors(block);
    copy_scales(block, scales);
    for (int64_t at = 0; at < Layout::kBytes - Layout::kCodes; at += 32) {
        const int64_t chunk = at / Layout::kChunkBytes * Layout::kChunkBytes;
        unpack_codes_of<kBits, 0>(load_words(block + Layout::kCodes + at),
                                  weights + chunk * Layout::kGroupsPerChunk + (at - chunk));
    }
    for (int64_t row = 0; row < kPanelRows; row += Int8Avx2::kRows) {
        for (int64_t run = 0; run < Block::kRuns; ++run) {
            store_words(weights + Block::kSteps + run * Block::kWordsBytes + row * 4,
                        Int8Avx2::raw(Int8Avx2::load_steps(factors.steps_of(run, row))));
        }
        for (int64_t pair = 0; pair < Block::kRuns / 2; ++pair) {
            store_words(
                weights + Block::kOffsets + pair * Block::kWordsBytes + row * 4,
                Int8Avx2::raw(Int8Avx2::load_offset_pairs(factors.offset_pairs(pair, row))));
        }
    }
}

inline void unpack_avx2_bytes(const unsigned char* block, uint8_t* weights, float* scales) {
    copy_scales(block, scales);
    for (int64_t i = 0; i < kPanelRows * kPanelColumns; i += 32) {
        store_words(weights + i, _mm256_xor_si256(load_words(block + 2 * kPanelRows + i),
                                                  _mm256_set1_epi8(-128)));
    }
}

constexpr Int8Kernels avx2_int8() {
    Int8Kernels kernels = direct_int8<Avx2, Int8Avx2>();
    PanelKernels* formats = kernels.formats;
    formats[panel_index_of(FormatId::kQ8)].unpack = unpack_avx2_bytes;
    formats[panel_index_of(FormatId::kQ8)].multiply = multiply_avx2<Avx2ByteTile>;
    formats[panel_index_of(FormatId::kQ4)].unpack = unpack_avx2<4, 32>;
    formats[panel_index_of(FormatId::kQ4)].multiply = multiply_avx2<Avx2CodeTile<4, 32>>;
    formats[panel_index_of(FormatId::kQ2)].unpack = unpack_avx2<2, 16>;
    formats[panel_index_of(FormatId::kQ2)].multiply = multiply_avx2<Avx2CodeTile<2, 16>>;
    set_direct_rows(kernels, 4, 4, 4);
    return kernels;
}

inline constexpr Int8Kernels kAvx2Int8 = avx2_int8();

}  // namespace
}  // namespace nereus
