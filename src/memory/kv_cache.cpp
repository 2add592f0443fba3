#include "memory/kv_cache.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/units.h"

namespace nereus {
namespace {

constexpr int32_t kNoSequence = -1;
constexpr int64_t kPageAlignment = 64;  // one cache line, one AVX-512 register

struct FreePage {
    void operator()(std::byte* data) const { std::free(data); }
};

/// All layers' rows of page_tokens positions, layer after layer.
struct Page {
    std::unique_ptr<std::byte, FreePage> data;
    int32_t n_owners = 0;
};

struct Sequence {
    bool alive = false;
    int64_t length = 0;
    std::vector<int32_t> page_ids;
    std::vector<std::vector<const std::byte*>> layer_pages;  ///< [layer][page]
};

class PagedKvCache final : public KvCache {
  public:
    explicit PagedKvCache(KvSpec spec) : spec_(std::move(spec)) {
        layer_offsets_.reserve(spec_.row_floats.size());
        for (size_t layer = 0; layer < spec_.row_floats.size(); ++layer) {
            const KvRows rows = spec_.rows(static_cast<int64_t>(layer));
            layer_offsets_.push_back(page_bytes_);
            page_bytes_ += round_up<int64_t>(rows.page_bytes(spec_.page_tokens), kPageAlignment);
        }
        max_pages_ = ceil_div(spec_.max_tokens, spec_.page_tokens);
    }

    Result<int32_t> add_sequence() override {
        const int32_t slot = NEREUS_TRY(take_slot());
        return slot;
    }

    Result<int32_t> fork(int32_t slot) override {
        const int32_t copy = NEREUS_TRY(take_slot());
        const Sequence& from = sequence(slot);
        Sequence& to = sequences_[static_cast<size_t>(copy)];
        to.length = from.length;
        to.page_ids = from.page_ids;
        to.layer_pages = from.layer_pages;
        for (const int32_t id : to.page_ids) {
            ++page(id).n_owners;
        }
        return copy;
    }

    void remove_sequence(int32_t slot) override {
        truncate(slot, 0);
        sequence(slot).alive = false;
        free_slots_.push_back(slot);
    }

    int64_t length(int32_t slot) const override { return sequence(slot).length; }

    Status append(int32_t slot, int64_t n) override {
        NEREUS_CHECK(n >= 0);
        Sequence& seq = sequence(slot);
        const int64_t n_pages = ceil_div(seq.length + n, spec_.page_tokens);
        const bool copies_last =
            n > 0 && seq.length % spec_.page_tokens != 0 && page(seq.page_ids.back()).n_owners > 1;
        const int64_t wanted =
            n_pages - static_cast<int64_t>(seq.page_ids.size()) + (copies_last ? 1 : 0);
        NEREUS_TRY(reserve_pages(wanted, seq.length, n));
        if (copies_last) {
            own_last_page(seq);
        }
        while (static_cast<int64_t>(seq.page_ids.size()) < n_pages) {
            push_page(seq, take_page());
        }
        seq.length += n;
        return {};
    }

    void truncate(int32_t slot, int64_t n) override {
        Sequence& seq = sequence(slot);
        NEREUS_CHECK(n >= 0 && n <= seq.length);
        const auto n_pages = static_cast<size_t>(ceil_div(n, spec_.page_tokens));
        while (seq.page_ids.size() > n_pages) {
            drop_page(seq.page_ids.back());
            seq.page_ids.pop_back();
        }
        for (auto& pages : seq.layer_pages) {
            pages.resize(n_pages);
        }
        seq.length = n;
    }

    KvPlace place(int64_t layer, int32_t slot, int64_t position) override {
        const Sequence& seq = sequence(slot);
        NEREUS_ASSERT(position >= 0 && position < seq.length);
        Page& owner = page(seq.page_ids[static_cast<size_t>(position / spec_.page_tokens)]);
        NEREUS_ASSERT(owner.n_owners == 1);
        return {owner.data.get() + layer_offsets_[static_cast<size_t>(layer)],
                position % spec_.page_tokens};
    }

    std::span<const std::byte* const> pages(int64_t layer, int32_t slot) const override {
        return sequence(slot).layer_pages[static_cast<size_t>(layer)];
    }

    const KvSpec& spec() const override { return spec_; }

    int64_t n_bytes() const override { return n_used_pages_ * page_bytes_; }

  private:
    Page& page(int32_t id) { return pages_[static_cast<size_t>(id)]; }

    const Sequence& sequence(int32_t slot) const {
        NEREUS_CHECK(slot >= 0 && static_cast<size_t>(slot) < sequences_.size());
        NEREUS_CHECK(sequences_[static_cast<size_t>(slot)].alive);
        return sequences_[static_cast<size_t>(slot)];
    }
    Sequence& sequence(int32_t slot) {
        return const_cast<Sequence&>(std::as_const(*this).sequence(slot));
    }

    Result<int32_t> take_slot() {
        int32_t slot = kNoSequence;
        if (!free_slots_.empty()) {
            slot = free_slots_.back();
            free_slots_.pop_back();
        } else if (sequences_.size() < kMaxSequences) {
            slot = static_cast<int32_t>(sequences_.size());
            sequences_.emplace_back();
        } else {
            return make_error(ErrorCode::kOverloaded, "all {} cached sequences are in use",
                              kMaxSequences);
        }
        Sequence& seq = sequences_[static_cast<size_t>(slot)];
        seq.alive = true;
        seq.layer_pages.resize(spec_.row_floats.size());
        return slot;
    }

    /// Makes sure `wanted` pages lie in the free list.
    Status reserve_pages(int64_t wanted, int64_t length, int64_t n) {
        if (n_used_pages_ + wanted > max_pages_) {
            return make_error(ErrorCode::kOutOfMemory,
                              "the cache holds {} tokens, {} pages of {} are taken; {} more tokens "
                              "after {} do not fit",
                              max_pages_ * spec_.page_tokens, n_used_pages_, max_pages_, n, length);
        }
        while (static_cast<int64_t>(free_pages_.size()) < wanted) {
            auto* data = static_cast<std::byte*>(
                std::aligned_alloc(kPageAlignment, static_cast<size_t>(page_bytes_)));
            if (data == nullptr) {
                return make_error(ErrorCode::kOutOfMemory, "no memory for a cache page of {}",
                                  human_bytes(static_cast<uint64_t>(page_bytes_)));
            }
            free_pages_.push_back(static_cast<int32_t>(pages_.size()));
            pages_.push_back(Page{std::unique_ptr<std::byte, FreePage>(data), 0});
        }
        return {};
    }

    int32_t take_page() {
        const int32_t id = free_pages_.back();
        free_pages_.pop_back();
        page(id).n_owners = 1;
        ++n_used_pages_;
        return id;
    }

    void drop_page(int32_t id) {
        if (--page(id).n_owners == 0) {
            free_pages_.push_back(id);
            --n_used_pages_;
        }
    }

    void push_page(Sequence& seq, int32_t id) {
        seq.page_ids.push_back(id);
        for (size_t layer = 0; layer < seq.layer_pages.size(); ++layer) {
            seq.layer_pages[layer].push_back(page(id).data.get() + layer_offsets_[layer]);
        }
    }

    void own_last_page(Sequence& seq) {
        const int32_t shared = seq.page_ids.back();
        const int32_t own = take_page();
        std::memcpy(page(own).data.get(), page(shared).data.get(),
                    static_cast<size_t>(page_bytes_));
        drop_page(shared);
        seq.page_ids.pop_back();
        for (auto& pages : seq.layer_pages) {
            pages.pop_back();
        }
        push_page(seq, own);
    }

    KvSpec spec_;
    std::vector<int64_t> layer_offsets_;  ///< bytes from a page's start
    int64_t page_bytes_ = 0;
    int64_t max_pages_ = 0;
    int64_t n_used_pages_ = 0;
    std::vector<Page> pages_;
    std::vector<int32_t> free_pages_;
    std::vector<Sequence> sequences_;
    std::vector<int32_t> free_slots_;
};

}  // namespace

int64_t KvSpec::bytes_per_token() const {
    int64_t bytes = 0;
    for (size_t layer = 0; layer < row_floats.size(); ++layer) {
        bytes += rows(static_cast<int64_t>(layer)).row_bytes();
    }
    return bytes;
}

float* KvCache::row(int64_t layer, int32_t slot, int64_t position) {
    NEREUS_CHECK(spec().format == KvFormat::kF32);
    const KvPlace to = place(layer, slot, position);
    return reinterpret_cast<float*>(to.page) +
           to.row * spec().row_floats[static_cast<size_t>(layer)];
}

const float* KvCache::read(int64_t layer, int32_t slot, int64_t position) const {
    NEREUS_CHECK(spec().format == KvFormat::kF32);
    const int64_t tokens = spec().page_tokens;
    const std::byte* page = pages(layer, slot)[static_cast<size_t>(position / tokens)];
    return reinterpret_cast<const float*>(page) +
           position % tokens * spec().row_floats[static_cast<size_t>(layer)];
}

Result<std::unique_ptr<KvCache>> KvCache::create(KvSpec spec) {
    NEREUS_CHECK(spec.page_tokens > 0);
    NEREUS_CHECK(spec.format != KvFormat::kInt8 || spec.page_tokens == KvBlock::kRows);
    if (spec.max_tokens < 1) {
        return make_error(ErrorCode::kInvalidArgument, "a cache of {} tokens holds nothing",
                          spec.max_tokens);
    }
    return std::unique_ptr<KvCache>(std::make_unique<PagedKvCache>(std::move(spec)));
}

}  // namespace nereus
