#pragma once
// Register-tiled dot products and accumulation of rows. Every (row, x) pair has sixteen lanes of
// its own, so a tile changes how often memory is read and never the bits.

#include "compute/cpu/wide/rows.h"

namespace nereus {
namespace {

/// R x T dot products at once. Per sixteen columns R + T loads serve R * T fused multiply-adds.
template <typename V, int R, int T>
inline void product_tile(const ProductArgs& args, int64_t row, int64_t t) {
    const float* rows = args.rows + row * args.row_stride;
    const float* x = args.x + t * args.x_stride;
    typename V::Floats sums[R][T];
    for (int r = 0; r < R; ++r) {
        for (int i = 0; i < T; ++i) {
            sums[r][i] = V::zero();
        }
    }
    for_each_group(
        args.n_cols,
        [&](int64_t c) __attribute__((always_inline)) {
            typename V::Floats w[R];
            for (int r = 0; r < R; ++r) {
                w[r] = V::load(rows + r * args.row_stride + c);
            }
            for (int i = 0; i < T; ++i) {
                const typename V::Floats column = V::load(x + i * args.x_stride + c);
                for (int r = 0; r < R; ++r) {
                    sums[r][i] = V::fma(w[r], column, sums[r][i]);
                }
            }
        },
        [&](int64_t c, int64_t rest) __attribute__((always_inline)) {
            for (int i = 0; i < T; ++i) {
                const typename V::Floats column = V::load_first(x + i * args.x_stride + c, rest);
                for (int r = 0; r < R; ++r) {
                    sums[r][i] = fma_first<V>(V::load_first(rows + r * args.row_stride + c, rest),
                                              column, sums[r][i], rest);
                }
            }
        });
    for (int r = 0; r < R; ++r) {
        for (int i = 0; i < T; ++i) {
            args.out[(t + i) * args.out_stride + row + r] = V::add_lanes(sums[r][i]);
        }
    }
}

/// All rows against x t .. t+T-1: whole tiles of rows, then one by one.
template <typename V, int T>
void product_columns(const ProductArgs& args, int64_t t) {
    int64_t row = 0;
    for (; row + V::kTileRows <= args.n_rows; row += V::kTileRows) {
        product_tile<V, V::kTileRows, T>(args, row, t);
    }
    for (; row < args.n_rows; ++row) {
        product_tile<V, 1, T>(args, row, t);
    }
}

template <typename V, int T>
void product_columns_of(const ProductArgs& args, int64_t t, int64_t n) {
    if constexpr (T > 0) {
        if (n == T) {
            product_columns<V, T>(args, t);
        } else {
            product_columns_of<V, T - 1>(args, t, n);
        }
    }
}

/// x is cut into equal parts of at most kTileX (8 becomes 4 + 4, not 6 + 2).
template <typename V>
void products(const ProductArgs& args) {
    for (int64_t t = 0; t < args.n_x;) {
        const int64_t left = args.n_x - t;
        const int64_t parts = (left + V::kTileX - 1) / V::kTileX;
        const int64_t n = (left + parts - 1) / parts;
        product_columns_of<V, V::kTileX>(args, t, n);
        t += n;
    }
}

/// Outputs i .. i+I-1, columns c .. c+16 C-1, all rows in order.
template <typename V, int I, int C>
inline void accumulate_tile(const AccumulateArgs& args, int64_t i, int64_t c) {
    typename V::Floats sums[I][C];
    float* out = args.out + i * args.out_stride + c;
    const float* coefficients = args.coefficients + i * args.coefficient_stride;
    for (int k = 0; k < I; ++k) {
        for (int j = 0; j < C; ++j) {
            sums[k][j] = V::load(out + k * args.out_stride + j * kLanes);
        }
    }
    for (int64_t r = 0; r < args.n_rows; ++r) {
        typename V::Floats row[C];
        for (int j = 0; j < C; ++j) {
            row[j] = V::load(args.rows + r * args.row_stride + c + j * kLanes);
        }
        for (int k = 0; k < I; ++k) {
            const typename V::Floats factor =
                V::broadcast(coefficients[k * args.coefficient_stride + r]);
            for (int j = 0; j < C; ++j) {
                sums[k][j] = V::fma(factor, row[j], sums[k][j]);
            }
        }
    }
    for (int k = 0; k < I; ++k) {
        for (int j = 0; j < C; ++j) {
            V::store(out + k * args.out_stride + j * kLanes, sums[k][j]);
        }
    }
}

/// The last n < 16 columns of one output.
template <typename V>
void accumulate_rest(const AccumulateArgs& args, int64_t i, int64_t c, int64_t n) {
    float* out = args.out + i * args.out_stride + c;
    typename V::Floats sum = V::load_first(out, n);
    for (int64_t r = 0; r < args.n_rows; ++r) {
        const float coefficient = args.coefficients[i * args.coefficient_stride + r];
        sum = V::fma(V::broadcast(coefficient),
                     V::load_first(args.rows + r * args.row_stride + c, n), sum);
    }
    V::store_first(out, sum, n);
}

template <typename V, int I>
void accumulate_outputs(const AccumulateArgs& args, int64_t i) {
    int64_t c = 0;
    for (; c + V::kColumns * kLanes <= args.n_cols; c += V::kColumns * kLanes) {
        accumulate_tile<V, I, V::kColumns>(args, i, c);
    }
    for (; c + kLanes <= args.n_cols; c += kLanes) {
        accumulate_tile<V, I, 1>(args, i, c);
    }
    for (int k = 0; c < args.n_cols && k < I; ++k) {
        accumulate_rest<V>(args, i + k, c, args.n_cols - c);
    }
}

template <typename V>
void accumulate(const AccumulateArgs& args) {
    int64_t i = 0;
    for (; i + V::kOutputs <= args.n_out; i += V::kOutputs) {
        accumulate_outputs<V, V::kOutputs>(args, i);
    }
    for (; i < args.n_out; ++i) {
        accumulate_outputs<V, 1>(args, i);
    }
}

}  // namespace
}  // namespace nereus
