#include "memory/banks/expert_files.h"

#include <algorithm>

#include "base/check.h"

namespace nereus {
namespace {

/// Matrices so near to each other are one read: what lies between costs less than a second one.
constexpr uint64_t kGapMax = 64 * kKiB;

/// The bytes of a matrix alone; scales are elsewhere.
uint64_t matrix_bytes(const Weight& weight) {
    return static_cast<uint64_t>(weight.format->matrix_bytes(weight.rows, weight.cols));
}

}  // namespace

ExpertFiles::ExpertFiles(const Checkpoint& checkpoint, ExpertTable experts)
    : experts_(std::move(experts)) {
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        by_address_.push_back(&tensor);
    }
    std::sort(by_address_.begin(), by_address_.end(),
              [](const auto* a, const auto* b) { return a->data.data() < b->data.data(); });
    for (const std::vector<ExpertWeights>& layer : experts_) {
        plans_.emplace_back();
        for (const ExpertWeights& weights : layer) {
            plans_.back().push_back(plan(weights));
        }
    }
    by_address_.clear();
}

uint32_t ExpertFiles::file_index(const std::string& path) {
    const auto place = std::find(paths_.begin(), paths_.end(), path);
    if (place == paths_.end()) {
        paths_.push_back(path);
        return static_cast<uint32_t>(paths_.size() - 1);
    }
    return static_cast<uint32_t>(place - paths_.begin());
}

ExpertFiles::Expert ExpertFiles::plan(const ExpertWeights& weights) {
    const Weight* matrices[kMatrices] = {&weights.gate, &weights.up, &weights.down};
    struct Found {
        ExpertRead read;
        size_t matrix;
    };
    std::array<Found, kMatrices> found;
    for (size_t i = 0; i < kMatrices; ++i) {
        const std::byte* data = matrices[i]->data;
        const auto after = std::upper_bound(
            by_address_.begin(), by_address_.end(), data,
            [](const std::byte* at, const auto* tensor) { return at < tensor->data.data(); });
        NEREUS_CHECK(after != by_address_.begin());
        const StoredTensor& tensor = **std::prev(after);
        const auto inside = static_cast<uint64_t>(data - tensor.data.data());
        NEREUS_CHECK(inside + matrix_bytes(*matrices[i]) <= tensor.data.size());
        found[i] = {
            {file_index(tensor.file), tensor.offset + inside, matrix_bytes(*matrices[i]), 0}, i};
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
        return std::pair(a.read.file, a.read.offset) < std::pair(b.read.file, b.read.offset);
    });
    Expert expert;
    uint64_t used = 0;
    for (const Found& next : found) {
        ExpertRead* last = expert.n_reads == 0 ? nullptr : &expert.reads[expert.n_reads - 1];
        const bool near = last != nullptr && last->file == next.read.file &&
                          next.read.offset >= last->offset + last->n_bytes &&
                          next.read.offset - last->offset - last->n_bytes <= kGapMax;
        if (near) {
            last->n_bytes = next.read.offset + next.read.n_bytes - last->offset;
        } else {
            last = &expert.reads[expert.n_reads++];
            *last = next.read;
            last->slot_offset = used;
        }
        expert.at[next.matrix] =
            last->slot_offset +
            (next.read.offset - last->offset / kDirectAlignment * kDirectAlignment);
        used = last->slot_offset + aligned_around(last->offset, last->n_bytes).n_bytes();
    }
    slot_bytes_ = std::max(slot_bytes_, used);
    return expert;
}

Status ExpertFiles::open() {
    for (const std::string& path : paths_) {
        files_.push_back(NEREUS_TRY(InputFile::open(path, PageCache::kAvoid)));
    }
    return {};
}

std::span<const ExpertRead> ExpertFiles::reads(int64_t layer, int32_t id) const {
    const Expert& planned = expert(layer, id);
    return std::span(planned.reads).first(planned.n_reads);
}

ExpertWeights ExpertFiles::in_slot(int64_t layer, int32_t id, const std::byte* slot) const {
    ExpertWeights weights = experts_[static_cast<size_t>(layer)][static_cast<size_t>(id)];
    const Expert& planned = expert(layer, id);
    weights.gate.data = slot + planned.at[0];
    weights.up.data = slot + planned.at[1];
    weights.down.data = slot + planned.at[2];
    return weights;
}

}  // namespace nereus
