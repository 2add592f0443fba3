#include "model/input_statistics.h"

#include <algorithm>

#include "base/check.h"
#include "base/thread_pool.h"
#include "base/units.h"

namespace nereus {
namespace {

/// Columns that one thread sums: two cache lines, and enough pieces for many threads.
constexpr int64_t kColumnsTogether = 32;

void add_squares(ConstRows x, int64_t begin, int64_t end, float* sums) {
    for (int64_t t = 0; t < x.n_rows; ++t) {
        const float* row = x.row(t);
        for (int64_t c = begin; c < end; ++c) {
            sums[c] += row[c] * row[c];
        }
    }
}

}  // namespace

void InputStatistics::add(std::span<const MatmulTask> tasks, ThreadPool& pool) {
    for (const MatmulTask& task : tasks) {
        Input& input = inputs_[task.weight.data];
        const int64_t n = task.x.n_cols;
        input.end =
            task.weight.data + task.weight.format->matrix_bytes(task.weight.rows, task.weight.cols);
        input.columns.resize(static_cast<size_t>(n));
        pool.parallel_for(ceil_div(n, kColumnsTogether), 1, [&](int64_t begin, int64_t end) {
            add_squares(task.x, begin * kColumnsTogether, std::min(n, end * kColumnsTogether),
                        input.columns.data());
        });
    }
}

void InputStatistics::finish() {
    for (auto& [data, input] : inputs_) {
        double sum = 0;
        for (const float square : input.columns) {
            sum += double{square};
        }
        const double mean = sum / static_cast<double>(input.columns.size());
        for (float& column : input.columns) {
            const double weight = mean > 0 ? double{column} / mean : 1.0;
            column = std::max(static_cast<float>(weight), kLeastWeight);
        }
    }
}

const float* InputStatistics::weights_of(const std::byte* rows, int64_t cols) const {
    auto after = inputs_.upper_bound(rows);
    if (after == inputs_.begin()) {
        return nullptr;
    }
    const Input& input = std::prev(after)->second;
    const bool fits = rows < input.end && static_cast<int64_t>(input.columns.size()) == cols;
    return fits ? input.columns.data() : nullptr;
}

ImportanceOf importance_of(const InputStatistics& statistics) {
    return [&statistics](const std::byte* rows, int64_t cols) {
        return statistics.weights_of(rows, cols);
    };
}

}  // namespace nereus
