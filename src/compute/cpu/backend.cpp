// CpuBackend: the verbs over a thread pool and one kernel table. Verbs that are pure data movement
// or plain additions are written here once; the others go through the table.

#include "compute/backend.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/thread_pool.h"
#include "compute/cpu/append_kv.h"
#include "compute/cpu/attention.h"
#include "compute/cpu/isa.h"
#include "compute/cpu/matmul.h"
#include "compute/cpu/router.h"
#include "compute/cpu/scratch.h"
#include "compute/cpu/stored.h"

namespace nereus {
namespace {

/// Floats of an elementwise verb below which one thread does all: 64 K floats take about 10 us.
constexpr int64_t kInlineFloats = 64 * 1024;

class CpuBackend final : public Backend {
  public:
    CpuBackend(ThreadPool& pool, const KernelTable& kernels, ActivationsChoice activations)
        : pool_(pool),
          kernels_(kernels),
          scratch_(pool.n_threads()),
          matmul_(pool, kernels_, scratch_, activations),
          attention_(pool, kernels_, scratch_) {}

    std::string_view isa() const override { return kernels_.name; }
    ThreadPool& pool() override { return pool_; }

    void embed(const Weight& table, std::span<const int32_t> ids, Rows out) override {
        NEREUS_CHECK(static_cast<int64_t>(ids.size()) == out.n_rows);
        NEREUS_CHECK(out.n_cols == table.cols);
        for_each_row(out.n_rows, out.n_cols, [&](int64_t i) {
            const int32_t id = ids[static_cast<size_t>(i)];
            NEREUS_CHECK(id >= 0);
            NEREUS_CHECK(id < table.rows);
            decode_rows(kernels_, table, id, 1, out.row(i), out.stride);
        });
    }

    void rms_norm(ConstRows x, const float* gain, float eps, Rows out) override {
        check_same_shape(x, out);
        for_each_row(out.n_rows, out.n_cols, [&](int64_t i) {
            kernels_.rms_norm_row(x.row(i), gain, eps, out.n_cols, out.row(i));
        });
    }

    void matmul(std::span<const MatmulTask> tasks) override {
        if (observer_) {
            show(tasks);
        }
        matmul_.run(tasks);
    }

    void observe_products(ProductObserver observer) override { observer_ = std::move(observer); }

    void add(ConstRows x, Rows out) override {
        check_same_shape(x, out);
        for_each_row(out.n_rows, out.n_cols, [&](int64_t i) {
            const float* from = x.row(i);
            float* to = out.row(i);
            for (int64_t c = 0; c < out.n_cols; ++c) {
                to[c] += from[c];
            }
        });
    }

    void swiglu(ConstRows gate, ConstRows up, Rows out) override {
        check_same_shape(gate, out);
        check_same_shape(up, out);
        for_each_row(out.n_rows, out.n_cols, [&](int64_t i) {
            kernels_.swiglu_row(gate.row(i), up.row(i), out.n_cols, out.row(i));
        });
    }

    void rope(const RopeArgs& args) override;
    void append_kv(const AppendKvArgs& args) override {
        NEREUS_CHECK(static_cast<int64_t>(args.places.size()) == args.x.n_rows);
        NEREUS_CHECK(args.x.n_cols == args.rows.width);
        for_each_row(args.x.n_rows, args.x.n_cols, [&](int64_t i) {
            append_kv_row(kernels_, args.rows, args.x.row(i), args.places[static_cast<size_t>(i)]);
        });
    }
    void attend_latent(const AttendLatentArgs& args) override;
    void attend_grouped(const AttendGroupedArgs& args) override;
    void route_experts(ConstRows logits, const RouterParams& params, int32_t* ids,
                       float* weights) override;

    void gather_rows(ConstRows x, std::span<const int32_t> rows, Rows out) override {
        NEREUS_CHECK(static_cast<int64_t>(rows.size()) == out.n_rows);
        NEREUS_CHECK(x.n_cols == out.n_cols);
        for_each_row(out.n_rows, out.n_cols, [&](int64_t i) {
            const int32_t from = rows[static_cast<size_t>(i)];
            NEREUS_CHECK(from >= 0);
            NEREUS_CHECK(from < x.n_rows);
            std::copy_n(x.row(from), out.n_cols, out.row(i));
        });
    }

    void combine_rows(ConstRows x, const int32_t* slots, const float* weights, int64_t top_k,
                      Rows out) override {
        NEREUS_CHECK(x.n_cols == out.n_cols);
        for_each_row(out.n_rows, out.n_cols * top_k, [&](int64_t t) {
            for (int64_t j = t * top_k; j < (t + 1) * top_k; ++j) {
                NEREUS_CHECK(slots[j] >= 0);
                NEREUS_CHECK(slots[j] < x.n_rows);
                kernels_.accumulate({.rows = x.row(slots[j]),
                                     .n_rows = 1,
                                     .coefficients = weights + j,
                                     .n_out = 1,
                                     .out = out.row(t),
                                     .n_cols = out.n_cols});
            }
        });
    }

  private:
    static void check_same_shape(const ConstRows& x, const Rows& out) {
        NEREUS_CHECK(x.n_rows == out.n_rows);
        NEREUS_CHECK(x.n_cols == out.n_cols);
    }

    /// body(i) for every row, on the pool where the rows together are worth it.
    template <typename Body>
    void for_each_row(int64_t n_rows, int64_t floats_per_row, const Body& body) {
        const int64_t rows_inline = kInlineFloats / std::max<int64_t>(floats_per_row, 1);
        const int64_t grain = n_rows <= rows_inline ? std::max<int64_t>(n_rows, 1)
                                                    : std::max<int64_t>(rows_inline / 8, 1);
        pool_.parallel_for(n_rows, grain, [&body](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                body(i);
            }
        });
    }

    ThreadPool& pool_;
    const KernelTable kernels_;
    Scratch scratch_;
    Matmul matmul_;
    Attention attention_;
    /// A product with a gate is two to the observer.
    void show(std::span<const MatmulTask> tasks) const {
        std::vector<MatmulTask> all(tasks.begin(), tasks.end());
        for (const MatmulTask& task : tasks) {
            if (!task.gate.empty()) {
                all.emplace_back().weight = task.gate;
                all.back().x = task.x;
                all.back().out = task.gate_out;
            }
        }
        observer_(all);
    }

    ProductObserver observer_;
};

/// One head: pair i is rotated by the angle of column i. Products and sums are rounded one by one.
void rotate(float* head, int64_t width, RopeLayout layout, const float* cos, const float* sin) {
    const bool interleaved = layout == RopeLayout::kInterleaved;
    const int64_t half = width / 2;
    for (int64_t i = 0; i < half; ++i) {
        float& a = interleaved ? head[2 * i] : head[i];
        float& b = interleaved ? head[2 * i + 1] : head[i + half];
        const float old_a = a;
        a = old_a * cos[i] - b * sin[i];
        b = old_a * sin[i] + b * cos[i];
    }
}

void CpuBackend::rope(const RopeArgs& args) {
    NEREUS_CHECK(static_cast<int64_t>(args.positions.size()) == args.x.n_rows);
    NEREUS_CHECK(args.width % 2 == 0);
    NEREUS_CHECK(args.offset + (args.n_heads - 1) * args.head_stride + args.width <= args.x.n_cols);
    for_each_row(args.x.n_rows, args.n_heads * args.width, [&](int64_t t) {
        const int64_t angles = args.positions[static_cast<size_t>(t)] * (args.width / 2);
        for (int64_t h = 0; h < args.n_heads; ++h) {
            rotate(args.x.row(t) + args.offset + h * args.head_stride, args.width, args.layout,
                   args.cos + angles, args.sin + angles);
        }
    });
}

void CpuBackend::attend_latent(const AttendLatentArgs& args) {
    attention_.run({.q = args.q,
                    .out = args.out,
                    .visible = args.visible,
                    .n_sets = 1,
                    .heads_per_set = args.n_heads,
                    .key_offset = 0,
                    .key_width = args.latent + args.rope,
                    .value_offset = 0,
                    .value_width = args.latent,
                    .scale = args.scale});
}

void CpuBackend::attend_grouped(const AttendGroupedArgs& args) {
    NEREUS_CHECK(args.n_kv_heads > 0);
    NEREUS_CHECK(args.n_heads % args.n_kv_heads == 0);
    NEREUS_CHECK(args.visible.empty() || args.visible[0].format != KvFormat::kInt8);
    attention_.run({.q = args.q,
                    .out = args.out,
                    .visible = args.visible,
                    .n_sets = args.n_kv_heads,
                    .heads_per_set = args.n_heads / args.n_kv_heads,
                    .key_offset = 0,
                    .key_width = args.head_dim,
                    .value_offset = args.n_kv_heads * args.head_dim,
                    .value_width = args.value_dim,
                    .scale = args.scale});
}

void CpuBackend::route_experts(ConstRows logits, const RouterParams& params, int32_t* ids,
                               float* weights) {
    const int64_t n_experts = logits.n_cols;
    NEREUS_CHECK(params.top_k >= 1);
    NEREUS_CHECK(params.top_k <= n_experts);
    NEREUS_CHECK(params.n_group >= 1);
    NEREUS_CHECK(n_experts % params.n_group == 0);
    NEREUS_CHECK(params.topk_group >= 1);
    NEREUS_CHECK(params.topk_group <= params.n_group);
    scratch_.reserve(router_scratch_floats(n_experts, params));
    // Choosing k of n looks at every score k times.
    for_each_row(logits.n_rows, n_experts * params.top_k, [&](int64_t t) {
        const Scratch::Lease lease(scratch_);
        route_token(kernels_, logits.row(t), n_experts, params, lease.data(),
                    ids + t * params.top_k, weights + t * params.top_k);
    });
}

}  // namespace

Result<std::unique_ptr<Backend>> create_cpu_backend(ThreadPool& pool, std::string_view isa,
                                                    ActivationsChoice activations) {
    const KernelTable kernels = NEREUS_TRY(select_kernels(isa));
    return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(pool, kernels, activations));
}

}  // namespace nereus
