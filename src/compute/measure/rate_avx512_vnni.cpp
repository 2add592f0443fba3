// Rate kernel of AVX-512 with vnni: bytes times signed bytes, four to a 32-bit sum.

#include <immintrin.h>

#include "compute/measure/rate_loops.h"

namespace nereus {
namespace {

bool has_vnni() { return __builtin_cpu_supports("avx512vnni"); }

struct Lanes {
    using Vector = __m512i;
    // The element type that the compiler's own dot product has: with the other one, GCC 12 keeps
    // the array of sums in memory.
    typedef int Sum __attribute__((vector_size(64)));
    static constexpr int kLanes = 16, kDepth = 4, kRows = 12, kElementBytes = 1;
    static Sum zero() { return Sum{}; }
    static Vector load(const std::byte* p) { return _mm512_load_si512(p); }
    static Vector spread(const std::byte* p) {
        int32_t word = 0;
        __builtin_memcpy(&word, p, 4);
        return _mm512_set1_epi32(word);
    }
    static Sum step(Sum sum, Vector w, Vector x) {
        return reinterpret_cast<Sum>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), w, x));
    }
    static void store(std::byte* p, Sum sum) {
        _mm512_storeu_si512(p, reinterpret_cast<__m512i>(sum));
    }
};

}  // namespace

const RateKernel kAvx512Vnni = rate_kernel<Lanes>("int8", "avx512_vnni vpdpbusd", has_vnni);

}  // namespace nereus
