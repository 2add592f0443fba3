#include "weights/files/tensor_layout.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/units.h"
#include "weights/files/printable.h"

namespace nereus {

Result<uint64_t> checked_elements(std::span<const uint64_t> dims, std::string_view file,
                                  std::string_view tensor) {
    uint64_t bound = 1;
    uint64_t n_elements = 1;
    for (const uint64_t dim : dims) {
        const auto next = checked_mul(bound, std::max<uint64_t>(dim, 1));
        if (!next || *next > kMaxElements) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: tensor {}: dimension {} makes the tensor larger than any file",
                              file, printable(tensor), dim);
        }
        bound = *next;
        n_elements *= dim;
    }
    return n_elements;
}

Result<uint64_t> checked_bytes(const Format& format, uint64_t n_elements, uint64_t cols,
                               std::string_view file, std::string_view tensor) {
    const auto per_block = static_cast<uint64_t>(format.block_elements);
    if (cols % per_block != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tensor {}: rows of {} numbers are not whole blocks of {} ({})", file,
                          printable(tensor), cols, per_block, format.name);
    }
    // n_elements <= 2^56 and no format spends more than 8 bytes a number: this fits.
    return n_elements / per_block * static_cast<uint64_t>(format.block_bytes);
}

Status sort_and_check_layout(std::vector<StoredTensor>& tensors, uint64_t begin, uint64_t end,
                             Gaps gaps) {
    const auto end_of = [](const StoredTensor& t) { return t.offset + t.data.size(); };
    std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
        return std::tuple(a.offset, a.data.size(), std::string_view(a.name)) <
               std::tuple(b.offset, b.data.size(), std::string_view(b.name));
    });
    uint64_t position = begin;
    const StoredTensor* previous = nullptr;
    for (const StoredTensor& tensor : tensors) {
        if (tensor.offset < position) {
            return make_error(
                ErrorCode::kCorrupt, "{}: tensor {} at byte {} overlaps {}, which ends at byte {}",
                tensor.file, printable(tensor.name), tensor.offset,
                previous == nullptr ? "the header" : printable(previous->name), position);
        }
        if (gaps == Gaps::kRefused && tensor.offset != position) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: bytes {} to {} before tensor {} belong to no tensor",
                              tensor.file, position, tensor.offset, printable(tensor.name));
        }
        if (!tensor.data.empty()) {
            position = end_of(tensor);
            previous = &tensor;
        }
    }
    if (gaps == Gaps::kRefused && !tensors.empty() && position != end) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: the last tensor ends at byte {}, the file at byte {}; expected no "
                          "bytes after the tensors",
                          tensors.back().file, position, end);
    }
    return {};
}

Status refuse_duplicates(std::span<const StoredTensor> tensors) {
    std::unordered_map<std::string_view, const StoredTensor*> seen;
    seen.reserve(tensors.size());
    for (const StoredTensor& tensor : tensors) {
        const auto [place, is_new] = seen.emplace(tensor.name, &tensor);
        if (!is_new) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: tensor {} at byte {} is there twice; first in {} at byte {}",
                              tensor.file, printable(tensor.name), tensor.offset,
                              place->second->file, place->second->offset);
        }
    }
    return {};
}

}  // namespace nereus
