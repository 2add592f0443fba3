// Rate kernels of AVX-512: 32 registers, so 12 rows x 2 vectors of sums.

#include <immintrin.h>

#include "compute/measure/rate_loops.h"

namespace nereus {
namespace {

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

struct F32Lanes {
    using Vector = __m512;
    using Sum = __m512;
    static constexpr int kLanes = 16, kDepth = 1, kRows = 12, kElementBytes = 4;
    static Sum zero() { return _mm512_setzero_ps(); }
    static Vector load(const std::byte* p) { return _mm512_load_ps(p); }
    static Vector spread(const std::byte* p) {
        return _mm512_set1_ps(*reinterpret_cast<const float*>(p));
    }
    static Sum step(Sum sum, Vector w, Vector x) { return _mm512_fmadd_ps(w, x, sum); }
    static void store(std::byte* p, Sum sum) { _mm512_storeu_ps(p, sum); }
};

struct Words {
    using Vector = __m512i;
    static Vector zero() { return _mm512_setzero_si512(); }
    static Vector load(const std::byte* p) { return _mm512_loadu_si512(p); }
    static Vector add(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
    static uint64_t first(Vector a) { return static_cast<uint64_t>(_mm512_reduce_add_epi64(a)); }
};

}  // namespace

const RateKernel kAvx512F32 = rate_kernel<F32Lanes>("f32", "avx512 vfmadd", has_avx512);

uint64_t read_avx512(const std::byte* data, int64_t n_bytes, int64_t streams, int64_t ahead) {
    return read_by<Words>(data, n_bytes, streams, ahead);
}

}  // namespace nereus
