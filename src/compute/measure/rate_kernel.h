#pragma once
// Rate kernels: how many multiply-adds a second one instruction can do on registers alone, and in a
// product whose weights lie in the L2 cache. One table a file with its own instruction flags.

#include <cstddef>
#include <cstdint>
#include <span>

namespace nereus {

/// The product that is timed: out[x row, weight column] over kProductDepth columns of x. Weights
/// are [panel][step][2 vectors], x is [step][row][step bytes]; what a step is, the kernel says.
inline constexpr int64_t kProductDepth = 1024;  ///< multiply-adds of one output

struct RateKernel {
    const char* number;       ///< "int8", "bf16", "f32"
    const char* instruction;  ///< "avx512_vnni vpdpbusd"
    bool (*runs_here)();      ///< CPUID, and the permission where one is needed
    int64_t lanes;            ///< outputs of a vector
    int64_t depth;            ///< multiply-adds an output gets in a step
    int64_t rows;             ///< rows of x in the product
    int64_t element_bytes;
    /// n_steps rounds on registers; returns the multiply-adds done.
    int64_t (*registers)(int64_t n_steps);
    /// One pass over n_panels of weights, out [n_panels][rows][2 * lanes] in 32-bit elements.
    void (*product)(const std::byte* weights, const std::byte* x, int64_t n_panels, std::byte* out);
};

/// Sums n_bytes (a multiple of 1024) of memory, read as `streams` (1, 2, 4 or 8) parts side by side
/// with prefetching `ahead` bytes; what is left of a division is not read twice.
using ReadKernel = uint64_t (*)(const std::byte* data, int64_t n_bytes, int64_t streams,
                                int64_t ahead);

extern const RateKernel kAvx2Int8, kAvx2F32;
extern const RateKernel kAvx512F32, kAvx512Vnni, kAvx512Bf16;
extern const RateKernel kAmxInt8, kAmxBf16;

/// All kernels of this build, whether or not they run here.
std::span<const RateKernel* const> all_rate_kernels();

uint64_t read_avx2(const std::byte* data, int64_t n_bytes, int64_t streams, int64_t ahead);
uint64_t read_avx512(const std::byte* data, int64_t n_bytes, int64_t streams, int64_t ahead);

}  // namespace nereus
