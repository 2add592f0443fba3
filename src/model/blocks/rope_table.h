#pragma once
// Cosines and sines of rotary positions, computed once and grown with the context (models.md 3.5,
// 3.6, 9). Angles are float products, as in the reference.

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace nereus {

/// Frequencies of a config: [width / 2], with its scaling applied.
std::vector<float> rope_frequencies(const ModelConfig& config, int64_t width);

class RopeTable {
  public:
    RopeTable() = default;
    RopeTable(const ModelConfig& config, int64_t width);

    /// Makes rows 0 .. n_positions-1 available.
    void ensure(int64_t n_positions);
    const float* cos() const { return cos_.data(); }  ///< [n_positions, width / 2]
    const float* sin() const { return sin_.data(); }

  private:
    std::vector<float> frequencies_;
    float magnitude_ = 1;  ///< m(mscale) / m(mscale_all_dim); 1 for every released DeepSeek model
    int64_t n_positions_ = 0;
    std::vector<float> cos_, sin_;
};

}  // namespace nereus
