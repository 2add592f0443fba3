#pragma once
// One number for each of the 16 rows of a panel, computed together: what an encoder searches, it
// searches for all rows. Four vectors of four, which every x86-64 has; the compilers' own vector
// types, so that the code reads as arithmetic.

#include <array>
#include <cstdint>

#include "tensor/panel.h"

namespace nereus {

struct RowLanes {
    using Four = float __attribute__((vector_size(16)));
    static constexpr int64_t kFours = kPanelRows / 4;

    std::array<Four, kFours> of{};

    static RowLanes all(float x) {
        RowLanes lanes;
        lanes.of.fill(Four{x, x, x, x});
        return lanes;
    }
    float operator[](int64_t r) const { return of[static_cast<size_t>(r / 4)][r % 4]; }
    void set(int64_t r, float x) { of[static_cast<size_t>(r / 4)][r % 4] = x; }
};

/// f(four of a, four of b, ...) of every four.
template <typename Function, typename... Lanes>
inline RowLanes each_four(const Function& f, const Lanes&... lanes) {
    RowLanes out;
    for (size_t i = 0; i < out.of.size(); ++i) {
        out.of[i] = f(lanes.of[i]...);
    }
    return out;
}

using RowFour = RowLanes::Four;

inline RowLanes operator+(const RowLanes& a, const RowLanes& b) {
    return each_four([](RowFour x, RowFour y) { return x + y; }, a, b);
}
inline RowLanes operator-(const RowLanes& a, const RowLanes& b) {
    return each_four([](RowFour x, RowFour y) { return x - y; }, a, b);
}
inline RowLanes operator*(const RowLanes& a, const RowLanes& b) {
    return each_four([](RowFour x, RowFour y) { return x * y; }, a, b);
}
inline RowLanes operator*(const RowLanes& a, float b) { return a * RowLanes::all(b); }
inline RowLanes operator/(const RowLanes& a, const RowLanes& b) {
    return each_four([](RowFour x, RowFour y) { return x / y; }, a, b);
}
inline RowLanes least(const RowLanes& a, const RowLanes& b) {
    return each_four([](RowFour x, RowFour y) { return x < y ? x : y; }, a, b);
}
inline RowLanes largest(const RowLanes& a, const RowLanes& b) {
    return each_four([](RowFour x, RowFour y) { return x > y ? x : y; }, a, b);
}
inline RowLanes clamped(const RowLanes& x, const RowLanes& low, const RowLanes& high) {
    return least(largest(x, low), high);
}
inline RowLanes magnitude(const RowLanes& x) { return largest(x, RowLanes{} - x); }
/// Where a < b, x; elsewhere y.
inline RowLanes where_less(const RowLanes& a, const RowLanes& b, const RowLanes& x,
                           const RowLanes& y) {
    return each_four([](RowFour l, RowFour r, RowFour t, RowFour e) { return l < r ? t : e; }, a, b,
                     x, y);
}
/// Nearest integers by the adder: |x| < 2^22.
inline RowLanes nearest(const RowLanes& x) {
    const RowLanes adder = RowLanes::all(0x1.8p23F);
    return x + adder - adder;
}
/// 1 / x, and 0 where x is not above 0.
inline RowLanes inverses_of(const RowLanes& x) {
    const RowLanes zero;
    const RowLanes some = where_less(zero, x, x, RowLanes::all(1.0F));
    return where_less(zero, x, RowLanes::all(1.0F) / some, zero);
}

}  // namespace nereus
