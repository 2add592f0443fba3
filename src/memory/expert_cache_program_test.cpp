// ExpertCache under random programs against a plain model that scans everything: who is where, who
// leaves, what is refused, for every policy.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <tuple>

#include "base/rng.h"
#include "memory/expert_cache.h"

namespace nereus {
namespace {

struct PlainExpert {
    bool cached = false, guess = false;
    int pins = 0;
    double score = 0;
    int64_t last_use = 0;
};

/// (layer, expert) in the order of the cache's numbers.
using Key = std::pair<int32_t, int32_t>;

class PlainCache {
  public:
    explicit PlainCache(const ExpertCacheSpec& spec)
        : spec_(spec), live_max_(spec.n_slots - spec.n_guess_slots) {}

    void begin_pass() { unit_ *= std::exp2(1 / spec_.policy.half_life_passes); }
    PlainExpert& at(Key key) { return experts_[key]; }
    void use(Key key) {
        at(key).score += spec_.policy.gain * unit_;
        at(key).last_use = ++clock_;
    }

    int64_t count(bool guess, int32_t layer = -1) const {
        int64_t n = 0;
        for (const auto& [key, expert] : experts_) {
            n +=
                expert.cached && expert.guess == guess && (layer < 0 || key.first == layer) ? 1 : 0;
        }
        return n;
    }
    int64_t n_free() const { return spec_.n_slots - count(false) - count(true); }

    int64_t part_of(int32_t layer) const {
        int64_t n = 0;
        for (int64_t slot = 0; slot < live_max_; ++slot) {  // dealt out one after the other
            n += slot % spec_.n_layers == layer ? 1 : 0;
        }
        return n;
    }

    /// The first to leave of the guesses or the live experts that `open` names; {-1, -1}: none.
    Key victim(bool guess, const std::function<bool(int32_t)>& open) const {
        Key best{-1, -1};
        for (const auto& [key, expert] : experts_) {
            if (expert.cached && expert.guess == guess && expert.pins == 0 && open(key.first) &&
                (best.first < 0 || rank(key) < rank(best))) {
                best = key;
            }
        }
        return best;
    }
    Key guess_victim() const {
        return victim(true, [](int32_t) { return true; });
    }
    Key live_victim(int32_t layer) const {
        const auto any = [](int32_t) { return true; };
        const auto own = [&](int32_t l) { return l == layer; };
        const auto over = [&](int32_t l) { return count(false, l) > part_of(l); };
        std::vector<std::function<bool(int32_t)>> order = {any};
        if (spec_.policy.by_layer) {
            const bool full = layer >= 0 && count(false, layer) >= part_of(layer);
            order = full ? decltype(order){own, over, any} : decltype(order){over, own, any};
        }
        for (const auto& open : order) {
            if (const Key found = victim(false, open); found.first >= 0) {
                return found;
            }
        }
        return {-1, -1};
    }

    /// Whether there is a slot, and who leaves for it.
    std::pair<bool, Key> admit(Key key) {
        use(key);
        Key gone{-1, -1};
        const bool room = count(false) < live_max_;
        if (!(room && n_free() > 0)) {
            gone = room && guess_victim().first >= 0 ? guess_victim() : live_victim(key.first);
            if (gone.first < 0 && n_free() == 0) {
                gone = guess_victim();
                if (gone.first < 0) {
                    return {false, gone};
                }
            }
        }
        return {true, put(key, gone, false)};
    }
    std::pair<bool, Key> admit_guess(Key key) {
        if (count(true) < spec_.n_guess_slots && n_free() > 0) {
            return {true, put(key, {-1, -1}, true)};
        }
        const Key gone = guess_victim();
        return {gone.first >= 0, gone.first >= 0 ? put(key, gone, true) : gone};
    }
    Key trim() {
        const Key gone = count(false) > live_max_ ? live_victim(-1) : Key{-1, -1};
        if (gone.first >= 0) {
            at(gone).cached = false;
        }
        return gone;
    }

  private:
    std::tuple<double, int64_t, Key> rank(Key key) const {
        const PlainExpert& expert = experts_.at(key);
        return {expert.score, expert.last_use, key};
    }
    Key put(Key key, Key gone, bool guess) {
        if (gone.first >= 0) {
            at(gone).cached = at(gone).guess = false;
        }
        at(key).cached = true;
        at(key).guess = guess;
        return gone;
    }

    ExpertCacheSpec spec_;
    int64_t live_max_;
    double unit_ = 1;
    int64_t clock_ = 0;
    std::map<Key, PlainExpert> experts_;
};

struct Counts {
    int evictions = 0, refusals = 0, guesses_come_true = 0, parts_decided = 0;
};

class Program {
  public:
    Program(uint64_t seed, const CachePolicy& policy) : seed_(seed), spec_(), plain_(spec_) {
        spec_.policy = policy;
        spec_.n_layers = 1 + below(5);
        spec_.n_experts = 2 + below(12);
        spec_.n_slots = 1 + below(spec_.n_layers * spec_.n_experts);
        spec_.n_guess_slots = below(std::min<int64_t>(spec_.n_slots, 4));
        plain_ = PlainCache(spec_);
    }

    void run(int n_steps, Counts& counts) {
        ExpertCache cache = ExpertCache::create(spec_).value();
        for (int step = 0; step < n_steps; ++step) {
            SCOPED_TRACE(testing::Message()
                         << spec_.policy.name << " seed " << seed_ << " step " << step);
            one_step(cache, counts);
            ASSERT_NO_FATAL_FAILURE(check(cache));
        }
    }

  private:
    int64_t below(int64_t n) {
        return static_cast<int64_t>(random_bits(seed_, 5, next_++) % static_cast<uint64_t>(n));
    }

    void one_step(ExpertCache& cache, Counts& counts) {
        // Low experts often, as routing is skewed.
        const int64_t expert = std::min(below(spec_.n_experts), below(spec_.n_experts));
        const Key key{static_cast<int32_t>(below(spec_.n_layers)), static_cast<int32_t>(expert)};
        const ExpertKey cache_key{key.first, key.second};
        PlainExpert& plain = plain_.at(key);
        const int64_t what = below(12);
        if (what == 0) {
            cache.begin_pass();
            plain_.begin_pass();
        } else if (what == 1) {
            expect_same_victim(cache.trim(), plain_.trim());
        } else if (!plain.cached) {
            expect_same_admission(cache, cache_key, key, what < 5, counts);
        } else if (what < 4) {
            cache.pin(cache_key);
            ++plain.pins;
        } else if (what < 7 && plain.pins > 0) {
            cache.unpin(cache_key);
            --plain.pins;
        } else if (what == 7 && plain.pins == 0) {
            cache.drop(cache_key);
            plain.cached = plain.guess = false;
        } else {
            counts.guesses_come_true += plain.guess ? 1 : 0;
            cache.touch(cache_key);
            plain_.use(key);
            plain.guess = false;
        }
    }

    void expect_same_admission(ExpertCache& cache, ExpertKey cache_key, Key key, bool guess,
                               Counts& counts) {
        const auto any = [](int32_t) { return true; };
        counts.parts_decided +=
            !guess && plain_.live_victim(key.first) != plain_.victim(false, any) ? 1 : 0;
        const auto [fits, gone] = guess ? plain_.admit_guess(key) : plain_.admit(key);
        const auto admission = guess ? cache.admit_guess(cache_key) : cache.admit(cache_key);
        EXPECT_EQ(admission.slot != ExpertCache::kNoSlot, fits);
        expect_same_victim(admission.evicted, gone);
        counts.evictions += gone.first >= 0 ? 1 : 0;
        counts.refusals += fits ? 0 : 1;
    }

    static void expect_same_victim(const std::optional<ExpertKey>& found, Key expected) {
        const ExpertKey key = found.value_or(ExpertKey{-1, -1});
        EXPECT_EQ((Key{key.layer, key.expert}), expected);
    }

    void check(const ExpertCache& cache) {
        ASSERT_FALSE(testing::Test::HasFailure());
        std::map<int32_t, Key> owners;
        for (int32_t layer = 0; layer < spec_.n_layers; ++layer) {
            ASSERT_EQ(cache.n_live_of(layer), plain_.count(false, layer));
            for (int32_t e = 0; e < spec_.n_experts; ++e) {
                const int32_t slot = cache.find({layer, e});
                ASSERT_EQ(slot != ExpertCache::kNoSlot, plain_.at({layer, e}).cached);
                if (slot != ExpertCache::kNoSlot) {
                    ASSERT_LT(slot, cache.n_slots());
                    ASSERT_TRUE(owners.emplace(slot, Key{layer, e}).second) << "slot used twice";
                }
            }
        }
        ASSERT_EQ(cache.n_live(), plain_.count(false));
        ASSERT_EQ(cache.n_guesses(), plain_.count(true));
    }

    uint64_t seed_;
    uint64_t next_ = 0;
    ExpertCacheSpec spec_;
    PlainCache plain_;
};

TEST(ExpertCacheProgram, random_programs_agree_with_a_plain_model_for_every_policy) {
    for (const CachePolicy& policy : all_cache_policies()) {
        Counts counts;
        for (uint64_t seed = 0; seed < 40; ++seed) {
            Program program(seed, policy);
            ASSERT_NO_FATAL_FAILURE(program.run(300, counts));
        }
        EXPECT_GT(counts.evictions, 1000) << policy.name;
        EXPECT_GT(counts.refusals, 100) << policy.name << ": never was everything pinned";
        EXPECT_GT(counts.guesses_come_true, 20) << policy.name;
        EXPECT_EQ(counts.parts_decided > 100, policy.by_layer) << policy.name;
    }
}

TEST(ExpertCacheProgram, the_same_calls_give_the_same_slots) {
    ExpertCacheSpec spec;
    spec.n_layers = 3;
    spec.n_experts = 16;
    spec.n_slots = 20;
    ExpertCache a = ExpertCache::create(spec).value();
    ExpertCache b = ExpertCache::create(spec).value();
    for (uint64_t i = 0; i < 5000; ++i) {
        const ExpertKey key{static_cast<int32_t>(random_bits(1, 0, i) % 3),
                            static_cast<int32_t>(random_bits(1, 1, i) % 16)};
        for (ExpertCache* cache : {&a, &b}) {
            cache->begin_pass();
            if (cache->find(key) == ExpertCache::kNoSlot) {
                cache->admit(key);
            } else {
                cache->touch(key);
            }
        }
        ASSERT_EQ(a.find(key), b.find(key));
    }
}

}  // namespace
}  // namespace nereus
