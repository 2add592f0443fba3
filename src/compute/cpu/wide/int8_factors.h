#pragma once
// Steps and offsets of a block of codes, out of their packed form: once a block, for all lanes and
// rows of activations that meet it.

#include <immintrin.h>

#include "tensor/panel.h"

namespace nereus {
namespace {

template <class Layout>
struct RunFactors {
    static_assert(Layout::kRuns % 2 == 0);
    alignas(64) uint8_t steps[Layout::kRuns * kPanelRows];    ///< [run][row]
    alignas(64) uint8_t offsets[Layout::kRuns * kPanelRows];  ///< [run / 2][row][run % 2], signed

    __attribute__((always_inline)) explicit RunFactors(const unsigned char* block) {
        const __m128i mask = _mm_set1_epi8(15);
        const __m128i one = _mm_set1_epi8(1);
        for (int64_t run = 0; run < Layout::kRuns; run += 2) {
            const __m128i nibbles = load(block + Layout::kSteps + run * kPanelRows / 2);
            const __m128i low = _mm_add_epi8(_mm_and_si128(nibbles, mask), one);
            const __m128i high = _mm_add_epi8(_mm_and_si128(_mm_srli_epi16(nibbles, 4), mask), one);
            store_two(steps + run * kPanelRows, low, high);
            const unsigned char* from = block + Layout::kOffsets + run * kPanelRows;
            store_two(offsets + run * kPanelRows, load(from), load(from + kPanelRows));
        }
    }

    const uint8_t* steps_of(int64_t run, int64_t row) const {
        return steps + run * kPanelRows + row;
    }
    /// Of runs 2 * pair and 2 * pair + 1.
    const uint8_t* offset_pairs(int64_t pair, int64_t row) const {
        return offsets + 2 * (pair * kPanelRows + row);
    }

  private:
    static __m128i load(const unsigned char* p) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    }
    /// Sixteen pairs of neighbours.
    static void store_two(uint8_t* p, __m128i first, __m128i second) {
        auto* out = reinterpret_cast<__m128i*>(p);
        _mm_store_si128(out, _mm_unpacklo_epi8(first, second));
        _mm_store_si128(out + 1, _mm_unpackhi_epi8(first, second));
    }
};

}  // namespace
}  // namespace nereus
