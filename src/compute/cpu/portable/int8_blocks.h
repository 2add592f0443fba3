#pragma once
// The products of block formats with int8 activations as they are defined (int8_blocks.h): every
// other table gives these bits.

#include "compute/cpu/int8_blocks.h"
#include "tensor/block_integers.h"
#include "tensor/format.h"

namespace nereus {
namespace {

/// The nearest half float, ties to even.
float rounded_to_f16(float value) {
    const float magnitude = __builtin_fabsf(value);
    float rounded = 0.0F;
    if (magnitude < 0x1p-14F) {
        rounded = (magnitude + 0.5F) - 0.5F;  // subnormal halves are multiples of 2^-24
    } else if (magnitude < 65520.0F) {
        uint32_t bits = 0;
        __builtin_memcpy(&bits, &magnitude, sizeof(bits));
        bits = (bits + 0xfffU + ((bits >> 13) & 1U)) & ~0x1fffU;
        __builtin_memcpy(&rounded, &bits, sizeof(bits));
    } else {
        rounded = magnitude * __builtin_inff();
    }
    return value < 0.0F ? -rounded : rounded;
}

struct Rounding {
    float largest = 0.0F;
    float inverse = 0.0F;
    bool finite = true;
};

Rounding rounding_of(const float* x, int64_t n) {
    Rounding r;
    for (int64_t c = 0; c < n; ++c) {
        const float magnitude = __builtin_fabsf(x[c]);
        r.finite = r.finite && magnitude < __builtin_inff();
        r.largest = magnitude > r.largest ? magnitude : r.largest;
    }
    if (!r.finite || r.largest < kLargestMin) {
        r.largest = 0.0F;
    } else {
        r.inverse = 127.0F / r.largest;
    }
    return r;
}

/// Writes x8 of n columns and returns their sum.
int32_t round_columns(const float* x, int64_t n, const Rounding& r, int8_t* out) {
    int32_t sum = 0;
    for (int64_t c = 0; c < n; ++c) {
        out[c] =
            static_cast<int8_t>(r.largest == 0.0F ? 0.0F : __builtin_nearbyintf(x[c] * r.inverse));
        sum += out[c];
    }
    return sum;
}

void portable_round_row_32(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < n / kRunColumns; ++block) {
        const float* from = x + block * kRunColumns;
        const int64_t at = block * out.n_rows + row;
        const Rounding r = rounding_of(from, kRunColumns);
        const float scale = r.finite ? r.largest / 127.0F : __builtin_nanf("");
        const int32_t sum = round_columns(from, kRunColumns, r, out.values + at * kRunColumns);
        out.scales[at] = rounded_to_f16(scale);
        out.offsets[at] = rounded_to_f16(scale * static_cast<float>(sum));
    }
}

void portable_round_row_256(const float* x, int64_t n, int64_t row, const Int8Rows& out) {
    for (int64_t block = 0; block < n / kChunkColumns; ++block) {
        const float* from = x + block * kChunkColumns;
        const int64_t at = block * out.n_rows + row;
        const Rounding r = rounding_of(from, kChunkColumns);
        for (int64_t i = 0; i < kChunkColumns / kSumColumns; ++i) {
            out.sums_16[at * 16 + i] = static_cast<int16_t>(
                round_columns(from + i * kSumColumns, kSumColumns, r,
                              out.values + at * kChunkColumns + i * kSumColumns));
        }
        out.scales[at] = !r.finite           ? __builtin_nanf("")
                         : r.largest == 0.0F ? 0.0F
                                             : 1.0F / r.inverse;
    }
}

/// The sum of q * x8 over four columns.
int32_t four(const int8_t* q, const int8_t* x8) {
    return q[0] * x8[0] + q[1] * x8[1] + q[2] * x8[2] + q[3] * x8[3];
}

constexpr int kIntegerLanes = 8;

void add_block_of_32(const BlockIntegers& w, bool has_minimum, const Int8Rows& x, int64_t at,
                     float* lanes) {
    const int8_t* x8 = x.values + at * kRunColumns;
    for (int j = 0; j < kIntegerLanes; ++j) {
        lanes[j] = __builtin_fmaf(static_cast<float>(four(w.q + 4 * j, x8 + 4 * j)),
                                  w.d * x.scales[at], lanes[j]);
    }
    if (has_minimum) {
        lanes[0] = __builtin_fmaf(w.minimum, x.offsets[at], lanes[0]);
    }
}

void add_block_of_256(const BlockIntegers& w, bool has_minima, const Int8Rows& x, int64_t at,
                      float* lanes) {
    const int8_t* x8 = x.values + at * kChunkColumns;
    const int16_t* sums = x.sums_16 + at * 16;
    for (int j = 0; j < kIntegerLanes; ++j) {
        int32_t total = 0;
        for (int c = 4 * j; c < kChunkColumns; c += kRunColumns) {
            total += w.factors[c / 16] * four(w.q + c, x8 + c);
        }
        lanes[j] = __builtin_fmaf(static_cast<float>(total), w.d * x.scales[at], lanes[j]);
        if (has_minima) {
            const int32_t minima =
                w.minima[2 * j] * sums[2 * j] + w.minima[2 * j + 1] * sums[2 * j + 1];
            lanes[j] =
                __builtin_fmaf(-static_cast<float>(minima), w.minimum * x.scales[at], lanes[j]);
        }
    }
}

float add_integer_lanes(float* lanes) {
    for (int width = kIntegerLanes / 2; width >= 1; width /= 2) {
        for (int i = 0; i < width; ++i) {
            lanes[i] = lanes[i] + lanes[i + width];
        }
    }
    return lanes[0];
}

template <FormatId kId, bool kMinimum>
void portable_block_dot(const BlockDotArgs& args) {
    const Format& format = format_of(kId);
    BlockIntegers w;
    for (int64_t r = 0; r < args.n; ++r) {
        const unsigned char* row = args.rows.data + (args.first + r) * args.rows.stride_bytes;
        for (int64_t t = 0; t < args.n_x; ++t) {
            float lanes[kIntegerLanes] = {};
            for (int64_t b = 0; b < args.x->n_blocks; ++b) {
                format.unpack_block(
                    reinterpret_cast<const std::byte*>(row) + b * format.block_bytes, w);
                const int64_t at = b * args.x->n_rows + args.x_first + t;
                if (format.block_elements == kRunColumns) {
                    add_block_of_32(w, kMinimum, *args.x, at, lanes);
                } else {
                    add_block_of_256(w, kMinimum, *args.x, at, lanes);
                }
            }
            args.out[t * args.out_stride + r] = add_integer_lanes(lanes);
        }
    }
}

constexpr BlockKernels portable_blocks() {
    BlockKernels kernels{};
    kernels.round_row_32 = portable_round_row_32;
    kernels.round_row_256 = portable_round_row_256;
    const auto at = [&kernels](FormatId id) -> auto& { return kernels.dot[static_cast<int>(id)]; };
    at(FormatId::kQ8_0) = portable_block_dot<FormatId::kQ8_0, false>;
    at(FormatId::kQ4_0) = portable_block_dot<FormatId::kQ4_0, false>;
    at(FormatId::kQ4_1) = portable_block_dot<FormatId::kQ4_1, true>;
    at(FormatId::kQ5_0) = portable_block_dot<FormatId::kQ5_0, false>;
    at(FormatId::kQ5_1) = portable_block_dot<FormatId::kQ5_1, true>;
    at(FormatId::kIq4Nl) = portable_block_dot<FormatId::kIq4Nl, false>;
    at(FormatId::kMxfp4) = portable_block_dot<FormatId::kMxfp4, false>;
    at(FormatId::kQ2K) = portable_block_dot<FormatId::kQ2K, true>;
    at(FormatId::kQ3K) = portable_block_dot<FormatId::kQ3K, false>;
    at(FormatId::kQ4K) = portable_block_dot<FormatId::kQ4K, true>;
    at(FormatId::kQ5K) = portable_block_dot<FormatId::kQ5K, true>;
    at(FormatId::kQ6K) = portable_block_dot<FormatId::kQ6K, false>;
    at(FormatId::kIq2Xxs) = portable_block_dot<FormatId::kIq2Xxs, false>;
    kernels.rows_together = 1;
    return kernels;
}

inline constexpr BlockKernels kPortableBlocks = portable_blocks();

}  // namespace
}  // namespace nereus
