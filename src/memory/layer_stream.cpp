#include "memory/layer_stream.h"

#include <algorithm>

#include "base/check.h"

namespace nereus {

Result<std::unique_ptr<LayerStream>> LayerStream::create(const Checkpoint& checkpoint,
                                                         const AsyncReadOptions& reads) {
    uint64_t n_bytes = 0;
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        n_bytes += tensor.data.size() + 2 * kDirectAlignment;
    }
    auto stream = std::make_unique<LayerStream>();
    for (Buffer& buffer : stream->buffers_) {  // address space: layers touch what they need
        buffer.arena = NEREUS_TRY(Arena::create(n_bytes));
        buffer.data = buffer.arena.allocate(n_bytes, kDirectAlignment).data();
    }
    stream->reader_ = NEREUS_TRY(AsyncReader::create(reads));
    return stream;
}

const std::byte* LayerStream::place(int64_t layer, const StoredTensor& tensor) {
    if (layers_.empty() || layers_.back().index != layer) {
        NEREUS_CHECK(layers_.empty() || layers_.back().index < layer);
        layers_.push_back({layer, 0, {}});
    }
    Layer& last = layers_.back();
    const auto place = std::find(paths_.begin(), paths_.end(), tensor.file);
    const auto file = static_cast<size_t>(place - paths_.begin());
    if (place == paths_.end()) {
        paths_.push_back(tensor.file);
    }
    const AlignedRange range = aligned_around(tensor.offset, tensor.data.size());
    const Stretch stretch{file, tensor.offset, tensor.data.size(), last.n_bytes};
    last.stretches.push_back(stretch);
    last.n_bytes += range.n_bytes();
    Buffer& buffer = buffer_of(layers_.size() - 1);
    buffer.n_bytes = std::max(buffer.n_bytes, last.n_bytes);
    return buffer.data + stretch.buffer_offset + tensor.offset % kDirectAlignment;
}

/// Asks for a layer's bytes unless its buffer has them.
void LayerStream::begin(size_t streamed) {
    Buffer& buffer = buffer_of(streamed);
    if (buffer.holds == streamed || buffer.n_reads > 0) {
        return;
    }
    buffer.holds = streamed;
    buffer.error.reset();
    for (const Stretch& stretch : layers_[streamed].stretches) {
        ++buffer.n_reads;
        reader_->start({&files_[stretch.file], stretch.offset, stretch.n_bytes,
                        buffer.data + stretch.buffer_offset, streamed % 2});
    }
}

Status LayerStream::wait_for(Buffer& buffer) {
    while (buffer.n_reads > 0) {
        const std::optional<ReadResult> result = reader_->wait();
        if (!result) {  // what is still under way was given up before
            break;
        }
        Buffer& arrived = buffers_[result->tag];
        arrived.n_reads -= result->is_late ? 0 : 1;
        if (!result->status.ok() && !arrived.error) {
            arrived.error = result->status.error();
        }
    }
    if (buffer.error) {
        buffer.holds = SIZE_MAX;  // the next one who enters tries again
        return *buffer.error;
    }
    return {};
}

Status LayerStream::enter(int64_t layer) {
    const auto place = std::find_if(layers_.begin(), layers_.end(),
                                    [&](const Layer& entry) { return entry.index == layer; });
    if (place == layers_.end()) {
        return {};
    }
    for (size_t i = files_.size(); i < paths_.size(); ++i) {
        files_.push_back(NEREUS_TRY(InputFile::open(paths_[i], PageCache::kAvoid)));
    }
    const auto streamed = static_cast<size_t>(place - layers_.begin());
    Buffer& buffer = buffer_of(streamed);
    if (buffer.holds != streamed && buffer.n_reads > 0) {  // left from a pass that failed
        const Status others = wait_for(buffer);
        NEREUS_TRY(buffer.n_reads > 0 ? others : Status());
    }
    begin(streamed);
    NEREUS_TRY(wait_for(buffer));
    const size_t next = (streamed + 1) % layers_.size();
    if (next % 2 != streamed % 2) {
        begin(next);
    }
    return {};
}

}  // namespace nereus
