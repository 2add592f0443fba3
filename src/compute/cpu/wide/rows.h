#pragma once
// Kernels that walk one row sixteen lanes at a time, written once for every instruction set: V is a
// vocabulary of lanes (avx2/lanes.h, avx512/lanes.h). Each repeats portable/kernels.cpp operation
// by operation.

#include "compute/cpu/kernels.h"
#include "compute/cpu/math.h"

namespace nereus {
namespace {

constexpr int64_t kLanes = 16;

/// body(c, n) for the whole groups of sixteen, then for the last n < 16 columns, if any.
template <typename Whole, typename Rest>
inline void for_each_group(int64_t n, const Whole& whole, const Rest& rest) {
    int64_t c = 0;
    for (; c + kLanes <= n; c += kLanes) {
        whole(c);
    }
    if (c < n) {
        rest(c, n - c);
    }
}

/// exp_shared of math.h, lane by lane.
template <typename V>
inline typename V::Floats exp_lanes(typename V::Floats x) {
    using Floats = typename V::Floats;
    x = V::min(V::broadcast(kExpHighest), x);
    x = V::max(V::broadcast(kExpLowest), x);
    const Floats rounder = V::broadcast(kExpRounder);
    const Floats shifted = V::fma(x, V::broadcast(kExpLog2E), rounder);
    const Floats n = V::sub(shifted, rounder);
    Floats r = V::fma(n, V::broadcast(-kExpLn2High), x);
    r = V::fma(n, V::broadcast(-kExpLn2Low), r);
    Floats q = V::fma(V::broadcast(kExpQ[4]), r, V::broadcast(kExpQ[3]));
    q = V::fma(q, r, V::broadcast(kExpQ[2]));
    q = V::fma(q, r, V::broadcast(kExpQ[1]));
    q = V::fma(q, r, V::broadcast(kExpQ[0]));
    const Floats p = V::add(V::fma(q, V::mul(r, r), r), V::broadcast(1.0F));
    const auto whole = V::sub(V::bits(shifted), V::bits(rounder));
    const auto half = V::template shift_right_signed<1>(whole);
    const auto bias = V::splat(127);
    const Floats first = V::floats(V::template shift_left<23>(V::add(half, bias)));
    const Floats second = V::floats(V::template shift_left<23>(V::add(V::sub(whole, half), bias)));
    return V::mul(V::mul(p, first), second);
}

template <typename V>
void exp_row(const float* x, int64_t n, float* out) {
    for_each_group(
        n, [&](int64_t c) { V::store(out + c, exp_lanes<V>(V::load(x + c))); },
        [&](int64_t c, int64_t rest) {
            V::store_first(out + c, exp_lanes<V>(V::load_first(x + c, rest)), rest);
        });
}

/// The largest of all; the order does not matter for a maximum.
template <typename V>
inline float scale_and_find_max(float* scores, int64_t n, float scale) {
    const typename V::Floats factor = V::broadcast(scale);
    typename V::Floats lanes = V::broadcast(-__builtin_inff());
    for_each_group(
        n,
        [&](int64_t c) {
            const typename V::Floats s = V::mul(V::load(scores + c), factor);
            V::store(scores + c, s);
            lanes = V::max(lanes, s);
        },
        [&](int64_t c, int64_t rest) {
            const typename V::Floats s = V::mul(V::load_first(scores + c, rest), factor);
            V::store_first(scores + c, s, rest);
            lanes = V::take_first(V::max(lanes, s), lanes, rest);
        });
    float each[kLanes];
    V::store(each, lanes);
    float highest = each[0];
    for (int i = 1; i < kLanes; ++i) {
        highest = highest > each[i] ? highest : each[i];
    }
    return highest;
}

template <typename V>
float softmax_row(float* scores, int64_t n, float scale, float* top) {
    using Floats = typename V::Floats;
    *top = scale_and_find_max<V>(scores, n, scale);
    const Floats highest = V::broadcast(*top);
    Floats sum = V::zero();
    for_each_group(
        n,
        [&](int64_t c) {
            const Floats e = exp_lanes<V>(V::sub(V::load(scores + c), highest));
            V::store(scores + c, e);
            sum = V::add(sum, e);
        },
        [&](int64_t c, int64_t rest) {
            const Floats e = exp_lanes<V>(V::sub(V::load_first(scores + c, rest), highest));
            V::store_first(scores + c, e, rest);
            sum = V::take_first(V::add(sum, e), sum, rest);
        });
    return V::add_lanes(sum);
}

/// c += a * b in the first n lanes only: a missing column adds nothing, not even +0 to a -0.
template <typename V>
inline typename V::Floats fma_first(typename V::Floats a, typename V::Floats b,
                                    typename V::Floats c, int64_t n) {
    return V::take_first(V::fma(a, b, c), c, n);
}

template <typename V>
inline float sum_of_squares(const float* x, int64_t n) {
    typename V::Floats lanes = V::zero();
    for_each_group(
        n, [&](int64_t c) { lanes = V::fma(V::load(x + c), V::load(x + c), lanes); },
        [&](int64_t c, int64_t rest) {
            const typename V::Floats v = V::load_first(x + c, rest);
            lanes = fma_first<V>(v, v, lanes, rest);
        });
    return V::add_lanes(lanes);
}

template <typename V>
void rms_norm_row(const float* x, const float* gain, float eps, int64_t n, float* out) {
    const typename V::Floats divisor =
        V::broadcast(__builtin_sqrtf(sum_of_squares<V>(x, n) / static_cast<float>(n) + eps));
    for_each_group(
        n,
        [&](int64_t c) {
            V::store(out + c, V::mul(V::div(V::load(x + c), divisor), V::load(gain + c)));
        },
        [&](int64_t c, int64_t rest) {
            const typename V::Floats v = V::div(V::load_first(x + c, rest), divisor);
            V::store_first(out + c, V::mul(v, V::load_first(gain + c, rest)), rest);
        });
}

template <typename V>
inline typename V::Floats silu_times(typename V::Floats gate, typename V::Floats up) {
    const typename V::Floats negative = V::floats(
        V::add(V::bits(gate), V::splat(static_cast<int>(0x80000000U))));  // flips the sign
    const typename V::Floats divisor = V::add(V::broadcast(1.0F), exp_lanes<V>(negative));
    return V::mul(V::div(gate, divisor), up);
}

template <typename V>
void swiglu_row(const float* gate, const float* up, int64_t n, float* out) {
    for_each_group(
        n, [&](int64_t c) { V::store(out + c, silu_times<V>(V::load(gate + c), V::load(up + c))); },
        [&](int64_t c, int64_t rest) {
            V::store_first(
                out + c, silu_times<V>(V::load_first(gate + c, rest), V::load_first(up + c, rest)),
                rest);
        });
}

}  // namespace
}  // namespace nereus
