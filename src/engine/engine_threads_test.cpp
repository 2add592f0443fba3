// The engine among threads: readers that wait while it ends, streams let go at any moment, submits
// and metrics from everywhere. Worth most under the thread sanitizer.

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "engine/engine.h"
#include "engine/testing/fake_model.h"

namespace nereus {
namespace {

std::unique_ptr<Engine> engine_for(FakeModel& model, EngineLimits limits) {
    auto engine = Engine::create(model, limits);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
}

std::unique_ptr<TokenStream> submit(Engine& engine, int32_t first, int64_t max_new_tokens) {
    return engine.submit({.prompt = {first, 2, 3}, .max_new_tokens = max_new_tokens}).value();
}

/// Reads to the end; how it ended.
std::optional<FinishReason> end_of(TokenStream& stream) {
    std::optional<FinishReason> reason;
    while (const auto event = stream.next()) {
        if (event->kind == StreamEvent::Kind::kFinished) {
            reason = event->reason;
        }
    }
    return reason;
}

TEST(EngineThreads, readers_that_wait_are_told_when_the_engine_ends) {
    FakeModel model(100000);
    model.close_gate();
    std::vector<std::unique_ptr<TokenStream>> streams;
    std::vector<std::thread> readers;
    std::vector<std::optional<FinishReason>> reasons(6);
    {
        const auto engine =
            engine_for(model, {.context_tokens = 100000, .max_running = 2, .max_queued = 10});
        for (int32_t i = 0; i < 6; ++i) {
            streams.push_back(submit(*engine, i, 0));
        }
        for (size_t i = 0; i < 6; ++i) {
            readers.emplace_back([&, i] { reasons[i] = end_of(*streams[i]); });
        }
        model.wait_until_blocked();
        model.open_gate();
        // Two stream for a while; four wait in the queue; all readers wait most of the time.
        while (streams[0]->stats().n_generated < 20) {
            std::this_thread::yield();
        }
    }
    for (std::thread& reader : readers) {
        reader.join();
    }
    for (const auto& reason : reasons) {
        EXPECT_EQ(reason, FinishReason::kCancelled);
    }
    for (const auto& stream : streams) {
        EXPECT_TRUE(stream->finished());
        EXPECT_FALSE(stream->next().has_value());
        stream->cancel();  // of an engine that is gone: nothing happens
    }
}

TEST(EngineThreads, a_cancel_from_elsewhere_wakes_the_reader) {
    FakeModel model(100000);
    const auto engine = engine_for(model, {.context_tokens = 100000, .max_running = 1});
    for (int round = 0; round < 20; ++round) {
        const auto stream = submit(*engine, round, 0);
        std::optional<FinishReason> reason;
        std::thread reader([&] { reason = end_of(*stream); });
        while (stream->stats().n_generated < round) {
            std::this_thread::yield();
        }
        stream->cancel();
        stream->cancel();  // twice is once
        reader.join();
        EXPECT_EQ(reason, FinishReason::kCancelled);
    }
    EXPECT_EQ(submit(*engine, 1, 1)->next().has_value(), true);
}

TEST(EngineThreads, streams_let_go_at_any_moment_disturb_nobody) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 3, .max_queued = 64});
    std::atomic<int> n_whole = 0;
    std::vector<std::thread> threads;
    for (int32_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int32_t i = 0; i < 25; ++i) {
                auto stream = submit(*engine, t, 12);
                if (i % 2 == 0) {
                    for (int32_t n = 0; n < i % 7; ++n) {
                        stream->next();
                    }
                    stream.reset();
                } else {
                    n_whole += end_of(*stream) == FinishReason::kLength ? 1 : 0;
                }
            }
        });
    }
    std::thread watcher([&] {
        while (n_whole.load() < 48) {
            const EngineMetrics metrics = engine->metrics();
            EXPECT_LE(metrics.running_now, 3);
            EXPECT_GE(metrics.requests_submitted,
                      metrics.requests_finished + metrics.requests_cancelled);
            std::this_thread::yield();
        }
    });
    for (std::thread& thread : threads) {
        thread.join();
    }
    watcher.join();
    EXPECT_EQ(n_whole.load(), 48);
    const EngineMetrics metrics = engine->metrics();
    EXPECT_EQ(metrics.requests_submitted, 100);
    EXPECT_EQ(metrics.requests_failed, 0);
}

TEST(EngineThreads, concurrent_submits_fill_the_queue_to_its_bound_exactly) {
    FakeModel model;
    model.close_gate();
    const auto engine = engine_for(model, {.max_running = 1, .max_queued = 7});
    const auto running = submit(*engine, 1, 3);
    model.wait_until_blocked();  // admitted: the queue is empty and nothing leaves it
    std::mutex mutex;
    std::vector<std::unique_ptr<TokenStream>> accepted;
    std::set<ErrorCode> codes;
    std::vector<std::thread> threads;
    for (int32_t t = 0; t < 5; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 5; ++i) {
                auto stream = engine->submit({.prompt = {t}, .max_new_tokens = 2});
                const std::lock_guard lock(mutex);
                if (stream.ok()) {
                    accepted.push_back(std::move(stream).value());
                } else {
                    codes.insert(stream.error().code);
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(accepted.size(), 7U);
    EXPECT_EQ(codes, std::set<ErrorCode>{ErrorCode::kOverloaded});
    EXPECT_EQ(engine->metrics().requests_refused, 18);
    EXPECT_EQ(engine->metrics().waiting_now, 7);
    model.open_gate();
    EXPECT_EQ(end_of(*running), FinishReason::kLength);
    for (const auto& stream : accepted) {
        EXPECT_EQ(end_of(*stream), FinishReason::kLength);
    }
    EXPECT_TRUE(engine->submit({.prompt = {1}, .max_new_tokens = 1}).ok()) << "room again";
}

TEST(EngineThreads, engines_come_and_go_with_requests_in_every_state) {
    for (int round = 0; round < 30; ++round) {
        FakeModel model;
        const auto engine =
            engine_for(model, {.max_running = 1 + round % 3, .stream_events_max = 2});
        std::vector<std::unique_ptr<TokenStream>> streams;
        for (int32_t i = 0; i < round % 6; ++i) {
            streams.push_back(submit(*engine, i, 1 + round));
        }
        if (round % 2 == 0 && !streams.empty()) {
            streams[0]->next();
            streams.pop_back();
        }
    }
}

}  // namespace
}  // namespace nereus
