#include "engine/internal/cache_book.h"

#include <algorithm>

#include "base/check.h"
#include "base/units.h"

namespace nereus {
namespace {

/// More than a chat and its branches need; the search for a prefix is linear in it.
constexpr size_t kKeptSequencesMax = 64;
constexpr int32_t kNoSlot = -1;

int64_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
    const size_t n = std::min(a.size(), b.size());
    return std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first -
           a.begin();
}

}  // namespace

CacheBook::CacheBook(std::unique_ptr<KvCache> cache) : cache_(std::move(cache)) {
    capacity_ = rounded(cache_->spec().max_tokens);
}

/// Every sequence is charged whole pages, shared or not: a bound that stays true when a shared page
/// has to be copied.
int64_t CacheBook::rounded(int64_t n_tokens) const {
    return round_up(n_tokens, cache_->spec().page_tokens);
}

int64_t CacheBook::used() const {
    int64_t n = 0;
    for (const Running& running : running_) {
        n += running.reserved;
    }
    for (const Kept& kept : kept_) {
        n += rounded(static_cast<int64_t>(kept.tokens.size()));
    }
    return n;
}

std::pair<size_t, int64_t> CacheBook::best_prefix(std::span<const int32_t> tokens) const {
    size_t best = 0;
    int64_t longest = 0;
    for (size_t i = 0; i < kept_.size(); ++i) {
        const int64_t length = common_prefix(kept_[i].tokens, tokens.first(tokens.size() - 1));
        if (length > longest) {
            best = i;
            longest = length;
        }
    }
    return {best, longest};
}

void CacheBook::evict(size_t index) {
    cache_->remove_sequence(kept_[index].slot);
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(index));
    ++n_evicted_;
}

bool CacheBook::make_room(int64_t wanted, int32_t spared) {
    while (used() + wanted > capacity_) {
        const auto oldest = std::find_if(kept_.begin(), kept_.end(),
                                         [&](const Kept& kept) { return kept.slot != spared; });
        if (oldest == kept_.end()) {
            return false;
        }
        evict(static_cast<size_t>(oldest - kept_.begin()));
    }
    return true;
}

std::optional<CacheBook::Place> CacheBook::place(std::span<const int32_t> tokens,
                                                 int64_t n_tokens_max) {
    NEREUS_CHECK(!tokens.empty());
    const int64_t reserved = rounded(n_tokens_max);
    int64_t running = 0;
    for (const Running& other : running_) {
        running += other.reserved;
    }
    if (running + reserved > capacity_) {
        return std::nullopt;  // evicting everything would not help: evict nothing
    }
    auto [index, n_cached] = best_prefix(tokens);
    int32_t slot = kNoSlot;
    if (n_cached > 0) {
        Kept source = kept_[index];
        kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(index));
        kept_.push_back(source);  // it was just used
        const bool extends = n_cached == static_cast<int64_t>(source.tokens.size());
        if (!extends && make_room(reserved, source.slot)) {
            const Result<int32_t> copy = cache_->fork(source.slot);
            slot = copy.ok() ? *copy : kNoSlot;
        }
        if (slot == kNoSlot) {
            slot = source.slot;
            kept_.pop_back();
        }
        cache_->truncate(slot, n_cached);
    }
    const bool fits = make_room(reserved, kNoSlot);
    NEREUS_CHECK(fits);
    if (slot == kNoSlot) {
        const Result<int32_t> fresh = cache_->add_sequence();
        if (!fresh.ok()) {
            return std::nullopt;
        }
        slot = *fresh;
    }
    running_.push_back({slot, reserved});
    return Place{slot, n_cached};
}

void CacheBook::forget_running(int32_t slot) {
    const auto found = std::find_if(running_.begin(), running_.end(),
                                    [&](const Running& running) { return running.slot == slot; });
    NEREUS_CHECK(found != running_.end());
    running_.erase(found);
}

void CacheBook::keep(int32_t slot, std::vector<int32_t> tokens) {
    NEREUS_CHECK(cache_->length(slot) == static_cast<int64_t>(tokens.size()));
    if (tokens.empty()) {
        drop(slot);
        return;
    }
    forget_running(slot);
    // What the new sequence begins with is of no more use by itself.
    for (size_t i = kept_.size(); i-- > 0;) {
        if (common_prefix(kept_[i].tokens, tokens) ==
            static_cast<int64_t>(kept_[i].tokens.size())) {
            cache_->remove_sequence(kept_[i].slot);
            kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    kept_.push_back({slot, std::move(tokens)});
    if (kept_.size() > kKeptSequencesMax) {
        evict(0);
    }
}

void CacheBook::drop(int32_t slot) {
    forget_running(slot);
    cache_->remove_sequence(slot);
}

}  // namespace nereus
