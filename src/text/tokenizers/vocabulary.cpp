#include "text/tokenizers/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace nereus {
namespace {

/// Multiply and rotate, eight bytes a step, and one more multiply so that every byte reaches the
/// bits that choose a slot; tokens are short, so this is two or three multiplies.
uint32_t hash_bytes(std::string_view bytes) {
    uint64_t state = 0x9e3779b97f4a7c15ULL ^ bytes.size();
    while (!bytes.empty()) {
        const size_t n = std::min<size_t>(8, bytes.size());
        uint64_t word = 0;
        std::memcpy(&word, bytes.data(), n);
        state = (std::rotl(state, 29) ^ word) * 0xbf58476d1ce4e5b9ULL;
        bytes.remove_prefix(n);
    }
    state = (state ^ (state >> 32)) * 0x94d049bb133111ebULL;
    return static_cast<uint32_t>(state >> 32);
}

}  // namespace

bool Vocabulary::set(int32_t id, std::string_view bytes) {
    NEREUS_CHECK(id >= 0);
    NEREUS_CHECK(id < kMaxTokens);
    const auto index = static_cast<size_t>(id);
    if (index >= spans_.size()) {
        spans_.resize(index + 1);
    }
    if (spans_[index].present) {
        return false;
    }
    spans_[index] = {arena_.size(), static_cast<uint32_t>(bytes.size()), true};
    arena_ += bytes;
    return true;
}

bool Vocabulary::make_findable(int32_t id) {
    if (slots_.size() < 2 * (n_findable_ + 1)) {
        grow();
    }
    const std::string_view text = bytes(id);
    const uint32_t hash = hash_bytes(text);
    Slot& slot = slots_[slot_of(text, hash)];
    if (slot.id != kNoToken) {
        return slot.id == id;
    }
    slot = {hash, id};
    ++n_findable_;
    longest_ = std::max(longest_, text.size());
    return true;
}

void Vocabulary::grow() {
    std::vector<Slot> old(std::max<size_t>(1024, slots_.size() * 2));
    old.swap(slots_);
    for (const Slot& slot : old) {
        if (slot.id != kNoToken) {
            slots_[slot_of(bytes(slot.id), slot.hash)] = slot;
        }
    }
}

/// Where `bytes` is, or the free slot where it would go.
size_t Vocabulary::slot_of(std::string_view text, uint32_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    while (slots_[at].id != kNoToken && (slots_[at].hash != hash || bytes(slots_[at].id) != text)) {
        at = (at + 1) & mask;
    }
    return at;
}

int32_t Vocabulary::find(std::string_view bytes) const {
    if (bytes.size() > longest_ || slots_.empty()) {
        return kNoToken;
    }
    return slots_[slot_of(bytes, hash_bytes(bytes))].id;
}

std::string_view Vocabulary::bytes(int32_t id) const {
    if (!has(id)) {
        return {};
    }
    const Span& span = spans_[static_cast<size_t>(id)];
    return std::string_view(arena_).substr(span.offset, span.size);
}

bool Vocabulary::has(int32_t id) const {
    return id >= 0 && id < n_tokens() && spans_[static_cast<size_t>(id)].present;
}

}  // namespace nereus
