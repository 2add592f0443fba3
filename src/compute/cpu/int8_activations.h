#pragma once
// Activations rounded to int8, once for all products of a call that meet the same ones.

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/int8.h"
#include "compute/cpu/kernels.h"

namespace nereus {

/// The int8 activations of one matmul call. threads: prepare from the caller only.
class Int8Activations {
  public:
    /// Rounds the activations of every task; kinds[i] says to what (kF32: not at all). Tasks with
    /// the same x and kind share a rounding.
    void prepare(std::span<const MatmulTask> tasks, std::span<const Activations> kinds,
                 const KernelTable& kernels, ThreadPool& pool);
    /// Of the i-th task; null where its activations stay floats.
    const Int8Rows* of_task(size_t i) const {
        return set_of_task_[i] == kNone ? nullptr : &sets_[set_of_task_[i]].rows;
    }

  private:
    static constexpr size_t kAlignment = 64;
    static constexpr size_t kNone = ~size_t{0};
    struct Free {
        void operator()(std::byte* data) const {
            ::operator delete[](data, std::align_val_t{kAlignment});
        }
    };
    struct Set {
        ConstRows x;
        Activations kind;
        Int8Rows rows;
        int64_t first = 0;  ///< among the rows of all sets
    };

    size_t find_or_add(const ConstRows& x, Activations kind);
    void allocate();
    /// All sets in one parallel section.
    void round_all(const KernelTable& kernels, ThreadPool& pool);

    std::vector<Set> sets_;
    std::vector<size_t> set_of_task_;
    std::unique_ptr<std::byte[], Free> buffer_;
    size_t capacity_ = 0;
};

}  // namespace nereus
