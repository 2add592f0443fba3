#include "text/tokenizers/bpe_merge.h"

#include <algorithm>

namespace nereus {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

}  // namespace

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
    if (slots_.size() < 2 * (n_pairs_ + 1)) {
        grow();
    }
    const uint64_t pair = pair_key(left, right);
    NEREUS_CHECK(pair != kFree);
    Slot& slot = slots_[slot_of(pair)];
    n_pairs_ += slot.pair == kFree ? 1 : 0;
    slot = {pair, merge};
}

std::optional<Merge> MergeTable::find(int32_t left, int32_t right) const {
    if (slots_.empty()) {
        return std::nullopt;
    }
    const uint64_t pair = pair_key(left, right);
    const Slot& slot = slots_[slot_of(pair)];
    if (slot.pair != pair || pair == kFree) {
        return std::nullopt;
    }
    return slot.merge;
}

size_t MergeTable::slot_of(uint64_t pair) const {
    const size_t mask = slots_.size() - 1;
    uint64_t hash = pair * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
    size_t at = static_cast<size_t>(hash) & mask;
    while (slots_[at].pair != kFree && slots_[at].pair != pair) {
        at = (at + 1) & mask;
    }
    return at;
}

void MergeTable::grow() {
    std::vector<Slot> old(std::max<size_t>(1024, slots_.size() * 2));
    old.swap(slots_);
    for (const Slot& slot : old) {
        if (slot.pair != kFree) {
            slots_[slot_of(slot.pair)] = slot;
        }
    }
}

}  // namespace nereus
