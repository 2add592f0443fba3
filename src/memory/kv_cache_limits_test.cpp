// KvCache at its limits: slots, pages, fork chains, pages shared in part, and its accounting.

#include <gtest/gtest.h>

#include "memory/kv_cache.h"

namespace nereus {
namespace {

std::unique_ptr<KvCache> make_cache(int64_t page_tokens, int64_t max_tokens) {
    KvSpec spec;
    spec.row_floats = {2, 16};
    spec.page_tokens = page_tokens;
    spec.max_tokens = max_tokens;
    return KvCache::create(spec).value();
}

/// Appends n rows holding value, value + 1, ...
void push(KvCache& cache, int32_t slot, int64_t n, float value) {
    const int64_t begin = cache.length(slot);
    ASSERT_TRUE(cache.append(slot, n).ok());
    for (int64_t i = 0; i < n; ++i) {
        cache.row(0, slot, begin + i)[1] = value + static_cast<float>(i);
        cache.row(1, slot, begin + i)[15] = -(value + static_cast<float>(i));
    }
}

std::vector<float> contents(const KvCache& cache, int32_t slot) {
    std::vector<float> values;
    for (int64_t p = 0; p < cache.length(slot); ++p) {
        const float first = cache.read(0, slot, p)[1];
        const float second = cache.read(1, slot, p)[15];
        EXPECT_EQ(first, -second) << "layers disagree at " << p;
        values.push_back(first);
    }
    return values;
}

using Values = std::vector<float>;

TEST(KvCache, all_1024_slots_can_be_taken_and_the_next_is_overloaded) {
    const auto cache = make_cache(4, 8);
    std::vector<int32_t> slots;
    for (int32_t i = 0; i < kMaxSequences; ++i) {
        slots.push_back(cache->add_sequence().value());
    }
    EXPECT_EQ(cache->add_sequence().error().code, ErrorCode::kOverloaded);
    EXPECT_EQ(cache->fork(slots[0]).error().code, ErrorCode::kOverloaded);
    cache->remove_sequence(slots[500]);
    EXPECT_EQ(cache->add_sequence().value(), slots[500]);
    EXPECT_EQ(cache->n_bytes(), 0);
}

TEST(KvCache, a_slot_taken_again_starts_empty) {
    const auto cache = make_cache(4, 16);
    const int32_t slot = cache->add_sequence().value();
    push(*cache, slot, 7, 100);
    cache->remove_sequence(slot);
    const int32_t again = cache->add_sequence().value();
    EXPECT_EQ(again, slot);
    EXPECT_EQ(cache->length(again), 0);
    EXPECT_TRUE(cache->pages(0, again).empty());
    push(*cache, again, 2, 5);
    EXPECT_EQ(contents(*cache, again), (Values{5, 6}));
}

TEST(KvCache, a_chain_of_forks_keeps_every_generation_apart) {
    const auto cache = make_cache(4, 400);
    std::vector<int32_t> chain = {cache->add_sequence().value()};
    std::vector<Values> expected = {{}};
    for (int generation = 0; generation < 20; ++generation) {
        const auto value = static_cast<float>(100 * generation);
        push(*cache, chain.back(), 3, value);
        expected.back().insert(expected.back().end(), {value, value + 1, value + 2});
        chain.push_back(cache->fork(chain.back()).value());
        expected.push_back(expected.back());
    }
    for (size_t i = 0; i < chain.size(); ++i) {
        EXPECT_EQ(contents(*cache, chain[i]), expected[i]) << "generation " << i;
    }
    for (const int32_t slot : chain) {
        cache->remove_sequence(slot);
    }
    EXPECT_EQ(cache->n_bytes(), 0);
}

TEST(KvCache, truncation_into_a_shared_page_then_append_writes_a_copy) {
    for (int64_t keep = 0; keep <= 8; ++keep) {
        const auto cache = make_cache(4, 64);
        const int32_t a = cache->add_sequence().value();
        push(*cache, a, 8, 0);
        const int32_t b = cache->fork(a).value();
        cache->truncate(b, keep);
        push(*cache, b, 1, 50);
        EXPECT_EQ(contents(*cache, a), (Values{0, 1, 2, 3, 4, 5, 6, 7})) << keep;
        Values expected;
        for (int64_t i = 0; i < keep; ++i) {
            expected.push_back(static_cast<float>(i));
        }
        expected.push_back(50);
        EXPECT_EQ(contents(*cache, b), expected) << keep;
    }
}

TEST(KvCache, the_copy_of_a_shared_page_needs_a_page_and_is_refused_without_one) {
    const auto cache = make_cache(4, 8);
    const int32_t a = cache->add_sequence().value();
    push(*cache, a, 6, 0);  // both pages
    const int32_t b = cache->fork(a).value();
    const Status refused = cache->append(b, 1);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(contents(*cache, b), (Values{0, 1, 2, 3, 4, 5}));
    EXPECT_TRUE(cache->append(b, 0).ok()) << "nothing is written, nothing is copied";
    cache->remove_sequence(a);
    push(*cache, b, 2, 6);  // b owns its pages now
    EXPECT_EQ(contents(*cache, b), (Values{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(KvCache, pages_of_one_token_are_never_shared_in_part) {
    const auto cache = make_cache(1, 10);
    const int32_t a = cache->add_sequence().value();
    push(*cache, a, 5, 0);
    const int32_t b = cache->fork(a).value();
    push(*cache, a, 2, 10);
    push(*cache, b, 3, 20);
    EXPECT_EQ(contents(*cache, a), (Values{0, 1, 2, 3, 4, 10, 11}));
    EXPECT_EQ(contents(*cache, b), (Values{0, 1, 2, 3, 4, 20, 21, 22}));
    EXPECT_FALSE(cache->append(a, 1).ok()) << "10 pages are 5 shared, 2 and 3";
    cache->truncate(b, 0);
    EXPECT_TRUE(cache->append(a, 3).ok());
}

TEST(KvCache, bytes_in_use_are_whole_pages_and_never_above_the_limit) {
    const auto cache = make_cache(4, 40);
    const int64_t page_bytes = 4 * cache->spec().bytes_per_token();
    std::vector<int32_t> slots;
    for (int i = 0; i < 12; ++i) {
        slots.push_back(cache->add_sequence().value());
        (void)cache->append(slots.back(), 1 + i % 7);
        EXPECT_GE(cache->n_bytes(), page_bytes);
        EXPECT_LE(cache->n_bytes(), 12 * page_bytes);
    }
    int64_t tokens = 0;
    for (const int32_t slot : slots) {
        tokens += cache->length(slot);
        cache->truncate(slot, 0);
    }
    EXPECT_LE(tokens, 40);
    EXPECT_EQ(cache->n_bytes(), 0);
}

TEST(KvCache, a_refused_append_names_what_is_held_and_wanted) {
    const auto cache = make_cache(4, 10);  // three pages
    const int32_t slot = cache->add_sequence().value();
    push(*cache, slot, 9, 0);
    const std::string message = cache->append(slot, 5).error().message;
    for (const char* part : {"12 tokens", "3 pages of 3", "5 more tokens", "after 9"}) {
        EXPECT_NE(message.find(part), std::string::npos) << message;
    }
    EXPECT_TRUE(cache->append(slot, 3).ok()) << "the last page is usable to its end";
}

TEST(KvCache, rows_of_every_layer_start_on_a_cache_line) {
    const auto cache = make_cache(3, 30);
    const int32_t slot = cache->add_sequence().value();
    ASSERT_TRUE(cache->append(slot, 30).ok());
    for (int64_t layer = 0; layer < 2; ++layer) {
        for (const std::byte* page : cache->pages(layer, slot)) {
            EXPECT_EQ(reinterpret_cast<uintptr_t>(page) % 64, 0U);
        }
    }
}

TEST(KvCache, slots_that_do_not_live_are_bugs_not_errors) {
    const auto cache = make_cache(4, 8);
    const int32_t slot = cache->add_sequence().value();
    cache->remove_sequence(slot);
    EXPECT_DEATH((void)cache->length(slot), "check failed");
    EXPECT_DEATH((void)cache->length(-1), "check failed");
    EXPECT_DEATH(cache->remove_sequence(7), "check failed");
    const int32_t alive = cache->add_sequence().value();
    EXPECT_DEATH(cache->truncate(alive, 1), "check failed");
    EXPECT_DEATH((void)cache->append(alive, -1), "check failed");
}

}  // namespace
}  // namespace nereus
