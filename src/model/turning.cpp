#include "model/turning.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace nereus {
namespace {

/// a, b become a + b and a - b, n numbers each.
void butterfly(float* a, float* b, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        const float sum = a[i] + b[i];
        b[i] = a[i] - b[i];
        a[i] = sum;
    }
}

/// The fast transform of `block` items of `width` numbers each, one after the other.
void transform(float* items, int64_t block, int64_t width) {
    for (int64_t half = 1; half < block; half *= 2) {
        for (int64_t first = 0; first < block; first += 2 * half) {
            butterfly(items + first * width, items + (first + half) * width, half * width);
        }
    }
    const float scale = 1.0F / std::sqrt(static_cast<float>(block));
    for (int64_t i = 0; i < block * width; ++i) {
        items[i] *= scale;
    }
}

}  // namespace

int64_t turn_block(int64_t n) {
    int64_t block = 1;
    while (block < kTurnBlockMax && n % (2 * block) == 0) {
        block *= 2;
    }
    return block;
}

void turn_row(float* x, int64_t n, int64_t block) {
    NEREUS_CHECK(n % block == 0);
    for (int64_t first = 0; first < n; first += block) {
        transform(x + first, block, 1);
    }
}

void turn_columns(float* rows, int64_t n_rows, int64_t n_cols, int64_t block) {
    NEREUS_CHECK(n_rows % block == 0);
    for (int64_t first = 0; first < n_rows; first += block) {
        transform(rows + first * n_cols, block, n_cols);
    }
}

}  // namespace nereus
