#include "engine/internal/event_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "base/rng.h"

namespace nereus {
namespace {

using Kind = StreamEvent::Kind;

struct Queue {
    std::shared_ptr<Signal> signal = std::make_shared<Signal>();
    EventQueue events{signal, 4};

    void token(int32_t id) { events.push({.kind = Kind::kToken, .token = {id, 0}}, {}); }
    void prefill(int64_t n) { events.push({.kind = Kind::kPrefill, .n_prefilled = n}, {}); }
    void finish() { events.finish({.kind = Kind::kFinished}, {.n_generated = 7}); }
};

TEST(EventRing, is_a_queue_under_random_pushes_and_pops) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
        EventRing ring;
        std::deque<int32_t> plain;
        int32_t next = 0;
        for (uint64_t step = 0; step < 500; ++step) {
            // Pushes are more likely in the first half: the ring grows, wraps and empties again.
            if (random_unit(seed, 1, step) < (step < 250 ? 0.7 : 0.3)) {
                ring.push({.kind = Kind::kToken, .token = {next, 0}});
                plain.push_back(next++);
                ASSERT_EQ(ring.back().token.id, plain.back());
            } else if (!plain.empty()) {
                ASSERT_EQ(ring.pop().token.id, plain.front());
                plain.pop_front();
            }
            ASSERT_EQ(ring.size(), plain.size());
            ASSERT_EQ(ring.empty(), plain.empty());
        }
    }
    EXPECT_DEATH(EventRing().pop(), "check failed");
}

TEST(EventQueue, unread_prefill_events_become_one) {
    Queue queue;
    for (int64_t n = 0; n < 100; ++n) {
        queue.prefill(n);
    }
    EXPECT_FALSE(queue.events.full());
    EXPECT_EQ(queue.events.pop(std::nullopt)->n_prefilled, 99);
}

TEST(EventQueue, is_full_at_its_bound_and_drained_at_half) {
    Queue queue;
    for (int32_t id = 0; id < 4; ++id) {
        EXPECT_FALSE(queue.events.full());
        queue.token(id);
    }
    EXPECT_TRUE(queue.events.full());
    const uint64_t before = queue.signal->count();
    queue.events.pop(std::nullopt);
    EXPECT_FALSE(queue.events.drained());
    EXPECT_EQ(queue.signal->count(), before);
    queue.events.pop(std::nullopt);
    EXPECT_TRUE(queue.events.drained());
    EXPECT_EQ(queue.signal->count(), before + 1);  // the engine is woken once
}

TEST(EventQueue, the_last_event_fits_a_full_queue_and_ends_it) {
    Queue queue;
    for (int32_t id = 0; id < 4; ++id) {
        queue.token(id);
    }
    queue.finish();
    for (int32_t id = 0; id < 4; ++id) {
        EXPECT_EQ(queue.events.pop(std::nullopt)->token.id, id);
    }
    EXPECT_FALSE(queue.events.finished());
    EXPECT_EQ(queue.events.pop(std::nullopt)->kind, Kind::kFinished);
    EXPECT_TRUE(queue.events.finished());
    EXPECT_FALSE(queue.events.pop(std::nullopt).has_value());
    EXPECT_EQ(queue.events.stats().n_generated, 7);
}

TEST(EventQueue, cancel_is_seen_and_wakes_the_engine) {
    Queue queue;
    const uint64_t before = queue.signal->count();
    queue.events.cancel();
    EXPECT_TRUE(queue.events.cancelled());
    EXPECT_GT(queue.signal->count(), before);
}

TEST(Signal, a_raise_before_the_wait_is_not_missed) {
    Signal signal;
    const uint64_t seen = signal.count();
    signal.raise();
    signal.wait_past(seen);  // returns at once
    std::thread raiser([&] { signal.raise(); });
    signal.wait_past(seen + 1);
    raiser.join();
    EXPECT_EQ(signal.count(), seen + 2);
}

}  // namespace
}  // namespace nereus
