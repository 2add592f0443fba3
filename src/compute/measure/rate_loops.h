#pragma once
// The loops of a rate kernel over one instruction set's vectors. Everything lies in an unnamed
// namespace: each file that includes this is compiled with other instruction flags.

#include "compute/measure/rate_kernel.h"

namespace nereus {
namespace {

/// Lanes: what a file gives. Vector, Sum, kLanes, kDepth, kRows, kElementBytes; zero(), load(),
/// spread() (kDepth elements to every lane), step(sum, weights, x), store().
template <typename Lanes>
int64_t register_rounds(int64_t n_steps) {
    using Sum = typename Lanes::Sum;
    constexpr int kSums = 2 * Lanes::kRows;
    alignas(64) std::byte small[64];  // 0.01 as bf16 and f32: no sum is denormal or infinite
    for (std::byte& byte : small) {
        byte = std::byte{0x3c};
    }
    typename Lanes::Vector w = Lanes::load(small);
    const typename Lanes::Vector x = w;
    Sum sums[kSums];
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) {
        sums[i] = Lanes::zero();
    }
    for (int64_t n = 0; n < n_steps; ++n) {
#pragma GCC unroll 32
        for (int i = 0; i < kSums; ++i) {
            asm volatile("" : "+v"(w));  // another factor, as far as the compiler knows
            sums[i] = Lanes::step(sums[i], w, x);
        }
    }
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) {
        asm volatile("" : : "v"(sums[i]));  // the sums are wanted
    }
    return n_steps * kSums * Lanes::kLanes * Lanes::kDepth;
}

/// kRows rows of x stay in L1, two vectors of weights a step come from L2, 2 * kRows sums in
/// registers.
template <typename Lanes>
void cached_product(const std::byte* weights, const std::byte* x, int64_t n_panels,
                    std::byte* out) {
    using Sum = typename Lanes::Sum;
    constexpr int64_t kSteps = kProductDepth / Lanes::kDepth;
    constexpr int64_t kVector = Lanes::kLanes * Lanes::kDepth * Lanes::kElementBytes;
    constexpr int64_t kSpread = Lanes::kDepth * Lanes::kElementBytes;
    for (int64_t panel = 0; panel < n_panels; ++panel) {
        Sum sums[Lanes::kRows][2];
#pragma GCC unroll 16
        for (int r = 0; r < Lanes::kRows; ++r) {
            sums[r][0] = sums[r][1] = Lanes::zero();
        }
        const std::byte* xs = x;
        for (int64_t step = 0; step < kSteps; ++step) {
            const auto w0 = Lanes::load(weights);
            const auto w1 = Lanes::load(weights + kVector);
            weights += 2 * kVector;
#pragma GCC unroll 16
            for (int r = 0; r < Lanes::kRows; ++r) {
                const auto spread = Lanes::spread(xs + r * kSpread);
                sums[r][0] = Lanes::step(sums[r][0], w0, spread);
                sums[r][1] = Lanes::step(sums[r][1], w1, spread);
            }
            xs += Lanes::kRows * kSpread;
        }
// Unrolled like the rest: an index at run time would keep the sums in memory.
#pragma GCC unroll 16
        for (int r = 0; r < Lanes::kRows; ++r) {
            Lanes::store(out, sums[r][0]);
            Lanes::store(out + Lanes::kLanes * 4, sums[r][1]);
            out += 2 * Lanes::kLanes * 4;
        }
    }
}

template <typename Lanes>
constexpr RateKernel rate_kernel(const char* number, const char* instruction, bool (*runs_here)()) {
    return {number,
            instruction,
            runs_here,
            Lanes::kLanes,
            Lanes::kDepth,
            Lanes::kRows,
            Lanes::kElementBytes,
            register_rounds<Lanes>,
            cached_product<Lanes>};
}

/// One cache line of every stream in turn. Words: Vector, zero, load, add, first (sum of lanes).
template <typename Words, int kStreams>
uint64_t read_streams(const std::byte* data, int64_t n_bytes, int64_t ahead) {
    constexpr int64_t kLine = 64;
    constexpr int kLoads = kLine / static_cast<int>(sizeof(typename Words::Vector));
    const int64_t length = n_bytes / kStreams / kLine * kLine;
    typename Words::Vector sums[kStreams];
    for (auto& sum : sums) {
        sum = Words::zero();
    }
    for (int64_t at = 0; at < length; at += kLine) {
#pragma GCC unroll 8
        for (int s = 0; s < kStreams; ++s) {
            const std::byte* line = data + s * length + at;
            if (ahead > 0) {
                __builtin_prefetch(line + ahead, 0, 3);
            }
#pragma GCC unroll 2
            for (int i = 0; i < kLoads; ++i) {
                sums[s] = Words::add(sums[s], Words::load(line + i * (kLine / kLoads)));
            }
        }
    }
    uint64_t total = 0;
    for (const auto& sum : sums) {
        total += Words::first(sum);
    }
    return total;
}

template <typename Words>
uint64_t read_by(const std::byte* data, int64_t n_bytes, int64_t streams, int64_t ahead) {
    switch (streams) {
        case 2:
            return read_streams<Words, 2>(data, n_bytes, ahead);
        case 4:
            return read_streams<Words, 4>(data, n_bytes, ahead);
        case 8:
            return read_streams<Words, 8>(data, n_bytes, ahead);
        default:
            return read_streams<Words, 1>(data, n_bytes, ahead);
    }
}

}  // namespace
}  // namespace nereus
