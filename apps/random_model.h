#pragma once
// Random weights, tensor by tensor: what synth writes, whatever the kind of file.

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "model/tensor_plan.h"
#include "tensor/format.h"

namespace nereus {

/// Takes the next bytes of a tensor.
using AppendBytes = std::function<Status(std::span<const std::byte>)>;

/// Bytes of one tensor at a time, in pieces that all threads fill. The bytes depend on the seed,
/// the tensor's name and the format only.
class RandomBytes {
  public:
    RandomBytes(ThreadPool& pool, uint64_t seed) : pool_(pool), seed_(seed) {}

    Status write(const ModelTensor& tensor, FormatId format, const AppendBytes& append);
    /// The block scales of an fp8 tensor, F32.
    Status write_fp8_scales(const ModelTensor& tensor, const AppendBytes& append);

  private:
    ThreadPool& pool_;
    uint64_t seed_;
    std::vector<std::byte> buffer_;
};

}  // namespace nereus
