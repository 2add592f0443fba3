#pragma once
// GGUF's formats of 32 numbers, as integer kernels see them. A format F<I>:
//   F::kColumns, F::kBytes   one block
//   F::kRowsMax              rows in flight that pay at most
//   F::kBias                 codes are unsigned: q + kBias
//   F::kWide                 codes above 127 occur (then kBias is 128)
//   F::kMinimum              has a minimum
//   F::scale(p)              d in every lane
//   F::minimum(p)            the minimum in lane 0, zeros in the others
//   F::codes(p)              32 codes

#include "compute/cpu/wide/bytes256.h"
#include "tensor/codebooks.h"

namespace nereus {
namespace {

struct BlockOf32 {
    static constexpr int64_t kColumns = kRunColumns;
    static constexpr int kRowsMax = 4;
    static constexpr bool kWide = false;
    static constexpr bool kMinimum = false;
    static __m256 scale(const unsigned char* p) { return Bytes256::broadcast_f16(p); }
    static __m256 minimum(const unsigned char* p) {
        return _mm256_zextps128_ps256(_mm_cvtph_ps(_mm_cvtsi32_si128(read<uint16_t>(p + 2))));
    }
};

template <class I>
struct Q8_0Codes : BlockOf32 {
    static constexpr int64_t kBytes = 34;
    static constexpr int kBias = 128;
    static constexpr bool kWide = true;
    static __m256i codes(const unsigned char* p) {
        return _mm256_xor_si256(I::load(p + 2), I::splat(-128));
    }
};

template <class I>
struct Q4_0Codes : BlockOf32 {
    static constexpr int64_t kBytes = 18;
    static constexpr int kBias = 8;
    static __m256i codes(const unsigned char* p) { return I::nibbles(p + 2); }
};

template <class I>
struct Q4_1Codes : BlockOf32 {
    static constexpr int64_t kBytes = 20;
    static constexpr int kBias = 0;
    static constexpr bool kMinimum = true;
    static __m256i codes(const unsigned char* p) { return I::nibbles(p + 4); }
};

template <class I>
__m256i five_bits(const unsigned char* fifth) {
    return _mm256_or_si256(I::nibbles(fifth + 4), I::spread_bits(read<uint32_t>(fifth), 16));
}

template <class I>
struct Q5_0Codes : BlockOf32 {
    static constexpr int64_t kBytes = 22;
    static constexpr int kBias = 16;
    static __m256i codes(const unsigned char* p) { return five_bits<I>(p + 2); }
};

template <class I>
struct Q5_1Codes : BlockOf32 {
    static constexpr int64_t kBytes = 24;
    static constexpr int kBias = 0;
    static constexpr bool kMinimum = true;
    static __m256i codes(const unsigned char* p) { return five_bits<I>(p + 4); }
};

/// A codebook with its bias added, as a lookup takes it.
template <int kBias>
struct BiasedBook {
    alignas(16) unsigned char values[16];
    constexpr explicit BiasedBook(const std::array<int8_t, 16>& book) : values{} {
        for (int i = 0; i < 16; ++i) {
            values[i] = static_cast<unsigned char>(book[static_cast<unsigned long>(i)] + kBias);
        }
    }
};

inline constexpr BiasedBook<128> kIq4NlBook(kIq4NlValues);
inline constexpr BiasedBook<12> kMxfp4Book(kMxfp4DoubledValues);

template <class I>
struct Iq4NlCodes : BlockOf32 {
    static constexpr int64_t kBytes = 18;
    static constexpr int kBias = 128;
    static constexpr bool kWide = true;
    static __m256i codes(const unsigned char* p) {
        return _mm256_shuffle_epi8(I::load_twice(kIq4NlBook.values), I::nibbles(p + 2));
    }
};

/// 2^(e - 128) for every e, subnormal for e < 2.
struct Mxfp4Scales {
    float values[256];
    constexpr Mxfp4Scales() : values{} {
        values[0] = 0x1p-128F;
        for (int e = 1; e < 256; ++e) {
            values[e] = values[e - 1] * 2.0F;
        }
    }
};

inline constexpr Mxfp4Scales kMxfp4Scales;

template <class I>
struct Mxfp4Codes : BlockOf32 {
    static constexpr int64_t kBytes = 17;
    static constexpr int kBias = 12;
    static __m256 scale(const unsigned char* p) {
        return I::broadcast_float(kMxfp4Scales.values + *p);
    }
    static __m256i codes(const unsigned char* p) {
        return _mm256_shuffle_epi8(I::load_twice(kMxfp4Book.values), I::nibbles(p + 1));
    }
};

}  // namespace
}  // namespace nereus
