#include "memory/kv_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"

namespace nereus {
namespace {

KvSpec small_spec(int64_t max_tokens) {
    KvSpec spec;
    spec.row_floats = {3, 5};
    spec.page_tokens = 4;
    spec.max_tokens = max_tokens;
    return spec;
}

float read(const KvCache& cache, int64_t layer, int32_t slot, int64_t position, int64_t column) {
    return cache.read(layer, slot, position)[column];
}

void write_rows(KvCache& cache, int32_t slot, int64_t begin, int64_t end, float value) {
    for (int64_t position = begin; position < end; ++position) {
        for (int64_t layer = 0; layer < 2; ++layer) {
            for (int64_t c = 0; c < cache.spec().row_floats[static_cast<size_t>(layer)]; ++c) {
                cache.row(layer, slot, position)[c] =
                    value + static_cast<float>(position * 100 + layer * 10 + c);
            }
        }
    }
}

TEST(KvCache, bytes_per_token_is_the_sum_of_the_layers) {
    EXPECT_EQ(small_spec(8).bytes_per_token(), 8 * 4);
}

TEST(KvCache, a_cache_of_no_tokens_is_refused) {
    EXPECT_EQ(KvCache::create(small_spec(0)).error().code, ErrorCode::kInvalidArgument);
}

TEST(KvCache, a_full_cache_refuses_with_numbers_and_changes_nothing) {
    auto cache = KvCache::create(small_spec(8)).value();
    const int32_t slot = cache->add_sequence().value();
    ASSERT_TRUE(cache->append(slot, 7).ok());
    const Status refused = cache->append(slot, 2);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
    EXPECT_NE(refused.error().message.find("8 tokens"), std::string::npos);
    EXPECT_EQ(cache->length(slot), 7);
    EXPECT_TRUE(cache->append(slot, 1).ok());
}

TEST(KvCache, a_fork_shares_pages_until_one_writes) {
    auto cache = KvCache::create(small_spec(100)).value();
    const int32_t a = cache->add_sequence().value();
    ASSERT_TRUE(cache->append(a, 6).ok());
    write_rows(*cache, a, 0, 6, 0.0F);
    const int64_t before = cache->n_bytes();
    const int32_t b = cache->fork(a).value();
    EXPECT_EQ(cache->n_bytes(), before);
    ASSERT_TRUE(cache->append(b, 1).ok());
    write_rows(*cache, b, 6, 7, 5000.0F);
    ASSERT_TRUE(cache->append(a, 1).ok());
    write_rows(*cache, a, 6, 7, 7000.0F);
    EXPECT_EQ(read(*cache, 1, a, 5, 4), 514.0F);
    EXPECT_EQ(read(*cache, 1, b, 5, 4), 514.0F);
    EXPECT_EQ(read(*cache, 0, a, 6, 0), 7600.0F);
    EXPECT_EQ(read(*cache, 0, b, 6, 0), 5600.0F);
}

TEST(KvCache, removed_sequences_give_their_pages_back) {
    auto cache = KvCache::create(small_spec(8)).value();
    for (int round = 0; round < 5; ++round) {
        const int32_t slot = cache->add_sequence().value();
        ASSERT_TRUE(cache->append(slot, 8).ok());
        cache->remove_sequence(slot);
        EXPECT_EQ(cache->n_bytes(), 0);
    }
}

/// A naive model: every sequence is a plain list of values.
TEST(KvCache, random_traces_of_all_operations_equal_a_plain_copy_of_every_sequence) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
        auto cache = KvCache::create(small_spec(120)).value();
        std::map<int32_t, std::vector<float>> model;
        for (uint64_t step = 0; step < 120; ++step) {
            const uint64_t bits = random_bits(seed, 1, step);
            const uint64_t what = bits % 8;
            if (model.empty() || what == 0) {
                model[cache->add_sequence().value()] = {};
                continue;
            }
            auto chosen = model.begin();
            std::advance(chosen, static_cast<int64_t>((bits >> 8) % model.size()));
            auto& [slot, values] = *chosen;
            const auto amount = static_cast<int64_t>((bits >> 16) % 9);
            if (what == 1) {
                model[cache->fork(slot).value()] = std::vector<float>(values);
            } else if (what == 2) {
                cache->remove_sequence(slot);
                model.erase(slot);
            } else if (what == 3) {
                const auto keep = static_cast<size_t>(amount) % (values.size() + 1);
                cache->truncate(slot, static_cast<int64_t>(keep));
                values.resize(keep);
            } else if (cache->append(slot, amount).ok()) {
                for (int64_t i = 0; i < amount; ++i) {
                    const auto value = static_cast<float>(bits % 100000);
                    cache->row(1, slot, static_cast<int64_t>(values.size()))[4] = value;
                    values.push_back(value);
                }
            }
            for (const auto& [id, expected] : model) {
                ASSERT_EQ(cache->length(id), static_cast<int64_t>(expected.size()));
                for (size_t i = 0; i < expected.size(); ++i) {
                    ASSERT_EQ(read(*cache, 1, id, static_cast<int64_t>(i), 4), expected[i])
                        << "seed " << seed << " step " << step;
                }
            }
        }
    }
}

}  // namespace
}  // namespace nereus
