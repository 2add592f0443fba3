#pragma once
// Loops whose counter is a constant.

namespace nereus {
namespace {

template <int kIndex>
struct Index {
    static constexpr int value = kIndex;
};

/// body(Index<0>), ... body(Index<N - 1>): a loop whose counter is a constant from the start, so
/// that arrays become registers. (GCC 12 leaves them in memory when it unrolls a loop later.)
template <int N, int kIndex = 0, typename Body>
__attribute__((always_inline)) inline void repeat(const Body& body) {
    if constexpr (kIndex < N) {
        body(Index<kIndex>{});
        repeat<N, kIndex + 1>(body);
    }
}

}  // namespace
}  // namespace nereus
