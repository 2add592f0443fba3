#pragma once
// Random bits as a pure function of (seed, stream, position): a draw never depends on what was
// drawn before it or beside it, so batching cannot change a sample.

#include <cstdint>

namespace nereus {

/// 64 well-mixed bits. Three rounds of the splitmix64 finaliser (Steele, Lea, Flood 2014).
constexpr uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t position) {
    const auto mix = [](uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    };
    const uint64_t a = mix(seed + 0x9e3779b97f4a7c15ULL);
    const uint64_t b = mix(a ^ (stream + 0xd1b54a32d192ed03ULL));
    return mix(b ^ (position + 0x8cb92ba72f3d8dd7ULL));
}

/// Uniform in [0, 1), 53 bits.
constexpr double random_unit(uint64_t seed, uint64_t stream, uint64_t position) {
    return static_cast<double>(random_bits(seed, stream, position) >> 11) * 0x1p-53;
}

}  // namespace nereus
