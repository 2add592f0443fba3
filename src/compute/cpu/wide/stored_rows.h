#pragma once
// Dot products with stored rows and their decoding, for any format F:
//   F::kElements, F::kBytes   one block; kElements a multiple of 16
//   F::kTail                  rows may end in a part of a block (formats of single numbers)
//   F::kRowsTogether          rows walked side by side, if registers allow as many
//   F::Block                  what is prepared once per block and row
//   F::open(bytes, scale, block) prepares one; scale: of these columns (fp8), else null
//   F::open_part(...)         the same for the part of a block at a row's end (kTail only)
//   F::values<g>(block)       numbers 16 g .. 16 g + 15, exactly as decode_row has them
//   F::first_values(block, g, n)   the same for n < 16 numbers, others zero (kTail only)
//   F::is_special(block)      the fast values may be wrong here (NaN): the slow path decides

#include "compute/cpu/kernels.h"
#include "compute/cpu/wide/repeat.h"
#include "compute/cpu/wide/rows.h"

namespace nereus {
namespace {

/// Where row `row` and its scales lie.
struct RowPointer {
    const unsigned char* data;
    const float* scales;
};

inline RowPointer row_pointer(const StoredRows& rows, int64_t row) {
    const float* scales = rows.scales == nullptr ? nullptr
                                                 : rows.scales + (row + rows.scale_row_offset) /
                                                                     128 * rows.scale_stride;
    return {rows.data + row * rows.stride_bytes, scales};
}

template <class F>
inline const float* scale_of(const RowPointer& row, int64_t index) {
    return row.scales == nullptr ? nullptr : row.scales + index * F::kElements / 128;
}

template <class F>
__attribute__((always_inline)) inline void open_block(const RowPointer& row, int64_t index,
                                                      typename F::Block& block) {
    F::open(row.data + index * F::kBytes, scale_of<F>(row, index), block);
}

template <class F>
inline void open_part(const RowPointer& row, int64_t index, typename F::Block& block) {
    F::open_part(row.data + index * F::kBytes, scale_of<F>(row, index), block);
}

/// Asks for the cache lines at p and after, without touching them; any address is allowed.
inline void prefetch(const unsigned char* p, int64_t n_bytes) {
    for (int64_t i = 0; i < n_bytes; i += 64) {
        __builtin_prefetch(p + i, 0, 2);
    }
}

/// Columns of a span: of four and more vectors these many (16 KB) stay in the L1 cache while a few
/// rows pass, where whole vectors would come from the L2 cache for every group of rows. A multiple
/// of every block; 0: whole rows.
template <int T>
constexpr int64_t kSpanColumns = T < 4 ? 0 : 4096 / T;

/// Rows against vectors: R * T sums of sixteen lanes, each in the order of the columns.
template <class V, int R, int T>
struct PairSums {
    typename V::Floats of[R][T];
};

/// Groups G .. end of R blocks against the same columns of T vectors. A weight is decoded once for
/// all vectors and a column loaded once for all rows.
template <class V, class F, int R, int T, int G>
__attribute__((always_inline)) inline void dot_groups(const typename F::Block* blocks,
                                                      const float* const* x, int64_t column,
                                                      PairSums<V, R, T>& sums) {
    if constexpr (G < F::kElements / kLanes) {
        typename V::Floats columns[T];
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            columns[t.value] = V::load(x[t.value] + column + G * kLanes);
        });
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            const typename V::Floats weights = F::template values<G>(blocks[r.value]);
            repeat<T>([&](auto t) __attribute__((always_inline)) {
                auto& sum = sums.of[r.value][t.value];
                sum = V::fma(weights, columns[t.value], sum);
            });
        });
        dot_groups<V, F, R, T, G + 1>(blocks, x, column, sums);
    }
}

/// The last, partial block of a row.
template <class V, class F>
inline void dot_tail(const typename F::Block& block, const float* x, int64_t n,
                     typename V::Floats& sum) {
    for (int64_t g = 0; g * kLanes < n; ++g) {
        const int64_t left = n - g * kLanes;
        if (left >= kLanes) {
            sum = V::fma(F::group_values(block, g), V::load(x + g * kLanes), sum);
        } else {
            sum = fma_first<V>(F::first_values(block, g, left), V::load_first(x + g * kLanes, left),
                               sum, left);
        }
    }
}

/// Blocks [begin, end) of every row of a group.
struct Span {
    int64_t begin;
    int64_t end;
    bool with_tail;  ///< and what follows the last whole block
};

/// R x T dot products go on over a span. False where a block was special: the sums are then wrong.
template <class V, class F, int R, int T>
__attribute__((always_inline)) inline bool dot_some(const StoredRows& rows, const RowPointer* row,
                                                    const float* const* x, const Span& span,
                                                    PairSums<V, R, T>& sums) {
    bool special = false;
    for (int64_t b = span.begin; b < span.end; ++b) {
        typename F::Block blocks[R];
        if (kSpanColumns<T> == 0) {
            // The next R rows, asked for from the first byte to the last while these are
            // multiplied: memory sees one stream, whatever the rows' stride.
            prefetch(row[0].data + R * (rows.stride_bytes + b * F::kBytes), R * F::kBytes);
        }
        for (int r = 0; r < R; ++r) {
            if (kSpanColumns<T> != 0) {
                prefetch(row[r].data + R * rows.stride_bytes + b * F::kBytes, F::kBytes);
            }
            open_block<F>(row[r], b, blocks[r]);
            special |= F::is_special(blocks[r], F::kElements);
        }
        dot_groups<V, F, R, T, 0>(blocks, x, b * F::kElements, sums);
    }
    if constexpr (F::kTail) {
        const int64_t done = span.end * F::kElements;
        for (int r = 0; r < R && span.with_tail && done < rows.cols; ++r) {
            typename F::Block block;
            open_part<F>(row[r], span.end, block);
            special |= F::is_special(block, rows.cols - done);
            for (int t = 0; t < T; ++t) {
                dot_tail<V, F>(block, x[t] + done, rows.cols - done, sums.of[r][t]);
            }
        }
    }
    return !special;
}

/// One row, number by number as the format defines them: for rows that hold a NaN.
template <class V, class F>
__attribute__((noinline)) float dot_slowly(const RowPointer& row, int64_t cols, const float* x) {
    float lanes[kLanes] = {};
    for (int64_t c = 0; c < cols; ++c) {
        lanes[c % kLanes] = __builtin_fmaf(F::slow_value(row, c), x[c], lanes[c % kLanes]);
    }
    return V::add_lanes(V::load(lanes));
}

/// What rows have so far between two spans of columns.
template <int T>
struct Partial {
    static constexpr int64_t kRows = 32;
    alignas(64) float lanes[kRows][T][kLanes] = {};
    bool special[kRows] = {};
};

/// Rows r .. r + R - 1 of those whose partial sums these are.
template <class V, class F, int R, int T>
inline void dot_span(const StoredRows& rows, int64_t first, int64_t r, const float* const* x,
                     const Span& span, Partial<T>& partial) {
    RowPointer row[R];
    PairSums<V, R, T> sums;
    repeat<R>([&](auto i) __attribute__((always_inline)) {
        row[i.value] = row_pointer(rows, first + r + i.value);
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            sums.of[i.value][t.value] = V::load(partial.lanes[r + i.value][t.value]);
        });
    });
    const bool fine = dot_some<V, F, R, T>(rows, row, x, span, sums);
    repeat<R>([&](auto i) __attribute__((always_inline)) {
        partial.special[r + i.value] |= !fine;
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            V::store(partial.lanes[r + i.value][t.value], sums.of[i.value][t.value]);
        });
    });
}

/// Lanes added, or where the fast way was wrong the slow one.
template <class V, class F, int T>
inline float dot_finish(const StoredRows& rows, int64_t row, int64_t r, int64_t t, const float* x,
                        const Partial<T>& partial) {
    if constexpr (F::kSlowPath) {
        if (partial.special[r]) {
            return dot_slowly<V, F>(row_pointer(rows, row), rows.cols, x);
        }
    }
    return V::add_lanes(V::load(partial.lanes[r][t]));
}

constexpr int min_of(int a, int b) { return a < b ? a : b; }

/// Rows first .. first + n - 1, n <= Partial::kRows, against all T vectors.
template <class V, class F, int T>
inline void dot_chunk(const StoredRows& rows, int64_t first, int64_t n, const float* const* x,
                      Partial<T>& partial) {
    constexpr int kRows = min_of(V::template kDirectRows<T>, F::kRowsTogether);
    const int64_t n_blocks = rows.cols / F::kElements;
    constexpr int64_t kStep = kSpanColumns<T> / F::kElements;
    Span span = {0, 0, false};
    do {
        const int64_t left = n_blocks - span.begin;
        span.end = kStep == 0 || left < kStep ? n_blocks : span.begin + kStep;
        span.with_tail = span.end == n_blocks;
        int64_t r = 0;
        for (; r + kRows <= n; r += kRows) {
            dot_span<V, F, kRows, T>(rows, first, r, x, span, partial);
        }
        for (; r < n; ++r) {
            dot_span<V, F, 1, T>(rows, first, r, x, span, partial);
        }
        span.begin = span.end;
    } while (span.begin < n_blocks);
}

/// All rows against vectors t0 .. t0 + n_x - 1, n_x <= T; the last one stands in for the missing.
template <class V, class F, int T>
__attribute__((noinline)) void dot_vectors(const DotArgs& args, int64_t t0, int64_t n_x) {
    const float* x[T];
    for (int64_t t = 0; t < T; ++t) {
        x[t] = args.x + (t0 + (t < n_x ? t : n_x - 1)) * args.x_stride;
    }
    for (int64_t begin = 0; begin < args.n; begin += Partial<T>::kRows) {
        const int64_t left = args.n - begin;
        const int64_t n = left < Partial<T>::kRows ? left : Partial<T>::kRows;
        Partial<T> partial;
        dot_chunk<V, F, T>(args.rows, args.first + begin, n, x, partial);
        for (int64_t t = 0; t < n_x; ++t) {
            float* out = args.out + (t0 + t) * args.out_stride + begin;
            for (int64_t r = 0; r < n; ++r) {
                out[r] =
                    dot_finish<V, F, T>(args.rows, args.first + begin + r, r, t, x[t], partial);
            }
        }
    }
}

/// Vectors together: 1, 2, 4 .. kDirectX at most.
template <class V, class F, int T = V::kDirectX>
inline void dot_vectors_of(const DotArgs& args, int64_t t0, int64_t n_x) {
    if constexpr (T > 1) {
        if (n_x <= T / 2) {
            dot_vectors_of<V, F, T / 2>(args, t0, n_x);
            return;
        }
    }
    dot_vectors<V, F, T>(args, t0, n_x);
}

template <class V, class F>
void dot_rows(const DotArgs& args) {
    for (int64_t t = 0; t < args.n_x; t += V::kDirectX) {
        const int64_t left = args.n_x - t;
        dot_vectors_of<V, F>(args, t, left < V::kDirectX ? left : V::kDirectX);
    }
}

template <class V, class F, int G>
__attribute__((always_inline)) inline void decode_groups(const typename F::Block& block,
                                                         float* out) {
    if constexpr (G < F::kElements / kLanes) {
        V::store(out + G * kLanes, F::template values<G>(block));
        decode_groups<V, F, G + 1>(block, out);
    }
}

/// One row; false where a block was special.
template <class V, class F>
inline bool decode_some(const RowPointer& row, int64_t cols, float* out) {
    bool special = false;
    const int64_t n_blocks = cols / F::kElements;
    for (int64_t b = 0; b < n_blocks; ++b) {
        typename F::Block block;
        open_block<F>(row, b, block);
        special |= F::is_special(block, F::kElements);
        decode_groups<V, F, 0>(block, out + b * F::kElements);
    }
    const int64_t done = n_blocks * F::kElements;
    if constexpr (F::kTail) {
        if (done < cols) {
            typename F::Block block;
            open_part<F>(row, n_blocks, block);
            special |= F::is_special(block, cols - done);
            for_each_group(
                cols - done,
                [&](int64_t c) { V::store(out + done + c, F::group_values(block, c / kLanes)); },
                [&](int64_t c, int64_t n) {
                    V::store_first(out + done + c, F::first_values(block, c / kLanes, n), n);
                });
        }
    }
    return !special;
}

template <class V, class F>
void decode_rows(const StoredRows& rows, int64_t first, int64_t n, float* out, int64_t out_stride) {
    for (int64_t r = 0; r < n; ++r) {
        const RowPointer row = row_pointer(rows, first + r);
        const bool fine = decode_some<V, F>(row, rows.cols, out + r * out_stride);
        if constexpr (F::kSlowPath) {
            for (int64_t c = 0; !fine && c < rows.cols; ++c) {
                out[r * out_stride + c] = F::slow_value(row, c);
            }
        } else {
            static_cast<void>(fine);
        }
    }
}

/// What most formats share: whole blocks only, nothing special.
struct BlockFormat {
    static constexpr int kRowsTogether = 4;
    static constexpr bool kTail = false;
    static constexpr bool kSlowPath = false;
    template <class Block>
    static bool is_special(const Block& /*block*/, int64_t /*n*/) {
        return false;
    }
};

template <typename T>
inline T read(const unsigned char* p) {
    T value;
    __builtin_memcpy(&value, p, sizeof(value));
    return value;
}

/// Tells the compiler that `value` lives in memory. Factors of a block are stored once and then
/// broadcast by the loads of the instructions that use them; without this GCC keeps them in a
/// register and spends a shuffle on each (IQ2_XXS: 4.4 instead of 3.9 cycles per 16 numbers).
template <typename T>
inline void keep_in_memory(T& value) {
    __asm__("" : "+m"(value));
}

/// The f16 at p.
inline float read_f16(const unsigned char* p) { return _cvtsh_ss(read<uint16_t>(p)); }

}  // namespace
}  // namespace nereus
