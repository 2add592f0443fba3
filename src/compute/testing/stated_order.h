#pragma once
// The orders of summation that compute/backend.h promises, once more and from its words alone:
// nothing of cpu/ is used but the exponential, which has a test of its own. What these functions
// give is what every kernel table has to give, bit for bit.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "compute/cpu/isa.h"
#include "compute/weight.h"
#include "tensor/tensor.h"

namespace nereus::stated {

/// Random floats in [-1, 1), the same for the same seed.
inline std::vector<float> random_floats(int64_t n, uint64_t seed) {
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i) {
        values.push_back(
            static_cast<float>(2 * random_unit(seed, 17, static_cast<uint64_t>(i)) - 1));
    }
    return values;
}

/// "then lanes are added as a tree: l[i]+l[i+8] for i<8, then +4, +2, +1"
inline float tree(std::array<float, 16> lanes) {
    for (const size_t width : {8U, 4U, 2U, 1U}) {
        for (size_t i = 0; i < width; ++i) {
            lanes[i] += lanes[i + width];
        }
    }
    return lanes[0];
}

/// "16 accumulators; lane j takes columns j, j+16, j+32, ... with one fused multiply-add each"
inline float dot(const float* row, const float* x, int64_t n) {
    std::array<float, 16> lanes{};
    for (size_t lane = 0; lane < lanes.size(); ++lane) {
        for (int64_t c = static_cast<int64_t>(lane); c < n; c += 16) {
            lanes[lane] = std::fma(row[c], x[c], lanes[lane]);
        }
    }
    return tree(lanes);
}

inline float exp_of(float x) {
    static const KernelTable kTable = std::move(select_kernels("portable")).value();
    float result = 0;
    kTable.exp_row(&x, 1, &result);
    return result;
}

struct Softmax {
    std::vector<float> weights;  ///< exp(score * scale - highest)
    float highest = 0, sum = 0;
};

/// "each operation rounded. Returns their sum: lane i % 16 adds in order, lanes as a tree"
inline Softmax softmax(const std::vector<float>& scores, float scale) {
    Softmax result;
    result.highest = -std::numeric_limits<float>::infinity();
    for (const float score : scores) {
        result.highest = std::max(result.highest, score * scale);
    }
    std::array<float, 16> lanes{};
    for (size_t i = 0; i < scores.size(); ++i) {
        const float scaled = scores[i] * scale;
        result.weights.push_back(exp_of(scaled - result.highest));
        lanes[i % 16] += result.weights.back();
    }
    result.sum = tree(lanes);
    return result;
}

/// The numbers of a stored row.
inline std::vector<float> decoded(const Weight& weight, int64_t row) {
    std::vector<float> values(static_cast<size_t>(weight.cols));
    weight.format->decode_row(weight.row(row), weight.cols, values.data());
    return values;
}

inline bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

/// A matrix inside a larger one, so that rows lie apart and whoever writes beside them is seen.
class Framed {
  public:
    static constexpr float kFrame = -77.25F;

    Framed(int64_t rows, int64_t cols, std::vector<float> values = {})
        : rows_(rows), cols_(cols), stride_(cols + 5) {
        storage_.assign(static_cast<size_t>((rows + 2) * stride_), kFrame);
        for (int64_t r = 0; r < rows && !values.empty(); ++r) {
            std::copy_n(values.data() + r * cols, cols, view().row(r));
        }
    }
    static Framed random(int64_t rows, int64_t cols, uint64_t seed) {
        return {rows, cols, random_floats(rows * cols, seed)};
    }
    Rows view() { return {storage_.data() + stride_ + 2, rows_, cols_, stride_}; }
    ConstRows read() const { return {storage_.data() + stride_ + 2, rows_, cols_, stride_}; }
    float at(int64_t row, int64_t col) const { return read().row(row)[col]; }

    bool frame_is_whole() const {
        for (int64_t i = 0; i < static_cast<int64_t>(storage_.size()); ++i) {
            const int64_t row = i / stride_ - 1;
            const int64_t col = i % stride_ - 2;
            const bool inside = row >= 0 && row < rows_ && col >= 0 && col < cols_;
            if (!inside && storage_[static_cast<size_t>(i)] != kFrame) {
                return false;
            }
        }
        return true;
    }

  private:
    int64_t rows_, cols_, stride_;
    std::vector<float> storage_;
};

}  // namespace nereus::stated
