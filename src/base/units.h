#pragma once
// Sizes: byte units, rounding, and arithmetic that notices overflow. Every size read from a file
// goes through the checked forms.

#include <cstdint>
#include <optional>
#include <string>

namespace nereus {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

template <typename T>
constexpr T ceil_div(T value, T divisor) {
    return (value + divisor - 1) / divisor;
}

template <typename T>
constexpr T round_up(T value, T multiple) {
    return ceil_div(value, multiple) * multiple;
}

/// a * b, or nothing when it does not fit 64 bits.
constexpr std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) {
        return std::nullopt;
    }
    return product;
}

/// a + b, or nothing when it does not fit 64 bits.
constexpr std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) {
        return std::nullopt;
    }
    return sum;
}

/// "20.8 MB", "671 B": decimal units, three significant digits, for people.
std::string human_bytes(uint64_t n_bytes);

}  // namespace nereus
