#include "compute/cpu/matmul.h"

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "base/units.h"
#include "compute/cpu/int8_blocks.h"
#include "compute/cpu/panel_matmul.h"
#include "compute/cpu/stored.h"

namespace nereus {
namespace {

/// Multiply-adds below which waking the pool costs more (about 2 us) than it saves.
constexpr int64_t kInlineWork = 64 * 1024;
/// A piece is at least this many multiply-adds (1 to 4 us), so that taking it from the pool's
/// counter is free, and about 1/8 of a thread's share, so that the last piece is not waited for
/// long.
constexpr int64_t kPieceWorkMin = 32 * 1024;
constexpr int64_t kPiecesPerThread = 8;
/// Tokens up to which decoding in registers, once for a few tokens, beats decoding a tile.
/// With eight a tile was faster or as fast for most (Zen 5, alternating runs: f32 2.0 times,
/// iq2_xxs 1.3, fp8 and q4_k 1.1; but bf16 0.7 and q6_k 0.8).
constexpr int64_t kDirectTokensMax = 4;
/// Rows a direct kernel is given at a time: they stay in the L2 cache for the next token.
constexpr int64_t kDirectRows = 32;
/// Rows a direct kernel has in flight at most; pieces are multiples of it.
constexpr int64_t kDirectUnit = 8;
/// Floats of a decoded tile: 256 KB, a quarter of an L2 cache of today, and its row counts.
constexpr int64_t kTileFloats = 64 * 1024;
constexpr int64_t kTileRowsMin = 4;
constexpr int64_t kTileRowsMax = 32;
/// Columns of a transposed piece: a multiple of every block length and of fp8's scale blocks; with
/// kTransposedRows decoded rows a 16 KB tile.
constexpr int64_t kTransposedColumns = 256;
constexpr int64_t kTransposedRows = 16;

void check_task(const MatmulTask& task) {
    const Weight& weight = task.weight;
    NEREUS_CHECK(weight.format != nullptr);
    NEREUS_CHECK(weight.format->decode_row != nullptr);
    NEREUS_CHECK(weight.cols % weight.format->block_elements == 0);
    NEREUS_CHECK(weight.format->panel == nullptr || !task.transposed);
    NEREUS_CHECK(task.x.n_rows == task.out.n_rows);
    NEREUS_CHECK(task.x.n_cols == (task.transposed ? weight.rows : weight.cols));
    NEREUS_CHECK(task.out.n_cols == (task.transposed ? weight.cols : weight.rows));
    if (!task.gate.empty()) {
        NEREUS_CHECK(!task.transposed && task.bias == nullptr);
        NEREUS_CHECK(task.gate.format == weight.format);
        NEREUS_CHECK(task.gate.rows == weight.rows && task.gate.cols == weight.cols);
        NEREUS_CHECK(task.gate_out.n_rows == task.out.n_rows);
        NEREUS_CHECK(task.gate_out.n_cols == task.out.n_cols);
    }
}

bool goes_direct(const KernelTable& kernels, const MatmulTask& task) {
    return task.x.n_rows <= kDirectTokensMax &&
           format_kernels(kernels, task.weight).dot_rows != nullptr;
}

bool has_panels(const MatmulTask& task) { return task.weight.format->panel != nullptr; }

int64_t work_of(const MatmulTask& task) {
    return task.weight.rows * task.weight.cols * task.x.n_rows * (task.gate.empty() ? 1 : 2);
}

int64_t tile_rows(int64_t cols) {
    const int64_t fitting = kTileFloats / std::max<int64_t>(cols, 1) / kTileRowsMin * kTileRowsMin;
    return std::clamp(fitting, kTileRowsMin, kTileRowsMax);
}

/// The rows of an F32 weight need no copy where the file has them aligned.
const float* floats_in_place(const Weight& weight) {
    const bool aligned = reinterpret_cast<uintptr_t>(weight.data) % alignof(float) == 0 &&
                         weight.row_stride_bytes % static_cast<int64_t>(sizeof(float)) == 0;
    return weight.format->id == FormatId::kF32 && aligned
               ? reinterpret_cast<const float*>(weight.data)
               : nullptr;
}

void add_bias(const MatmulTask& task, int64_t begin, int64_t end) {
    if (task.bias == nullptr) {
        return;
    }
    for (int64_t t = 0; t < task.out.n_rows; ++t) {
        float* out = task.out.row(t);
        for (int64_t i = begin; i < end; ++i) {
            out[i] += task.bias[i];
        }
    }
}

}  // namespace

void Matmul::run(std::span<const MatmulTask> tasks) {
    int64_t work = 0;
    int64_t scratch_floats = std::max(kTransposedRows * kTransposedColumns, panel_scratch_floats());
    kinds_.clear();
    for (const MatmulTask& task : tasks) {
        check_task(task);
        work += work_of(task);
        kinds_.push_back(activations_of(task));
        const int64_t cols = round_up<int64_t>(task.weight.cols, 16);
        scratch_floats = std::max(scratch_floats, tile_rows(cols) * cols);
    }
    scratch_.reserve(scratch_floats);
    int8_.prepare(tasks, kinds_, kernels_, pool_);
    pieces_.clear();
    const int64_t share = work / (int64_t{pool_.n_threads()} * kPiecesPerThread);
    for (size_t i = 0; i < tasks.size(); ++i) {
        plan(tasks[i], int8_.of_task(i),
             work < kInlineWork ? kInlineWork : std::max(share, kPieceWorkMin));
    }
    if (work < kInlineWork) {
        for (const Piece& piece : pieces_) {
            run_piece(piece);
        }
        return;
    }
    share_out();
    pool_.parallel_shares(
        starts_, [this](int64_t i, int64_t) { run_piece(shared_[static_cast<size_t>(i)]); });
}

void Matmul::share_out() {
    const int64_t n_threads = pool_.n_threads();
    starts_.assign(static_cast<size_t>(n_threads) + 1, 0);
    for (const Piece& piece : pieces_) {
        ++starts_[static_cast<size_t>(piece.thread) + 1];
    }
    for (size_t i = 1; i < starts_.size(); ++i) {
        starts_[i] += starts_[i - 1];
    }
    shared_.resize(pieces_.size());
    // Each start moves on to its end, which is the next one's start, and is moved back after that.
    for (const Piece& piece : pieces_) {
        shared_[static_cast<size_t>(starts_[static_cast<size_t>(piece.thread)]++)] = piece;
    }
    std::copy_backward(starts_.begin(), starts_.end() - 1, starts_.end());
    starts_.front() = 0;
}

Activations Matmul::activations_of(const MatmulTask& task) const {
    const Activations own = task.weight.format->activations;
    const bool stay_floats =
        task.transposed || (choice_ == ActivationsChoice::kF32 && !has_panels(task)) ||
        (choice_ == ActivationsChoice::kAuto && own == Activations::kInt8Per256);
    return stay_floats ? Activations::kF32 : own;
}

int64_t Matmul::unit_of(const MatmulTask& task, bool int8) const {
    if (has_panels(task)) {
        return kOutColumns;
    }
    if (int8) {
        return kernels_.blocks->rows_together;
    }
    return task.transposed               ? kTransposedColumns
           : goes_direct(kernels_, task) ? kDirectUnit
                                         : tile_rows(task.weight.cols);
}

void Matmul::plan(const MatmulTask& task, const Int8Rows* int8, int64_t piece_work) {
    const int64_t n_outputs = task.out.n_cols;
    if (n_outputs == 0 || task.x.n_rows == 0) {
        return;
    }
    const int64_t unit = unit_of(task, int8 != nullptr);
    const int64_t work_per_output = std::max<int64_t>(work_of(task) / n_outputs, 1);
    const int64_t length = round_up(std::max<int64_t>(piece_work / work_per_output, 1), unit);
    // A task of fewer pieces than threads starts at another thread than its neighbour.
    const int64_t n_pieces = ceil_div(n_outputs, length);
    const int64_t n_threads = pool_.n_threads();
    const auto first = n_pieces < n_threads ? static_cast<int64_t>(pieces_.size()) : 0;
    for (int64_t i = 0; i < n_pieces; ++i) {
        const int64_t thread =
            n_pieces < n_threads ? (first + i) % n_threads : i * n_threads / n_pieces;
        pieces_.push_back({&task, int8, i * length, std::min((i + 1) * length, n_outputs), thread});
    }
}

void Matmul::run_piece(const Piece& piece) {
    const MatmulTask& task = *piece.task;
    if (!task.gate.empty()) {
        const MatmulTask gate = {task.gate, task.x, task.gate_out};
        run_product({&gate, piece.int8, piece.begin, piece.end, piece.thread});
    }
    run_product(piece);
    add_bias(task, piece.begin, piece.end);
    for (int64_t t = 0; !task.gate.empty() && t < task.out.n_rows; ++t) {
        float* out = task.out.row(t) + piece.begin;
        kernels_.swiglu_row(task.gate_out.row(t) + piece.begin, out, piece.end - piece.begin, out);
    }
}

void Matmul::run_product(const Piece& piece) {
    if (has_panels(*piece.task)) {
        panel_product(*piece.task, *piece.int8, *kernels_.int8, piece.begin, piece.end, scratch_);
    } else if (piece.int8 != nullptr) {
        run_blocks(piece);
    } else if (piece.task->transposed) {
        run_transposed(piece);
    } else if (goes_direct(kernels_, *piece.task)) {
        run_direct(piece);
    } else {
        run_tiled(piece);
    }
}

void Matmul::run_blocks(const Piece& piece) {
    const MatmulTask& task = *piece.task;
    kernels_.blocks->dot[static_cast<int>(task.weight.format->id)](
        {.rows = stored_rows(task.weight),
         .first = piece.begin,
         .n = piece.end - piece.begin,
         .x = piece.int8,
         .x_first = 0,
         .n_x = task.x.n_rows,
         .out = task.out.data + piece.begin,
         .out_stride = task.out.stride});
}

void Matmul::run_direct(const Piece& piece) {
    const MatmulTask& task = *piece.task;
    const StoredRows rows = stored_rows(task.weight);
    const auto dot_rows = format_kernels(kernels_, task.weight).dot_rows;
    for (int64_t row = piece.begin; row < piece.end; row += kDirectRows) {
        const int64_t n = std::min(kDirectRows, piece.end - row);
        dot_rows({.rows = rows,
                  .first = row,
                  .n = n,
                  .x = task.x.data,
                  .x_stride = task.x.stride,
                  .n_x = task.x.n_rows,
                  .out = task.out.data + row,
                  .out_stride = task.out.stride});
    }
}

void Matmul::run_tiled(const Piece& piece) {
    const MatmulTask& task = *piece.task;
    const Weight& weight = task.weight;
    const float* in_place = floats_in_place(weight);
    const Scratch::Lease lease(scratch_);
    const int64_t tile_stride = round_up<int64_t>(weight.cols, 16);
    const int64_t step = tile_rows(weight.cols);
    for (int64_t row = piece.begin; row < piece.end; row += step) {
        ProductArgs args{.rows = lease.data(),
                         .row_stride = tile_stride,
                         .n_rows = std::min(step, piece.end - row),
                         .x = task.x.data,
                         .x_stride = task.x.stride,
                         .n_x = task.x.n_rows,
                         .n_cols = weight.cols,
                         .out = task.out.data + row,
                         .out_stride = task.out.stride};
        if (in_place != nullptr) {
            args.row_stride = weight.row_stride_bytes / static_cast<int64_t>(sizeof(float));
            args.rows = in_place + row * args.row_stride;
        } else {
            decode_rows(kernels_, weight, row, args.n_rows, lease.data(), tile_stride);
        }
        kernels_.products(args);
    }
}

void Matmul::run_transposed(const Piece& piece) {
    const MatmulTask& task = *piece.task;
    const Scratch::Lease lease(scratch_);
    for (int64_t t = 0; t < task.out.n_rows; ++t) {
        std::fill(task.out.row(t) + piece.begin, task.out.row(t) + piece.end, 0.0F);
    }
    for (int64_t column = piece.begin; column < piece.end; column += kTransposedColumns) {
        const int64_t n_columns = std::min(kTransposedColumns, piece.end - column);
        const Weight part = slice_columns(task.weight, column, n_columns);
        for (int64_t row = 0; row < part.rows; row += kTransposedRows) {
            const int64_t n_rows = std::min(kTransposedRows, part.rows - row);
            decode_rows(kernels_, part, row, n_rows, lease.data(), kTransposedColumns);
            kernels_.accumulate({.rows = lease.data(),
                                 .row_stride = kTransposedColumns,
                                 .n_rows = n_rows,
                                 .coefficients = task.x.data + row,
                                 .coefficient_stride = task.x.stride,
                                 .n_out = task.x.n_rows,
                                 .out = task.out.data + column,
                                 .out_stride = task.out.stride,
                                 .n_cols = n_columns});
        }
    }
}

}  // namespace nereus
