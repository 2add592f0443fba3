#pragma once
// Matmul: cuts independent products into pieces of similar work and runs them in one parallel
// section. A thread is given the same rows of a matrix every time: they stay in its caches and, as
// it touched them first, in the memory of its node. Ways to compute a piece: one token straight
// from the stored bytes; several tokens against a tile of decoded rows; transposed, accumulating
// rows; integer products with panel and block formats. All products with one format give the same
// bits.

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/int8_activations.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace nereus {

/// The matmul verb. threads: one caller at a time.
class Matmul {
  public:
    Matmul(ThreadPool& pool, const KernelTable& kernels, Scratch& scratch, ActivationsChoice choice)
        : pool_(pool), kernels_(kernels), scratch_(scratch), choice_(choice) {}
    void run(std::span<const MatmulTask> tasks);

  private:
    /// Output columns [begin, end) of a task.
    struct Piece {
        const MatmulTask* task;
        const Int8Rows* int8;  ///< null where activations stay floats
        int64_t begin;
        int64_t end;
        int64_t thread;  ///< that should take it
    };

    /// Appends the pieces of one task, each of about piece_work multiply-adds.
    void plan(const MatmulTask& task, const Int8Rows* int8, int64_t piece_work);
    /// Puts the pieces in the order of the threads that should take them.
    void share_out();
    /// What the activations of a task are rounded to.
    Activations activations_of(const MatmulTask& task) const;
    int64_t unit_of(const MatmulTask& task, bool int8) const;
    void run_piece(const Piece& piece);
    /// The product with the task's weight.
    void run_product(const Piece& piece);
    void run_blocks(const Piece& piece);
    void run_direct(const Piece& piece);
    void run_tiled(const Piece& piece);
    void run_transposed(const Piece& piece);

    ThreadPool& pool_;
    const KernelTable& kernels_;
    Scratch& scratch_;
    ActivationsChoice choice_;
    Int8Activations int8_;
    std::vector<Activations> kinds_;  ///< of the current call's tasks
    // Of the current call; kept for their capacity.
    std::vector<Piece> pieces_, shared_;
    std::vector<int64_t> starts_;  ///< of each thread's pieces in shared_
};

}  // namespace nereus
