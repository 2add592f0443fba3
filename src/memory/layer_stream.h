#pragma once
// LayerStream: dense weights of the layers that do not fit in memory, read for every pass into two
// buffers in turn, the next layer while this one computes.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/arena.h"
#include "base/async_read.h"
#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

/// place() every tensor of the streamed layers, layers ascending; then enter() each layer before
/// its weights are used. threads: one at a time.
class LayerStream {
  public:
    /// errors: out_of_memory, unsupported (see AsyncReader)
    static Result<std::unique_ptr<LayerStream>> create(const Checkpoint& checkpoint,
                                                       const AsyncReadOptions& reads);

    /// Where the tensor's bytes will be while the pass is in this layer.
    const std::byte* place(int64_t layer, const StoredTensor& tensor);

    /// Waits for the layer's weights and begins to read the next ones over those of the layer
    /// before. Nothing happens for a layer that is not streamed. errors: io; a later call tries
    /// again
    Status enter(int64_t layer);

    /// Memory of the two buffers.
    uint64_t n_bytes() const { return buffers_[0].n_bytes + buffers_[1].n_bytes; }

  private:
    struct Stretch {
        size_t file = 0;
        uint64_t offset = 0, n_bytes = 0, buffer_offset = 0;
    };
    struct Layer {
        int64_t index = 0;
        uint64_t n_bytes = 0;  ///< of its buffer
        std::vector<Stretch> stretches;
    };
    struct Buffer {
        Arena arena;
        std::byte* data = nullptr;
        uint64_t n_bytes = 0;     ///< that layers use
        size_t holds = SIZE_MAX;  ///< a streamed layer, there or on its way
        size_t n_reads = 0;       ///< under way
        std::optional<Error> error;
    };

    Buffer& buffer_of(size_t streamed) { return buffers_[streamed % 2]; }
    void begin(size_t streamed);
    Status wait_for(Buffer& buffer);

    std::vector<std::string> paths_;
    std::vector<InputFile> files_;
    std::vector<Layer> layers_;
    Buffer buffers_[2];
    std::unique_ptr<AsyncReader> reader_;
};

}  // namespace nereus
