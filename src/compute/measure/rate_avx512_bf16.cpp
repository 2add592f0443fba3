// Rate kernel of AVX-512 with bf16: pairs of bfloat16 to a float sum.

#include <immintrin.h>

#include "compute/measure/rate_loops.h"

namespace nereus {
namespace {

bool has_bf16() { return __builtin_cpu_supports("avx512bf16"); }

struct Lanes {
    using Vector = __m512i;
    using Sum = __m512;
    static constexpr int kLanes = 16, kDepth = 2, kRows = 12, kElementBytes = 2;
    static Sum zero() { return _mm512_setzero_ps(); }
    static Vector load(const std::byte* p) { return _mm512_load_si512(p); }
    static Vector spread(const std::byte* p) {
        int32_t word = 0;
        __builtin_memcpy(&word, p, 4);
        return _mm512_set1_epi32(word);
    }
    static Sum step(Sum sum, Vector w, Vector x) {
        return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(x));
    }
    static void store(std::byte* p, Sum sum) { _mm512_storeu_ps(p, sum); }
};

}  // namespace

const RateKernel kAvx512Bf16 = rate_kernel<Lanes>("bf16", "avx512_bf16 vdpbf16ps", has_bf16);

}  // namespace nereus
