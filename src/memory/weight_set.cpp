#include "memory/weight_set.h"

#include <fmt/ranges.h>

namespace nereus {
namespace {

constexpr size_t kNamesShown = 3;

/// A few names that share most of the wanted one, to help a person see a spelling or layout.
std::string similar_names(const Checkpoint& checkpoint, const std::string& name) {
    std::vector<std::string> found;
    const std::string stem = name.substr(name.rfind('.', name.size() - 8) + 1);
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        if (tensor.name.find(stem) != std::string::npos && found.size() < kNamesShown) {
            found.push_back(tensor.name);
        }
    }
    return fmt::format("{}", fmt::join(found, ", "));
}

}  // namespace

Result<const StoredTensor*> WeightSet::find(const std::string& name) const {
    const StoredTensor* tensor = checkpoint_->find(name);
    if (tensor == nullptr) {
        const std::string similar = similar_names(*checkpoint_, name);
        return make_error(ErrorCode::kNotFound, "{}: tensor {} is missing among {} tensors{}{}",
                          checkpoint_->path().string(), name, checkpoint_->tensors().size(),
                          similar.empty() ? "" : "; similar: ", similar);
    }
    return tensor;
}

const std::byte* WeightSet::data_of(const StoredTensor& tensor) const {
    if (stream_ != nullptr) {
        return stream_->place(layer_, tensor);
    }
    return resident_ == nullptr || scales_alone_ ? tensor.data.data() : resident_->place(tensor);
}

Result<Weight> WeightSet::matrix(const std::string& name, int64_t rows, int64_t cols) {
    const StoredTensor* tensor = NEREUS_TRY(find(name));
    const Format& format = format_of(tensor->format);
    if (tensor->shape.rank() < 1 || tensor->shape.cols() != cols || tensor->shape.rows() != rows) {
        return make_error(
            ErrorCode::kCorrupt, "{}: tensor {} at offset {}: expected shape [{}, {}], found {}",
            tensor->file, name, tensor->offset, rows, cols, tensor->shape.to_string());
    }
    if (format.decode_row == nullptr || cols % format.block_elements != 0) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: tensor {}: format {} cannot be a weight of {} columns", tensor->file,
                          name, format.name, cols);
    }
    Weight weight;
    weight.format = &format;
    weight.rows = rows;
    weight.cols = cols;
    weight.data = data_of(*tensor);
    weight.row_stride_bytes = format.stride_bytes(cols);
    weight.scales = resident_ == nullptr ? tensor->scales : resident_->place_scales(*tensor);
    weight.scale_stride = tensor->scales == nullptr ? 0 : (cols + 127) / 128;
    n_bytes_ += weight.n_bytes();
    return weight;
}

Result<const float*> WeightSet::vector(const std::string& name, int64_t n) {
    const StoredTensor* tensor = NEREUS_TRY(find(name));
    const Format& format = format_of(tensor->format);
    if (tensor->shape.n_elements() != n || format.decode_row == nullptr ||
        format.block_elements != 1 || format.panel != nullptr) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tensor {} at offset {}: expected {} plain numbers, found {} {}",
                          tensor->file, name, tensor->offset, n, format.name,
                          tensor->shape.to_string());
    }
    vectors_.push_back(std::make_unique<float[]>(static_cast<size_t>(n)));
    const std::byte* bytes = tensor->data.data();
    std::vector<std::byte> copy;
    if (resident_ != nullptr) {
        copy.resize(tensor->data.size());
        NEREUS_TRY(resident_->read(*tensor, copy));
        bytes = copy.data();
    }
    format.decode_row({bytes, tensor->scales}, n, vectors_.back().get());
    return vectors_.back().get();
}

}  // namespace nereus
