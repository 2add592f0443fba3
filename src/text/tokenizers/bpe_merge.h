#pragma once
// The merging of byte-pair encoding: neighbours become one symbol, best priority first, leftmost
// among equals. Shared by merge-list BPE and by SentencePiece's BPE by scores.

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

#include "base/check.h"

namespace nereus {

/// A run of the piece's bytes that is one token so far; id kNoToken for text without a token.
struct Symbol {
    int32_t id = 0;
    uint32_t begin = 0;
    uint32_t size = 0;  ///< bytes; 0 once it was merged into its left neighbour
};

/// What two neighbours would become. Lower priority values merge first.
struct Merge {
    uint32_t priority = 0;
    int32_t result = 0;
};

/// (left id, right id) -> Merge, in one flat table.
class MergeTable {
  public:
    /// A pair that is there already gets the new merge.
    void set(int32_t left, int32_t right, Merge merge);
    std::optional<Merge> find(int32_t left, int32_t right) const;
    size_t size() const { return n_pairs_; }

  private:
    struct Slot {
        uint64_t pair = kFree;
        Merge merge;
    };
    static constexpr uint64_t kFree = ~uint64_t{0};

    size_t slot_of(uint64_t pair) const;
    void grow();

    std::vector<Slot> slots_;  ///< open addressing, a power of two, at most half full
    size_t n_pairs_ = 0;
};

namespace bpe {

/// Below this many symbols scanning for the best pair beats a heap.
inline constexpr size_t kScanMax = 32;

/// n^2 / 2 comparisons for n symbols, but no allocation; most words have fewer than ten.
template <typename Lookup>
void merge_by_scan(std::vector<Symbol>& symbols, const Lookup& lookup) {
    std::optional<Merge> merges[kScanMax];  // [i]: symbols i and i + 1
    size_t n = symbols.size();
    for (size_t i = 0; i + 1 < n; ++i) {
        merges[i] = lookup(symbols[i], symbols[i + 1]);
    }
    while (n > 1) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; ++i) {
            if (merges[i] && (best == n || merges[i]->priority < merges[best]->priority)) {
                best = i;
            }
        }
        if (best == n) {
            break;
        }
        symbols[best].id = merges[best]->result;
        symbols[best].size += symbols[best + 1].size;
        for (size_t i = best + 1; i + 1 < n; ++i) {
            symbols[i] = symbols[i + 1];
            merges[i] = merges[i + 1];
        }
        --n;
        if (best > 0) {
            merges[best - 1] = lookup(symbols[best - 1], symbols[best]);
        }
        merges[best] = best + 1 < n ? lookup(symbols[best], symbols[best + 1]) : std::nullopt;
    }
    symbols.resize(n);
}

/// A heap of candidate pairs over a linked list: n log n. A candidate is stale when one of its two
/// symbols has grown; a symbol only ever grows, so comparing total sizes is enough.
template <typename Lookup>
class HeapMerger {
  public:
    HeapMerger(std::vector<Symbol>& symbols, const Lookup& lookup)
        : symbols_(symbols), lookup_(lookup), links_(symbols.size()) {}

    void run() {
        std::vector<Candidate> first;
        const auto n = static_cast<uint32_t>(symbols_.size());
        for (uint32_t i = 0; i < n; ++i) {
            links_[i] = {i - 1, i + 1};  // kNone wraps to the ends
            if (const auto found = i + 1 < n ? candidate(i, i + 1) : std::nullopt) {
                first.push_back(*found);
            }
        }
        heap_ = Heap({}, std::move(first));
        while (!heap_.empty()) {
            const Candidate best = heap_.top();
            heap_.pop();
            apply(best);
        }
        std::erase_if(symbols_, [](const Symbol& symbol) { return symbol.size == 0; });
    }

  private:
    struct Candidate {
        uint64_t order = 0;  ///< priority, then position
        int32_t result = 0;
        uint32_t size = 0;  ///< bytes of both
        bool operator>(const Candidate& other) const { return order > other.order; }
    };
    struct Links {
        uint32_t previous = 0;
        uint32_t next = 0;
    };
    using Heap = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

    std::optional<Candidate> candidate(uint32_t left, uint32_t right) const {
        const std::optional<Merge> merge = lookup_(symbols_[left], symbols_[right]);
        if (!merge) {
            return std::nullopt;
        }
        return Candidate{(uint64_t{merge->priority} << 32) | left, merge->result,
                         symbols_[left].size + symbols_[right].size};
    }

    void apply(const Candidate& best) {
        const auto left = static_cast<uint32_t>(best.order);
        const uint32_t right = links_[left].next;
        const size_t n = symbols_.size();
        if (symbols_[left].size == 0 || right >= n ||
            symbols_[left].size + symbols_[right].size != best.size) {
            return;
        }
        symbols_[left].id = best.result;
        symbols_[left].size = best.size;
        symbols_[right].size = 0;
        const uint32_t after = links_[right].next;
        links_[left].next = after;
        if (after < n) {
            links_[after].previous = left;
            push(left, after);
        }
        if (links_[left].previous < n) {
            push(links_[left].previous, left);
        }
    }

    void push(uint32_t left, uint32_t right) {
        if (const auto found = candidate(left, right)) {
            heap_.push(*found);
        }
    }

    std::vector<Symbol>& symbols_;
    const Lookup& lookup_;
    std::vector<Links> links_;
    Heap heap_;
};

}  // namespace bpe

/// Merges until no pair is left that lookup(left symbol, right symbol) knows. Symbols are not
/// empty.
template <typename Lookup>
void merge_symbols(std::vector<Symbol>& symbols, const Lookup& lookup) {
    if (symbols.size() <= bpe::kScanMax) {
        bpe::merge_by_scan(symbols, lookup);
    } else {
        bpe::HeapMerger<Lookup>(symbols, lookup).run();
    }
}

}  // namespace nereus
