#include "compute/cpu/int8_activations.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/units.h"
#include "compute/cpu/int8_blocks.h"

namespace nereus {
namespace {

/// Floats rounded by one thread without waking the others: about 5 us.
constexpr int64_t kInlineFloats = 32 * 1024;

/// What rounding to one kind takes; bytes are those of one block of one row.
struct Kind {
    int64_t columns;
    int64_t sum_bytes;
    int64_t total_bytes;
    int64_t offset_bytes;
    int64_t sum_16_bytes;
    int64_t readable_rows;  ///< of values, from any row on
    RoundRow* (*round_row)(const KernelTable& kernels);

    int64_t n_bytes() const {
        return columns + static_cast<int64_t>(sizeof(float)) + sum_bytes + total_bytes +
               offset_bytes + sum_16_bytes;
    }
};

constexpr std::array kKinds = {
    Kind{1, 0, 0, 0, 0, 0, [](const KernelTable&) -> RoundRow* { return nullptr; }},
    Kind{kPanelColumns, 2 * kSumsPerBlock, 4, 0, 0, kReadableRows,
         [](const KernelTable& k) -> RoundRow* { return k.int8->round_row; }},
    Kind{kPanelColumns, 2 * kSumsPerBlock, 4, 0, 0, kReadableRows,
         [](const KernelTable& k) -> RoundRow* { return k.int8->round_turned_row; }},
    Kind{32, 0, 0, 4, 0, 0,
         [](const KernelTable& k) -> RoundRow* { return k.blocks->round_row_32; }},
    Kind{256, 0, 0, 0, 32, 0,
         [](const KernelTable& k) -> RoundRow* { return k.blocks->round_row_256; }},
};

const Kind& kind_of(Activations activations) { return kKinds[static_cast<size_t>(activations)]; }

int64_t blocks_of(const ConstRows& x, Activations activations) {
    const int64_t columns = kind_of(activations).columns;
    return (x.n_cols + columns - 1) / columns;
}

/// Moves `next` on by n_bytes; null where there are none.
template <typename T>
T* take(std::byte*& next, int64_t n_bytes) {
    T* taken = n_bytes == 0 ? nullptr : reinterpret_cast<T*>(next);
    next += n_bytes;
    return taken;
}

}  // namespace

size_t Int8Activations::find_or_add(const ConstRows& x, Activations kind) {
    for (size_t i = 0; i < sets_.size(); ++i) {
        const ConstRows& other = sets_[i].x;
        if (sets_[i].kind == kind && other.data == x.data && other.n_rows == x.n_rows &&
            other.n_cols == x.n_cols && other.stride == x.stride) {
            return i;
        }
    }
    sets_.push_back({x, kind, {}});
    return sets_.size() - 1;
}

void Int8Activations::allocate() {
    const auto bytes_of = [](const Set& set) {
        const Kind& kind = kind_of(set.kind);
        return round_up<int64_t>(set.x.n_rows * blocks_of(set.x, set.kind) * kind.n_bytes() +
                                     kind.readable_rows * kind.columns,
                                 64);
    };
    size_t wanted = 0;
    for (const Set& set : sets_) {
        wanted += static_cast<size_t>(bytes_of(set));
    }
    if (wanted > capacity_) {
        buffer_.reset(
            static_cast<std::byte*>(::operator new[](wanted, std::align_val_t{kAlignment})));
        capacity_ = wanted;
    }
    std::byte* begin = buffer_.get();
    for (Set& set : sets_) {
        const Kind& kind = kind_of(set.kind);
        Int8Rows& rows = set.rows;
        rows.n_rows = set.x.n_rows;
        rows.n_blocks = blocks_of(set.x, set.kind);
        const int64_t blocks = rows.n_rows * rows.n_blocks;
        std::byte* next = begin;
        rows.values = take<int8_t>(next, blocks * kind.columns);
        rows.sums = take<int16_t>(next, blocks * kind.sum_bytes);
        rows.sums_16 = take<int16_t>(next, blocks * kind.sum_16_bytes);
        rows.scales = take<float>(next, blocks * static_cast<int64_t>(sizeof(float)));
        rows.totals = take<int32_t>(next, blocks * kind.total_bytes);
        rows.offsets = take<float>(next, blocks * kind.offset_bytes);
        begin += bytes_of(set);
    }
}

void Int8Activations::prepare(std::span<const MatmulTask> tasks, std::span<const Activations> kinds,
                              const KernelTable& kernels, ThreadPool& pool) {
    NEREUS_CHECK(kinds.size() == tasks.size());
    sets_.clear();
    set_of_task_.assign(tasks.size(), kNone);
    for (size_t i = 0; i < tasks.size(); ++i) {
        if (kinds[i] != Activations::kF32) {
            set_of_task_[i] = find_or_add(tasks[i].x, kinds[i]);
        }
    }
    allocate();
    round_all(kernels, pool);
}

void Int8Activations::round_all(const KernelTable& kernels, ThreadPool& pool) {
    int64_t n_rows = 0;
    int64_t n_floats = 0;
    for (Set& set : sets_) {
        set.first = n_rows;
        n_rows += set.x.n_rows;
        n_floats += set.x.n_rows * set.x.n_cols;
    }
    const int64_t floats_per_row = std::max<int64_t>(n_floats / std::max<int64_t>(n_rows, 1), 1);
    const int64_t grain = n_floats <= kInlineFloats
                              ? std::max<int64_t>(n_rows, 1)
                              : std::max<int64_t>(kInlineFloats / 4 / floats_per_row, 1);
    pool.parallel_for(n_rows, grain, [&](int64_t begin, int64_t end) {
        auto set = std::upper_bound(sets_.begin(), sets_.end(), begin,
                                    [](int64_t row, const Set& s) { return row < s.first; }) -
                   1;
        for (int64_t row = begin; row < end; ++row) {
            while (row >= set->first + set->x.n_rows) {
                ++set;
            }
            const int64_t i = row - set->first;
            kind_of(set->kind).round_row(kernels)(set->x.row(i), set->x.n_cols, i, set->rows);
        }
    });
}

}  // namespace nereus
