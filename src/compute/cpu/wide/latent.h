#pragma once
// The kernels of latent attention over int8 rows, for any vocabularies V of float lanes and I of
// integer lanes (those of int8_panels.h, and load_floats, add_values, store_digits).

#include "compute/cpu/int8.h"
#include "compute/cpu/latent_kernels.h"
#include "compute/cpu/wide/repeat.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

/// What keys and values do differently.
template <class I>
struct KeyBytes {
    /// Keys come from memory, values from the cache that keys left: the next tile's are asked for.
    /// Decode of V2-Lite's shape at 32k of context, Zen 5: 10.5 tokens/s without, 13.0 with.
    static constexpr bool kAsks = true;
    static typename I::Ints start(const LatentProductArgs& args, int64_t i) {
        return I::start_bytes(args.x_totals[i]);
    }
    static typename I::Ints add(typename I::Ints sum, typename I::Codes w, typename I::Ints x) {
        return I::add_bytes(sum, w, x);
    }
};

template <class I>
struct ValueBytes {
    static constexpr bool kAsks = false;
    static typename I::Ints start(const LatentProductArgs& /*args*/, int64_t /*i*/) {
        return I::zero();
    }
    static typename I::Ints add(typename I::Ints sum, typename I::Codes w, typename I::Ints x) {
        return I::add_values(sum, w, x);
    }
};

/// P panels from `panel` on against x rows i .. i + T - 1. R registers hold four bytes of their
/// rows.
template <class I, class Bytes, int P, int T>
__attribute__((noinline)) void latent_tile(const LatentProductArgs& args, int64_t panel,
                                           int64_t i) {
    constexpr int kParts = kPanelRows / I::kRows;
    constexpr int R = P * kParts;
    const int8_t* x = args.x + i * kPanelColumns;
    const uint8_t* panels = args.panels + panel * args.panel_stride;
    typename I::Ints sums[R * T];
    repeat<T>([&](auto t) __attribute__((always_inline)) {
        const auto start = Bytes::start(args, i + t.value);
        repeat<R>([&](auto r)
                      __attribute__((always_inline)) { sums[t.value * R + r.value] = start; });
    });
    for (int64_t group = 0; group < args.n_groups; ++group) {
        typename I::Codes w[R];
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            const uint8_t* from = panels + r.value / kParts * args.panel_stride +
                                  r.value % kParts * I::kRows * kPanelGroup;
            w[r.value] = I::load_codes(from);
            if constexpr (Bytes::kAsks && r.value % kParts == 0) {
                __builtin_prefetch(from + P * args.panel_stride, 0, 3);
            }
        });
        repeat<T>([&](auto t) __attribute__((always_inline)) {
            const auto four = I::broadcast_four(x + t.value * kPanelColumns);
            repeat<R>([&](auto r) __attribute__((always_inline)) {
                typename I::Ints& sum = sums[t.value * R + r.value];
                sum = Bytes::add(sum, w[r.value], four);
            });
        });
        panels += kPanelRows * kPanelGroup;
        x += kPanelGroup;
    }
    const float* scales = args.scales + panel * kPanelRows;
    repeat<T>([&](auto t) __attribute__((always_inline)) {
        const int64_t x_row = i + t.value;
        const int64_t row = args.out_rows != nullptr ? args.out_rows[x_row] : x_row;
        float* out = args.out + row * args.out_stride + panel * kPanelRows;
        repeat<R>([&](auto r) __attribute__((always_inline)) {
            float* at = out + r.value * I::kRows;
            const auto before = args.add ? I::load_floats(at) : I::zero_floats();
            I::store(at, I::scale_add(sums[t.value * R + r.value],
                                      I::load_floats(scales + r.value * I::kRows),
                                      args.x_scales[x_row], before));
        });
    });
}

template <class I, class Bytes, int P, int T>
void latent_tile_of(const LatentProductArgs& args, int64_t panel, int64_t i, int64_t n) {
    if constexpr (T > 0) {
        if (n == T) {
            latent_tile<I, Bytes, P, T>(args, panel, i);
        } else {
            latent_tile_of<I, Bytes, P, T - 1>(args, panel, i, n);
        }
    }
}

/// Equal parts of at most kTileX rows (13 becomes 7 + 6, not 12 + 1).
template <class I, class Bytes, int P>
void latent_panels(const LatentProductArgs& args, int64_t panel) {
    for (int64_t i = 0; i < args.n_x;) {
        const int64_t left = args.n_x - i;
        const int64_t parts = (left + I::kTileX - 1) / I::kTileX;
        const int64_t n = (left + parts - 1) / parts;
        latent_tile_of<I, Bytes, P, I::kTileX>(args, panel, i, n);
        i += n;
    }
}

template <class I, template <class> class Bytes>
void latent_product(const LatentProductArgs& args) {
    int64_t panel = 0;
    for (; panel + I::kTilePanels <= args.n_panels; panel += I::kTilePanels) {
        latent_panels<I, Bytes<I>, I::kTilePanels>(args, panel);
    }
    for (; panel < args.n_panels; ++panel) {
        latent_panels<I, Bytes<I>, 1>(args, panel);
    }
}

template <class V, class I>
bool round_weights(const RoundWeightsArgs& args) {
    const int64_t n = args.n;
    const auto load = [n](const float* p, int64_t r) __attribute__((always_inline)) {
        return r + 16 <= n ? V::load(p + r) : r < n ? V::load_first(p + r, n - r) : V::zero();
    };
    typename V::Floats weights = V::zero();
    typename V::Floats products = V::zero();
    for (int64_t r = 0; r < n; r += 16) {
        const auto p = load(args.weights, r);
        weights = V::max(p, weights);
        products = V::max(V::mul(p, load(args.scales, r)), products);
    }
    const bool two_digits = I::largest_lane(weights) > args.one_digit_max;
    const float levels = two_digits ? kWeightLevels : kDigitLevels;
    const float largest = I::largest_lane(products);
    const bool none = largest < kWeightSmallest;
    const float inverse = none ? 0.0F : levels / largest;
    *args.unit = none ? 0.0F : largest / levels;
    for (int64_t r = 0; r < kPanelColumns; r += 16) {
        const auto v = V::mul(load(args.weights, r), load(args.scales, r));
        const auto dither = two_digits ? V::zero() : V::load(kWeightDither.of_row + r);
        const auto scaled = V::add(V::mul(v, V::broadcast(inverse)), dither);
        const auto bounded = V::min(V::max(scaled, V::zero()), V::broadcast(levels));
        I::store_digits(bounded, args.high + r, args.low + r);
    }
    return two_digits;
}

template <class V, class I>
constexpr LatentKernels latent_kernels(void (*turn)(const uint8_t*, int64_t, int64_t, uint8_t*)) {
    return {.keys = latent_product<I, KeyBytes>,
            .values = latent_product<I, ValueBytes>,
            .turn = turn,
            .round_weights = round_weights<V, I>};
}

}  // namespace
}  // namespace nereus
