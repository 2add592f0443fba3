#pragma once
// The kernels of latent attention over int8 rows as they are defined (latent_kernels.h).

#include "compute/cpu/latent_kernels.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

template <int kBias>
void portable_latent_product(const LatentProductArgs& args) {
    for (int64_t i = 0; i < args.n_x; ++i) {
        const int8_t* x = args.x + i * kPanelColumns;
        for (int64_t lane = 0; lane < args.n_panels * kPanelRows; ++lane) {
            const uint8_t* four = args.panels + lane / kPanelRows * args.panel_stride +
                                  lane % kPanelRows * kPanelGroup;
            int32_t sum = 0;
            for (int64_t c = 0; c < args.n_groups * kPanelGroup; ++c) {
                const uint8_t byte = four[c / kPanelGroup * kPanelRows * kPanelGroup + c % kPanelGroup];
                sum += (kBias != 0 ? byte - kBias : static_cast<int8_t>(byte)) * x[c];
            }
            float& out = args.out[i * args.out_stride + lane];
            out = __builtin_fmaf(static_cast<float>(sum), args.scales[lane] * args.x_scales[i],
                                 args.add ? out : 0.0F);
        }
    }
}

void portable_turn(const uint8_t* keys, int64_t n_panels, int64_t n_columns, uint8_t* values) {
    for (int64_t row = 0; row < n_panels * kPanelRows; ++row) {
        for (int64_t c = 0; c < n_columns; ++c) {
            const int64_t from = row / kPanelRows * kPanelRows * n_columns +
                                 c / kPanelGroup * kPanelRows * kPanelGroup +
                                 row % kPanelRows * kPanelGroup + c % kPanelGroup;
            const int64_t to = c / kPanelRows * kPanelRows * kPanelColumns +
                               row / kPanelGroup * kPanelRows * kPanelGroup +
                               c % kPanelRows * kPanelGroup + row % kPanelGroup;
            values[to] = keys[from] ^ 0x80;
        }
    }
}

void portable_round_weights(const RoundWeightsArgs& args) {
    float largest = 0.0F;
    for (int64_t r = 0; r < args.n; ++r) {
        const float v = args.weights[r] * args.scales[r];
        largest = v > largest ? v : largest;
    }
    const bool none = largest < kWeightSmallest;
    const float inverse = none ? 0.0F : kWeightLevels / largest;
    *args.unit = none ? 0.0F : largest / kWeightLevels;
    for (int64_t r = 0; r < kPanelColumns; ++r) {
        const float v = r < args.n ? args.weights[r] * args.scales[r] * inverse : 0.0F;
        // A NaN or infinity must not be undefined behaviour; the row's sum makes the result one.
        const float bounded = v > 0.0F ? (v < kWeightLevels ? v : kWeightLevels) : 0.0F;
        const auto q = static_cast<int32_t>(__builtin_nearbyintf(bounded));
        args.high[r] = static_cast<int8_t>(q >> 7);
        args.low[r] = static_cast<int8_t>(q & 127);
    }
}

inline constexpr LatentKernels kPortableLatent{.keys = portable_latent_product<128>,
                                               .values = portable_latent_product<0>,
                                               .turn = portable_turn,
                                               .round_weights = portable_round_weights};

}  // namespace
}  // namespace nereus
