#pragma once
// The integers behind a block of GGUF's quantised formats, for products with integer activations.
// decode_row multiplies them out; here they stay apart.

#include <cstddef>
#include <cstdint>

namespace nereus {

/// One block. Of 32 numbers: value = d * q + minimum. Of 256: value = d * factor * q - minimum *
/// minima, factors and minima one per 16 numbers.
struct BlockIntegers {
    int8_t q[256];
    int16_t factors[16];
    int16_t minima[16];
    float d;
    float minimum;
};

/// Fills `out` from one block; fields a format does not have are left as they are.
using UnpackBlock = void (*)(const std::byte* block, BlockIntegers& out);

}  // namespace nereus
