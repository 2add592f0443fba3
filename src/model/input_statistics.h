#pragma once
// What enters the matrices of a model while it reads a text: the mean square of every input column.
// A rounding error in a column costs in proportion to it, so packing weighs errors by it (the
// diagonal of the second moments that GPTQ, https://arxiv.org/abs/2210.17323, uses whole; the same
// statistic as llama.cpp's importance matrix, https://github.com/ggml-org/llama.cpp/pull/4861).

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "model/repack.h"

namespace nereus {

class ThreadPool;

/// threads: add and finish one at a time; then any number may look up.
class InputStatistics {
  public:
    /// Adds the inputs of these products, as observe_products shows them. The sums do not depend on
    /// the number of threads.
    void add(std::span<const MatmulTask> tasks, ThreadPool& pool);
    /// Sums become weights of mean 1, none below kLeastWeight. Call once, after the last add.
    void finish();

    /// Weights [cols] of the matrix whose bytes hold `rows`; null when nothing entered it.
    const float* weights_of(const std::byte* rows, int64_t cols) const;
    int64_t n_matrices() const { return static_cast<int64_t>(inputs_.size()); }

    /// A text is a sample: a column that it leaves at zero is not free to be wrong.
    static constexpr float kLeastWeight = 0.01F;

  private:
    struct Input {
        const std::byte* end = nullptr;
        std::vector<float> columns;  ///< sums of squares, then weights
    };

    std::map<const std::byte*, Input> inputs_;  ///< by where the matrix begins
};

/// Reads the finished statistics, which must outlive it.
ImportanceOf importance_of(const InputStatistics& statistics);

}  // namespace nereus
