#pragma once
// Resident weights: tensors of a checkpoint bound by name, with their shapes checked, in their
// stored format. Nothing is expanded; only vectors (norms, biases, rope factors) become floats.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "compute/weight.h"
#include "memory/layer_stream.h"
#include "memory/resident.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Hands out Weights that point into the checkpoint's mapping, or to where `resident` will have
/// their bytes; both must outlive them. scales_alone: scales are resident, matrices stay where
/// the mapping has them. threads: one at a time.
class WeightSet {
  public:
    explicit WeightSet(const Checkpoint& checkpoint, ResidentWeights* resident = nullptr,
                       bool scales_alone = false)
        : checkpoint_(&checkpoint), resident_(resident), scales_alone_(scales_alone) {}

    /// Matrices bound from here on are those of a layer that is read for every pass; null: no
    /// longer.
    void stream_layer(LayerStream* stream, int64_t layer) {
        stream_ = stream;
        layer_ = layer;
    }

    bool contains(const std::string& name) const { return checkpoint_->find(name) != nullptr; }

    /// A tensor as a matrix [rows, cols]; leading dimensions are folded into rows (a stack of
    /// experts or heads). errors: not_found, corrupt (shape: expected and found), unsupported
    /// (a format that cannot be multiplied, or rows that are not whole blocks)
    Result<Weight> matrix(const std::string& name, int64_t rows, int64_t cols);

    /// A tensor of n numbers as floats, owned by the set.
    Result<const float*> vector(const std::string& name, int64_t n);

    /// The checkpoint's path, for messages.
    std::string origin() const { return checkpoint_->path().string(); }

    /// Bytes of the matrices bound so far.
    int64_t n_bytes() const { return n_bytes_; }

  private:
    const std::byte* data_of(const StoredTensor& tensor) const;
    Result<const StoredTensor*> find(const std::string& name) const;

    const Checkpoint* checkpoint_;
    ResidentWeights* resident_;  ///< null: mapped
    bool scales_alone_;
    LayerStream* stream_ = nullptr;
    int64_t layer_ = 0;  ///< of stream_
    std::vector<std::unique_ptr<float[]>> vectors_;
    int64_t n_bytes_ = 0;
};

}  // namespace nereus
