#pragma once
// Products with panel formats: rounds activations to int8 once for all tasks that share them, then
// computes panels of output columns, straight from the codes for a few rows and by unpacked blocks
// for many. Both give the same bits.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/int8.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace nereus {

/// The int8 activations of one matmul call. threads: prepare from the caller only.
class Int8Activations {
  public:
    /// Rounds the activations of every panel task; tasks with the same x share a rounding.
    void prepare(std::span<const MatmulTask> tasks, const Int8Kernels& kernels, ThreadPool& pool);
    /// Of the i-th task.
    const Int8Rows& of_task(size_t i) const { return sets_[set_of_task_[i]].rows; }

  private:
    static constexpr size_t kAlignment = 64;
    struct Free {
        void operator()(std::byte* data) const {
            ::operator delete[](data, std::align_val_t{kAlignment});
        }
    };
    struct Set {
        ConstRows x;
        Int8Rows rows;
    };

    size_t find_or_add(const ConstRows& x);
    void allocate();

    std::vector<Set> sets_;
    std::vector<size_t> set_of_task_;
    std::unique_ptr<std::byte[], Free> buffer_;
    size_t capacity_ = 0;
};

/// Output columns a piece of a panel product is a multiple of.
int64_t panel_piece_unit(const Int8Kernels& kernels, int64_t n_x);

/// Floats of scratch that panel_product may lease.
int64_t panel_scratch_floats();

/// Output columns [begin, end) of a task; begin is a whole number of units.
void panel_product(const MatmulTask& task, const Int8Rows& x, const Int8Kernels& kernels,
                   int64_t begin, int64_t end, Scratch& scratch);

}  // namespace nereus
