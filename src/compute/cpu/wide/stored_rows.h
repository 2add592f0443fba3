#pragma once
// Dot products with stored rows and their decoding, for any format F:
//   F::kElements, F::kBytes   one block; kElements a multiple of 16
//   F::kTail                  rows may end in a part of a block (formats of single numbers)
//   F::Block                  what is prepared once per block and row
//   F::open(bytes, scale, block) prepares one; scale: of these columns (fp8), else null
//   F::values<g>(block)       numbers 16 g .. 16 g + 15, exactly as decode_row has them
//   F::first_values(block, g, n)   the same for n < 16 numbers, others zero (kTail only)
//   F::is_special(block)      the fast values may be wrong here (NaN): the slow path decides

#include "compute/cpu/kernels.h"
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
__attribute__((always_inline)) inline void open_block(const RowPointer& row, int64_t index,
                                                      typename F::Block& block) {
    const float* scale = row.scales == nullptr ? nullptr : row.scales + index * F::kElements / 128;
    F::open(row.data + index * F::kBytes, scale, block);
}

/// Asks for the cache lines at p and after, without touching them; any address is allowed.
inline void prefetch(const unsigned char* p, int64_t n_bytes) {
    for (int64_t i = 0; i < n_bytes; i += 64) {
        __builtin_prefetch(p + i, 0, 2);
    }
}

/// Groups G .. end of R blocks, in the order of the columns.
template <class V, class F, int R, int G>
__attribute__((always_inline)) inline void dot_groups(const typename F::Block* blocks,
                                                      const float* x, typename V::Floats* sums) {
    if constexpr (G < F::kElements / kLanes) {
        const typename V::Floats column = V::load(x + G * kLanes);
        for (int r = 0; r < R; ++r) {
            sums[r] = V::fma(F::template values<G>(blocks[r]), column, sums[r]);
        }
        dot_groups<V, F, R, G + 1>(blocks, x, sums);
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

/// R dot products. False where a block was special: out is then not to be used.
template <class V, class F, int R>
__attribute__((always_inline)) inline bool dot_some(const StoredRows& rows, int64_t first,
                                                    const float* x, float* out) {
    RowPointer row[R];
    typename V::Floats sums[R];
    for (int r = 0; r < R; ++r) {
        row[r] = row_pointer(rows, first + r);
        sums[r] = V::zero();
    }
    bool special = false;
    const int64_t n_blocks = rows.cols / F::kElements;
    for (int64_t b = 0; b < n_blocks; ++b) {
        typename F::Block blocks[R];
        for (int r = 0; r < R; ++r) {
            // The same block R rows on: every line is asked for once, about a row group's time
            // before it is needed, where the hardware's prefetcher would start anew with each row.
            prefetch(row[r].data + b * F::kBytes + R * rows.stride_bytes, F::kBytes);
            open_block<F>(row[r], b, blocks[r]);
            special |= F::is_special(blocks[r], F::kElements);
        }
        dot_groups<V, F, R, 0>(blocks, x + b * F::kElements, sums);
    }
    if constexpr (F::kTail) {
        const int64_t done = n_blocks * F::kElements;
        for (int r = 0; r < R && done < rows.cols; ++r) {
            typename F::Block block;
            open_block<F>(row[r], n_blocks, block);
            special |= F::is_special(block, rows.cols - done);
            dot_tail<V, F>(block, x + done, rows.cols - done, sums[r]);
        }
    }
    for (int r = 0; r < R; ++r) {
        out[r] = V::add_lanes(sums[r]);
    }
    return !special;
}

/// One row, number by number as the format defines them: for rows that hold a NaN.
template <class V, class F>
__attribute__((noinline)) void dot_slowly(const StoredRows& rows, int64_t row, const float* x,
                                          float* out) {
    const RowPointer from = row_pointer(rows, row);
    float lanes[kLanes] = {};
    for (int64_t c = 0; c < rows.cols; ++c) {
        lanes[c % kLanes] = __builtin_fmaf(F::slow_value(from, c), x[c], lanes[c % kLanes]);
    }
    *out = V::add_lanes(V::load(lanes));
}

template <class V, class F, int R>
inline void dot_checked(const StoredRows& rows, int64_t first, const float* x, float* out) {
    if (dot_some<V, F, R>(rows, first, x, out)) {
        return;
    }
    if constexpr (F::kSlowPath) {
        for (int r = 0; r < R; ++r) {
            dot_slowly<V, F>(rows, first + r, x, out + r);
        }
    }
}

template <class V, class F>
void dot_rows(const StoredRows& rows, int64_t first, int64_t n, const float* x, float* out) {
    int64_t r = 0;
    for (; r + V::kRowsInFlight <= n; r += V::kRowsInFlight) {
        dot_checked<V, F, V::kRowsInFlight>(rows, first + r, x, out + r);
    }
    for (; r < n; ++r) {
        dot_checked<V, F, 1>(rows, first + r, x, out + r);
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
            open_block<F>(row, n_blocks, block);
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
