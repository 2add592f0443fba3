// Rate kernels of AVX2: 16 registers, so 4 rows of int8 (a step needs two temporaries) and 6 of
// f32.

#include <immintrin.h>

#include "compute/measure/rate_loops.h"

namespace nereus {
namespace {

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

struct Int8Lanes {
    using Vector = __m256i;
    // The element type that the compiler's own dot product has: with the other one, GCC 12 keeps
    // the array of sums in memory.
    typedef int Sum __attribute__((vector_size(32)));
    static constexpr int kLanes = 8, kDepth = 4, kRows = 4, kElementBytes = 1;
    static Sum zero() { return Sum{}; }
    static Vector load(const std::byte* p) {
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
    }
    static Vector spread(const std::byte* p) {
        int32_t four = 0;
        __builtin_memcpy(&four, p, 4);
        return _mm256_set1_epi32(four);
    }
    static Sum step(Sum sum, Vector w, Vector x) {
        const __m256i pairs = _mm256_maddubs_epi16(w, x);
        return sum + reinterpret_cast<Sum>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static void store(std::byte* p, Sum sum) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(sum));
    }
};

struct F32Lanes {
    using Vector = __m256;
    using Sum = __m256;
    static constexpr int kLanes = 8, kDepth = 1, kRows = 6, kElementBytes = 4;
    static Sum zero() { return _mm256_setzero_ps(); }
    static Vector load(const std::byte* p) {
        return _mm256_load_ps(reinterpret_cast<const float*>(p));
    }
    static Vector spread(const std::byte* p) {
        return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
    }
    static Sum step(Sum sum, Vector w, Vector x) { return _mm256_fmadd_ps(w, x, sum); }
    static void store(std::byte* p, Sum sum) { _mm256_storeu_ps(reinterpret_cast<float*>(p), sum); }
};

struct Words {
    using Vector = __m256i;
    static Vector zero() { return _mm256_setzero_si256(); }
    static Vector load(const std::byte* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static Vector add(Vector a, Vector b) { return _mm256_add_epi64(a, b); }
    static uint64_t first(Vector a) {
        return static_cast<uint64_t>(_mm256_extract_epi64(a, 0)) +
               static_cast<uint64_t>(_mm256_extract_epi64(a, 1)) +
               static_cast<uint64_t>(_mm256_extract_epi64(a, 2)) +
               static_cast<uint64_t>(_mm256_extract_epi64(a, 3));
    }
};

}  // namespace

const RateKernel kAvx2Int8 = rate_kernel<Int8Lanes>("int8", "avx2 vpmaddubsw", has_avx2);
const RateKernel kAvx2F32 = rate_kernel<F32Lanes>("f32", "avx2 vfmadd", has_avx2);

uint64_t read_avx2(const std::byte* data, int64_t n_bytes, int64_t streams, int64_t ahead) {
    return read_by<Words>(data, n_bytes, streams, ahead);
}

}  // namespace nereus
