// KvCache under random programs against a plain model with its own pages: contents, lengths, which
// append must fail, and how many pages are in use at every step.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "base/rng.h"
#include "memory/kv_cache.h"

namespace nereus {
namespace {

constexpr int64_t kPage = 4;

/// A page of the model: shared by everyone who forked while it was there.
using PlainPage = std::vector<float>;

struct PlainSequence {
    std::vector<std::shared_ptr<PlainPage>> pages;
    int64_t length = 0;

    float at(int64_t position) const {
        return (
            *pages[static_cast<size_t>(position / kPage)])[static_cast<size_t>(position % kPage)];
    }
};

class Program {
  public:
    Program(uint64_t seed, int64_t max_tokens)
        : seed_(seed), max_pages_((max_tokens + kPage - 1) / kPage) {
        KvSpec spec;
        spec.row_floats = {2, 7};
        spec.page_tokens = kPage;
        spec.max_tokens = max_tokens;
        cache_ = KvCache::create(spec).value();
    }

    void run(int n_steps) {
        for (int step = 0; step < n_steps; ++step) {
            SCOPED_TRACE(testing::Message() << "seed " << seed_ << " step " << step);
            one_step();
            ASSERT_NO_FATAL_FAILURE(check());
        }
        while (!model_.empty()) {
            cache_->remove_sequence(model_.begin()->first);
            model_.erase(model_.begin());
        }
        EXPECT_EQ(cache_->n_bytes(), 0) << "pages that nobody owns are still counted";
    }

    int n_refused() const { return n_refused_; }
    int n_copied() const { return n_copied_; }

  private:
    int64_t below(int64_t n) {
        return static_cast<int64_t>(random_bits(seed_, 3, next_++) % static_cast<uint64_t>(n));
    }
    int64_t n_used() const {
        std::set<const PlainPage*> pages;
        for (const auto& [slot, sequence] : model_) {
            for (const auto& page : sequence.pages) {
                pages.insert(page.get());
            }
        }
        return static_cast<int64_t>(pages.size());
    }

    void one_step() {
        const int64_t what = below(10);
        if (model_.empty() || (what == 0 && model_.size() < 12)) {
            model_[cache_->add_sequence().value()] = {};
            return;
        }
        auto chosen = model_.begin();
        std::advance(chosen, below(static_cast<int64_t>(model_.size())));
        const int32_t slot = chosen->first;
        if (what == 1 && model_.size() < 12) {
            PlainSequence copy = chosen->second;
            model_[cache_->fork(slot).value()] = std::move(copy);
        } else if (what == 2) {
            cache_->remove_sequence(slot);
            model_.erase(chosen);
        } else if (what == 3) {
            truncate(slot, chosen->second);
        } else {
            append(slot, chosen->second);
        }
    }

    void truncate(int32_t slot, PlainSequence& sequence) {
        const int64_t n = below(sequence.length + 1);
        cache_->truncate(slot, n);
        sequence.length = n;
        sequence.pages.resize(static_cast<size_t>((n + kPage - 1) / kPage));
    }

    void append(int32_t slot, PlainSequence& sequence) {
        const int64_t n = below(11);
        const bool shared =
            n > 0 && sequence.length % kPage != 0 && sequence.pages.back().use_count() > 1;
        const int64_t n_pages = (sequence.length + n + kPage - 1) / kPage;
        const int64_t more =
            n_pages - static_cast<int64_t>(sequence.pages.size()) + (shared ? 1 : 0);
        // A copy gives its place back only after it was made.
        const bool fits = n_used() + more <= max_pages_;
        const Status status = cache_->append(slot, n);
        ASSERT_EQ(status.ok(), fits) << n << " rows, " << more << " pages more of " << n_used();
        if (!fits) {
            EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
            ++n_refused_;
            return;
        }
        if (shared) {
            sequence.pages.back() = std::make_shared<PlainPage>(*sequence.pages.back());
            ++n_copied_;
        }
        while (static_cast<int64_t>(sequence.pages.size()) < n_pages) {
            sequence.pages.push_back(std::make_shared<PlainPage>(kPage));
        }
        for (int64_t i = 0; i < n; ++i) {
            const int64_t position = sequence.length++;
            const auto value = static_cast<float>(++n_written_);
            (*sequence.pages[static_cast<size_t>(position / kPage)])[static_cast<size_t>(
                position % kPage)] = value;
            cache_->row(0, slot, position)[1] = value;
            cache_->row(1, slot, position)[6] = -value;
        }
    }

    void check() const {
        ASSERT_EQ(cache_->n_bytes() % std::max<int64_t>(n_used(), 1), 0);
        if (n_used() > 0) {
            const int64_t page_bytes = cache_->n_bytes() / n_used();
            // [4 x 2] and [4 x 7] floats, each layer rounded up to 16.
            ASSERT_EQ(page_bytes, (16 + 32) * 4);
        }
        for (const auto& [slot, sequence] : model_) {
            ASSERT_EQ(cache_->length(slot), sequence.length);
            for (int64_t p = 0; p < sequence.length; ++p) {
                ASSERT_EQ(cache_->read(0, slot, p)[1], sequence.at(p));
                ASSERT_EQ(cache_->read(1, slot, p)[6], -sequence.at(p));
            }
        }
    }

    uint64_t seed_;
    uint64_t next_ = 0;
    int64_t max_pages_;
    int64_t n_written_ = 0;
    int n_refused_ = 0, n_copied_ = 0;
    std::unique_ptr<KvCache> cache_;
    std::map<int32_t, PlainSequence> model_;
};

TEST(KvCacheProgram, random_programs_agree_with_a_plain_model_of_pages) {
    int n_refused = 0, n_copied = 0;
    for (uint64_t seed = 0; seed < 60; ++seed) {
        Program program(seed, seed % 3 == 0 ? 40 : seed % 3 == 1 ? 97 : 1000);
        ASSERT_NO_FATAL_FAILURE(program.run(250));
        n_refused += program.n_refused();
        n_copied += program.n_copied();
    }
    EXPECT_GT(n_refused, 500) << "the programs never exhausted the cache";
    EXPECT_GT(n_copied, 200) << "the programs never wrote to a shared page";
}

TEST(KvCacheProgram, slots_come_back_empty_after_removal) {
    KvSpec spec;
    spec.row_floats = {1};
    spec.page_tokens = kPage;
    spec.max_tokens = 64;
    const auto cache = KvCache::create(spec).value();
    const int32_t first = cache->add_sequence().value();
    ASSERT_TRUE(cache->append(first, 9).ok());
    const int32_t fork = cache->fork(first).value();
    cache->remove_sequence(first);
    const int32_t again = cache->add_sequence().value();
    EXPECT_EQ(again, first);
    EXPECT_EQ(cache->length(again), 0);
    EXPECT_TRUE(cache->pages(0, again).empty());
    EXPECT_EQ(cache->length(fork), 9) << "the copy lost its rows with the original";
}

}  // namespace
}  // namespace nereus
