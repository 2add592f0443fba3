#pragma once
// Random numbers written straight into a format's blocks, for synthetic models: no rounding, so it
// runs at the speed of memory. Codes are uniform, scales such that the values have about the wanted
// standard deviation and a mean of zero.

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/format.h"

namespace nereus {

/// Whether fill_random knows the format.
bool can_fill_random(FormatId format);

/// Bytes of the smallest piece that fill_random writes: pieces are multiples of it.
int64_t random_unit_bytes(FormatId format);

/// Values of this standard deviation; the same bytes for the same (seed, stream). fp8_block128 is
/// written for scales of kRandomFp8Scale * stddev beside it.
void fill_random(FormatId format, double stddev, uint64_t seed, uint64_t stream,
                 std::span<std::byte> out);

/// 1 / the standard deviation of the random fp8 codes.
inline constexpr double kRandomFp8Scale = 1.0 / 13.51;

}  // namespace nereus
