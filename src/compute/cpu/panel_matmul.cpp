#include "compute/cpu/panel_matmul.h"

#include <algorithm>

#include "base/check.h"

namespace nereus {
namespace {

/// Activation rows that are multiplied by an unpacked block before the next one is unpacked: their
/// sums (32 KB) and bytes (32 KB a block) stay in the L2 cache.
constexpr int64_t kRowsTogether = 256;

/// How far ahead weights that are unpacked once are asked for. Prefill of V2-Lite's shape, Zen 5:
/// 205 tokens/s without, 240 with one block, 242 with two.
constexpr int64_t kBlocksAhead = 2;

const PanelKernels& kernels_of(const Int8Kernels& kernels, const Weight& weight) {
    return kernels.formats[panel_index_of(weight.format->id)];
}

bool goes_direct(const Int8Kernels& kernels, const Weight& weight, int64_t n_x) {
    const PanelKernels& format = kernels_of(kernels, weight);
    return format.multiply == nullptr || n_x <= format.direct_rows_best;
}

/// The state of the tiles, where the table has one, for as long as it lives.
class Tiles {
  public:
    explicit Tiles(const Int8Kernels& kernels) : kernels_(kernels) {
        if (kernels_.begin != nullptr) {
            kernels_.begin();
        }
    }
    ~Tiles() {
        if (kernels_.end != nullptr) {
            kernels_.end();
        }
    }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

  private:
    const Int8Kernels& kernels_;
};

const unsigned char* panel_at(const Weight& weight, int64_t panel) {
    return reinterpret_cast<const unsigned char*>(weight.data) + panel * weight.row_stride_bytes;
}

/// Columns [begin, end) of rows first .. first + n - 1, from sums whose column 0 is `begin`.
void copy_out(const float* sums, int64_t sums_stride, const Rows& out, int64_t first, int64_t n,
              int64_t begin, int64_t end) {
    for (int64_t i = 0; i < n; ++i) {
        std::copy_n(sums + i * sums_stride, end - begin, out.row(first + i) + begin);
    }
}

void direct(const MatmulTask& task, const Int8Rows& x, const Int8Kernels& kernels, int64_t begin,
            int64_t end) {
    constexpr int64_t kRowsMax = 8;
    NEREUS_CHECK(kernels.direct_rows_max <= kRowsMax);
    float sums[kRowsMax * kPanelRows];
    const PanelKernels& format = kernels_of(kernels, task.weight);
    for (int64_t row = begin; row < end; row += kPanelRows) {
        for (int64_t i = 0; i < x.n_rows; i += kernels.direct_rows_max) {
            const int64_t n = std::min(kernels.direct_rows_max, x.n_rows - i);
            format.dot({.panel = panel_at(task.weight, row / kPanelRows),
                        .x = &x,
                        .first = i,
                        .n = n,
                        .out = sums});
            copy_out(sums, kPanelRows, task.out, i, n, row, std::min(row + kPanelRows, end));
        }
    }
}

/// Asks for a block that is unpacked next, while another one is multiplied.
void ask_for(const unsigned char* block, int64_t n_bytes) {
    for (int64_t line = 0; line < n_bytes; line += 64) {
        __builtin_prefetch(block + line, 0, 2);
    }
}

/// Rows [first, first + n) of x against the panels from output column `row` on.
void by_blocks(const MatmulTask& task, const Int8Rows& x, const Int8Kernels& kernels, int64_t first,
               int64_t n, int64_t row, int64_t n_panels, float* scratch) {
    const PanelKernels& format = kernels_of(kernels, task.weight);
    const int64_t block_bytes = task.weight.format->panel->block_bytes;
    float* sums = scratch;
    float* scales = sums + kRowsTogether * kOutColumns;
    auto* weights = reinterpret_cast<uint8_t*>(scales + kOutColumns);
    std::fill_n(sums, n * kOutColumns, 0.0F);
    for (int64_t block = 0; block < x.n_blocks; ++block) {
        for (int64_t p = 0; p < n_panels; ++p) {
            const unsigned char* from =
                panel_at(task.weight, row / kPanelRows + p) + block * block_bytes;
            format.unpack(from, weights + p * kUnpackedBytes, scales + p * kPanelRows);
            ask_for(from + kBlocksAhead * block_bytes, block_bytes);
        }
        const int64_t at = block * x.n_rows + first;
        format.multiply({.weights = weights,
                         .scales = scales,
                         .n_panels = n_panels,
                         .x = x.values + at * kPanelColumns,
                         .x_scales = x.scales + at,
                         .x_sums = x.sums + at * kSumsPerBlock,
                         .x_totals = x.totals + at,
                         .n_x = n,
                         .out = sums});
    }
}

}  // namespace

int64_t panel_scratch_floats() {
    return kRowsTogether * kOutColumns + kOutColumns +
           kPanelsTogether * kUnpackedBytes / static_cast<int64_t>(sizeof(float));
}

void panel_product(const MatmulTask& task, const Int8Rows& x, const Int8Kernels& kernels,
                   int64_t begin, int64_t end, Scratch& scratch) {
    if (goes_direct(kernels, task.weight, x.n_rows)) {
        direct(task, x, kernels, begin, end);
        return;
    }
    const Scratch::Lease lease(scratch);
    const Tiles tiles(kernels);
    for (int64_t row = begin; row < end; row += kOutColumns) {
        const int64_t last = std::min(row + kOutColumns, end);
        for (int64_t first = 0; first < x.n_rows; first += kRowsTogether) {
            const int64_t n = std::min(kRowsTogether, x.n_rows - first);
            by_blocks(task, x, kernels, first, n, row, panel_count(last - row), lease.data());
            copy_out(lease.data(), kOutColumns, task.out, first, n, row, last);
        }
    }
}

}  // namespace nereus
