// The portable kernel table: the specification that the other tables reproduce bit for bit. Short
// and plain on purpose; never tuned. Formats have no kernels of their own here: the backend decodes
// them with format.decode_row.

#include "compute/cpu/kernels.h"

#include "compute/cpu/math.h"
#include "compute/cpu/portable/int8.h"
#include "compute/cpu/portable/int8_blocks.h"
#include "compute/cpu/portable/latent.h"

namespace nereus {
namespace {

constexpr int kLanes = 16;

/// The order in which sixteen partial sums are added.
float add_lanes(float* lanes) {
    for (int width = kLanes / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; ++i) {
            lanes[i] = lanes[i] + lanes[i + width];
        }
    }
    return lanes[0];
}

/// The dot product of the whole engine: lane c % 16 takes column c.
float dot(const float* row, const float* x, int64_t n) {
    float lanes[kLanes] = {};
    for (int64_t c = 0; c < n; ++c) {
        lanes[c % kLanes] = __builtin_fmaf(row[c], x[c], lanes[c % kLanes]);
    }
    return add_lanes(lanes);
}

void products(const ProductArgs& args) {
    for (int64_t t = 0; t < args.n_x; ++t) {
        for (int64_t r = 0; r < args.n_rows; ++r) {
            args.out[t * args.out_stride + r] =
                dot(args.rows + r * args.row_stride, args.x + t * args.x_stride, args.n_cols);
        }
    }
}

void accumulate(const AccumulateArgs& args) {
    for (int64_t i = 0; i < args.n_out; ++i) {
        float* out = args.out + i * args.out_stride;
        for (int64_t r = 0; r < args.n_rows; ++r) {
            const float coefficient = args.coefficients[i * args.coefficient_stride + r];
            const float* row = args.rows + r * args.row_stride;
            for (int64_t c = 0; c < args.n_cols; ++c) {
                out[c] = __builtin_fmaf(coefficient, row[c], out[c]);
            }
        }
    }
}

void exp_row(const float* x, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        out[i] = exp_shared(x[i]);
    }
}

float softmax_row(float* scores, int64_t n, float scale, float* top) {
    float highest = -__builtin_inff();
    for (int64_t i = 0; i < n; ++i) {
        scores[i] *= scale;
        highest = highest > scores[i] ? highest : scores[i];
    }
    *top = highest;
    float lanes[kLanes] = {};
    for (int64_t i = 0; i < n; ++i) {
        scores[i] = exp_shared(scores[i] - highest);
        lanes[i % kLanes] += scores[i];
    }
    return add_lanes(lanes);
}

void rms_norm_row(const float* x, const float* gain, float eps, int64_t n, float* out) {
    const float divisor = __builtin_sqrtf(dot(x, x, n) / static_cast<float>(n) + eps);
    for (int64_t i = 0; i < n; ++i) {
        out[i] = x[i] / divisor * gain[i];
    }
}

void swiglu_row(const float* gate, const float* up, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) {
        out[i] = gate[i] / (1.0F + exp_shared(-gate[i])) * up[i];
    }
}

}  // namespace

extern const KernelTable kPortableKernels = {
    .name = "portable",
    .formats = {},
    .products = products,
    .accumulate = accumulate,
    .exp_row = exp_row,
    .softmax_row = softmax_row,
    .rms_norm_row = rms_norm_row,
    .swiglu_row = swiglu_row,
    .int8 = &kPortableInt8,
    .blocks = &kPortableBlocks,
    .latent = &kPortableLatent,
};

}  // namespace nereus
