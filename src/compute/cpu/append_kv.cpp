#include "compute/cpu/append_kv.h"

#include <algorithm>
#include <cstring>

#include "base/floats.h"
#include "compute/cpu/int8.h"

namespace nereus {
namespace {

/// Where a row's four columns lie in every group of a block.
void scatter(const int8_t* values, const KvBlock& block, const KvPlace& place) {
    constexpr uint32_t kBias = 0x80808080U;  // w8 + 128, four at a time
    std::byte* to = place.page + block.codes() +
                    place.row / kPanelRows * kPanelRows * block.stored +
                    place.row % kPanelRows * kPanelGroup;
    for (int64_t c = 0; c < block.stored; c += kPanelGroup) {
        uint32_t four = 0;
        std::memcpy(&four, values + c, sizeof(four));
        four ^= kBias;
        std::memcpy(to + c * kPanelRows, &four, sizeof(four));
    }
}

void append_int8(const KernelTable& kernels, const KvRows& rows, const float* x,
                 const KvPlace& place) {
    int8_t values[kPanelColumns];
    int32_t sums[kSumsPerBlock];
    int32_t total = 0;
    float scale = 0.0F;
    const Int8Rows rounded{.values = values,
                           .scales = &scale,
                           .sums = sums,
                           .totals = &total,
                           .n_rows = 1,
                           .n_blocks = 1};
    const auto append = [&](const KvBlock& block, const float* numbers) {
        kernels.int8->round_row(numbers, block.n, 0, rounded);
        std::memcpy(place.page + block.offset + place.row * int64_t{sizeof(float)}, &scale,
                    sizeof(float));
        scatter(values, block, place);
    };
    for (int64_t b = 0; b < rows.query_blocks(); ++b) {
        const KvBlock block = rows.block(b);
        append(block, x + block.column);
        if (b >= rows.latent_blocks()) {
            float remainder[kPanelColumns];
            for (int64_t c = 0; c < block.n; ++c) {
                remainder[c] = x[block.column + c] - scale * static_cast<float>(values[c]);
            }
            append(rows.block(b + rows.rope_blocks()), remainder);
        }
    }
}

}  // namespace

void append_kv_row(const KernelTable& kernels, const KvRows& rows, const float* x,
                   const KvPlace& place) {
    switch (rows.format) {
        case KvFormat::kF32:
            std::copy_n(x, rows.width, reinterpret_cast<float*>(place.page) + place.row * rows.width);
            return;
        case KvFormat::kBf16:
            std::transform(x, x + rows.width,
                           reinterpret_cast<uint16_t*>(place.page) + place.row * rows.width,
                           f32_to_bf16);
            return;
        case KvFormat::kInt8:
            append_int8(kernels, rows, x, place);
            return;
    }
}

}  // namespace nereus
