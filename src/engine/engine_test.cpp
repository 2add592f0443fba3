#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "engine/testing/fake_model.h"

namespace nereus {
namespace {

/// What a reader saw of one request.
struct Reply {
    std::vector<int32_t> ids;
    FinishReason reason = FinishReason::kError;
    Error error;
    int64_t n_prefilled_first = -1, n_prefilled_last = -1;
};

Reply read_all(TokenStream& stream) {
    Reply reply;
    while (const auto event = stream.next()) {
        if (event->kind == StreamEvent::Kind::kToken) {
            reply.ids.push_back(event->token.id);
        } else if (event->kind == StreamEvent::Kind::kPrefill) {
            if (reply.n_prefilled_first < 0) {
                reply.n_prefilled_first = event->n_prefilled;
            }
            EXPECT_GE(event->n_prefilled, reply.n_prefilled_last);
            reply.n_prefilled_last = event->n_prefilled;
        } else {
            reply.reason = event->reason;
            reply.error = event->error;
        }
    }
    EXPECT_TRUE(stream.finished());
    return reply;
}

std::vector<int32_t> prompt_of(size_t n, int32_t start = 1) {
    std::vector<int32_t> prompt(n);
    for (size_t i = 0; i < n; ++i) {
        prompt[i] = static_cast<int32_t>((static_cast<size_t>(start) + i * 7) % 90);
    }
    return prompt;
}

std::unique_ptr<Engine> engine_for(FakeModel& model, EngineLimits limits = {}) {
    auto engine = Engine::create(model, limits);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
}

std::unique_ptr<TokenStream> submit(Engine& engine, Request request) {
    auto stream = engine.submit(std::move(request));
    EXPECT_TRUE(stream.ok()) << stream.error().message;
    return std::move(stream).value();
}

Reply ask(Engine& engine, Request request) { return read_all(*submit(engine, std::move(request))); }

std::string refusal(Engine& engine, Request request) {
    const auto stream = engine.submit(std::move(request));
    return stream.ok() ? "accepted" : stream.error().message;
}

/// The reply of an engine that serves nobody else, token by token, with nothing cached.
Reply reference(const Request& request) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 1, .prefill_chunk = 1});
    return ask(*engine, request);
}

void wait_for_length(TokenStream& stream, int64_t n_generated) {
    while (stream.stats().n_generated < n_generated) {
        std::this_thread::yield();
    }
}

TEST(Engine, generates_until_the_limit_and_counts) {
    FakeModel model;
    const auto engine = engine_for(model);
    const auto stream = submit(*engine, {.prompt = prompt_of(20), .max_new_tokens = 5});
    const Reply reply = read_all(*stream);
    EXPECT_EQ(reply.ids.size(), 5U);
    EXPECT_EQ(reply.reason, FinishReason::kLength);
    EXPECT_EQ(reply.n_prefilled_last, 20);
    EXPECT_EQ(stream->stats().n_prompt, 20);
    EXPECT_EQ(stream->stats().n_generated, 5);
    EXPECT_EQ(stream->stats().n_cached, 0);
    EXPECT_EQ(model.n_forwarded, 24);  // the last token is never fed back
    EXPECT_FALSE(stream->next().has_value());
}

TEST(Engine, a_stop_id_ends_the_reply_and_is_its_last_token) {
    const Request open{.prompt = prompt_of(9), .sampling = {.seed = 3}, .max_new_tokens = 30};
    const Reply whole = reference(open);
    Request stopped = open;
    stopped.stop_ids = {whole.ids[10]};
    const Reply reply = reference(stopped);
    EXPECT_EQ(reply.reason, FinishReason::kStop);
    EXPECT_EQ(reply.ids.back(), whole.ids[10]);
    EXPECT_LE(reply.ids.size(), 11U);
    EXPECT_TRUE(std::equal(reply.ids.begin(), reply.ids.end(), whole.ids.begin()));
}

TEST(Engine, the_end_of_the_context_ends_the_reply) {
    FakeModel model(32);
    const auto engine = engine_for(model);
    const Reply reply = ask(*engine, {.prompt = prompt_of(30)});
    EXPECT_EQ(reply.reason, FinishReason::kLength);
    EXPECT_EQ(reply.ids.size(), 2U);
}

TEST(Engine, refuses_what_cannot_fit_with_the_numbers) {
    FakeModel model(1024);
    const auto engine = engine_for(model);
    EXPECT_EQ(refusal(*engine, {.prompt = prompt_of(1030)}),
              "prompt 1030 + 1 new tokens exceed the context of 1024: 7 too many");
    EXPECT_EQ(refusal(*engine, {.prompt = prompt_of(1000), .max_new_tokens = 100}),
              "prompt 1000 + 100 new tokens exceed the context of 1024: 76 too many");
    EXPECT_NE(refusal(*engine, {.prompt = prompt_of(4), .max_new_tokens = INT64_MAX}), "accepted");
    EXPECT_EQ(refusal(*engine, {.prompt = prompt_of(1000), .max_new_tokens = 24}), "accepted");
}

TEST(Engine, refuses_nonsense_before_it_reaches_the_queue) {
    FakeModel model;
    const auto engine = engine_for(model);
    EXPECT_EQ(refusal(*engine, {}), "the prompt is empty");
    EXPECT_EQ(refusal(*engine, {.prompt = {3, 97}}), "token id 97 in the prompt: expected 0 to 96");
    EXPECT_EQ(refusal(*engine, {.prompt = {-1}}), "token id -1 in the prompt: expected 0 to 96");
    EXPECT_NE(refusal(*engine, {.prompt = {1}, .sampling = {.top_p = 2}}).find("top_p"),
              std::string::npos);
    EXPECT_NE(refusal(*engine, {.prompt = {1}, .max_new_tokens = -1}).find("max_new_tokens"),
              std::string::npos);
    EXPECT_EQ(engine->metrics().requests_refused, 5);
    EXPECT_EQ(model.n_steps, 0);
}

TEST(Engine, limits_are_checked_at_creation) {
    FakeModel model(100);
    EXPECT_EQ(Engine::create(model, {.context_tokens = 101}).error().message,
              "a context of 101 tokens: the model was made for at most 100");
    EXPECT_FALSE(Engine::create(model, {.max_running = 0}).ok());
    EXPECT_FALSE(Engine::create(model, {.prefill_chunk = -5}).ok());
    EXPECT_EQ(engine_for(model)->limits().context_tokens, 100);
}

TEST(Engine, the_text_of_a_seed_does_not_depend_on_batch_mates_or_chunks) {
    std::vector<Request> requests;
    std::vector<Reply> expected;
    for (int32_t i = 0; i < 12; ++i) {
        requests.push_back({.prompt = prompt_of(1 + static_cast<size_t>(i) * 9, i),
                            .sampling = {.temperature = i % 3 == 0 ? 0.0F : 0.9F,
                                         .repetition_penalty = i % 4 == 0 ? 1.3F : 1.0F,
                                         .seed = static_cast<uint64_t>(i)},
                            .max_new_tokens = 10 + i});
        expected.push_back(reference(requests.back()));
    }
    for (const int64_t chunk : {1, 3, 16, 500}) {
        SCOPED_TRACE(testing::Message() << "chunk " << chunk);
        FakeModel model;
        const auto engine = engine_for(model, {.max_running = 5, .prefill_chunk = chunk});
        std::vector<std::unique_ptr<TokenStream>> streams;
        for (const Request& request : requests) {
            streams.push_back(submit(*engine, request));
        }
        for (size_t i = 0; i < streams.size(); ++i) {
            EXPECT_EQ(read_all(*streams[i]).ids, expected[i].ids) << "request " << i;
        }
        EXPECT_LE(model.n_rows_max, chunk + 5);
    }
}

TEST(Engine, a_full_queue_is_refused_and_named) {
    FakeModel model;
    model.close_gate();
    const auto engine = engine_for(model, {.max_running = 1, .max_queued = 2});
    const auto running = submit(*engine, {.prompt = {1}, .max_new_tokens = 2});
    model.wait_until_blocked();
    const auto first = submit(*engine, {.prompt = {2}, .max_new_tokens = 2});
    const auto second = submit(*engine, {.prompt = {3}, .max_new_tokens = 2});
    const auto third = engine->submit({.prompt = {4}, .max_new_tokens = 2});
    ASSERT_FALSE(third.ok());
    EXPECT_EQ(third.error().code, ErrorCode::kOverloaded);
    EXPECT_EQ(third.error().message, "2 requests are waiting and 2 may; try again later");
    model.open_gate();
    for (TokenStream* stream : {running.get(), first.get(), second.get()}) {
        EXPECT_EQ(read_all(*stream).reason, FinishReason::kLength);
    }
}

TEST(Engine, cancel_works_while_running_while_waiting_and_by_letting_go) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 1});
    model.close_gate();
    const auto running = submit(*engine, {.prompt = prompt_of(10)});
    model.wait_until_blocked();
    const auto waiting = submit(*engine, {.prompt = prompt_of(11)});
    auto dropped = submit(*engine, {.prompt = prompt_of(12)});
    running->cancel();
    waiting->cancel();
    dropped.reset();
    model.open_gate();
    EXPECT_EQ(read_all(*running).reason, FinishReason::kCancelled);
    const Reply never = read_all(*waiting);
    EXPECT_EQ(never.reason, FinishReason::kCancelled);
    EXPECT_TRUE(never.ids.empty());
    EXPECT_EQ(ask(*engine, {.prompt = {5}, .max_new_tokens = 1}).ids.size(), 1U);
    EXPECT_EQ(engine->metrics().requests_cancelled, 3);
}

TEST(Engine, cancel_keeps_what_was_generated) {
    FakeModel model(100000);
    const auto engine = engine_for(model, {.context_tokens = 100000, .max_running = 1});
    const auto stream = submit(*engine, {.prompt = prompt_of(10)});
    wait_for_length(*stream, 3);
    stream->cancel();
    const Reply reply = read_all(*stream);
    EXPECT_EQ(reply.reason, FinishReason::kCancelled);
    EXPECT_GE(reply.ids.size(), 3U);
}

TEST(Engine, a_stalled_reader_stops_its_own_request_only) {
    const Request slow{.prompt = prompt_of(10), .sampling = {.seed = 1}, .max_new_tokens = 200};
    const Reply expected = reference(slow);
    FakeModel model;
    // One running place: the stalled request has to leave it.
    const auto engine = engine_for(model, {.max_running = 1, .stream_events_max = 16});
    const auto stalled = submit(*engine, slow);
    wait_for_length(*stalled, 14);
    for (int32_t i = 0; i < 5; ++i) {
        EXPECT_EQ(ask(*engine, {.prompt = prompt_of(30, i), .max_new_tokens = 10}).ids.size(), 10U);
    }
    EXPECT_LE(stalled->stats().n_generated, 16);
    EXPECT_EQ(read_all(*stalled).ids, expected.ids);
    EXPECT_GT(engine->metrics().n_parked, 0);
}

TEST(Engine, a_parked_request_can_be_cancelled) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 1, .stream_events_max = 4});
    const auto stalled = submit(*engine, {.prompt = prompt_of(10)});
    while (engine->metrics().n_parked == 0) {
        std::this_thread::yield();
    }
    stalled->cancel();
    EXPECT_EQ(read_all(*stalled).reason, FinishReason::kCancelled);
}

TEST(Engine, a_chat_turn_computes_only_what_is_new) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 1});
    std::vector<int32_t> history = prompt_of(40);
    const Reply first = ask(*engine, {.prompt = history, .max_new_tokens = 10});
    EXPECT_EQ(model.n_forwarded, 49);
    history.insert(history.end(), first.ids.begin(), first.ids.end());
    history.insert(history.end(), {7, 8, 9});
    const Request second{.prompt = history, .sampling = {.seed = 2}, .max_new_tokens = 6};
    const auto stream = submit(*engine, second);
    const Reply reply = read_all(*stream);
    // 49 rows are there: the tenth token was drawn and not fed.
    EXPECT_EQ(stream->stats().n_cached, 49);
    EXPECT_EQ(reply.n_prefilled_last, 53);
    EXPECT_EQ(model.n_forwarded, 49 + 4 + 5);
    EXPECT_EQ(reply.ids, reference(second).ids);
}

TEST(Engine, a_changed_middle_reuses_the_part_before_it) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 1});
    const auto original = prompt_of(60);
    ask(*engine, {.prompt = original, .max_new_tokens = 10});
    auto edited = original;
    edited[33] = 88;
    const Request request{.prompt = edited, .max_new_tokens = 12};
    const int64_t before = model.n_forwarded;
    EXPECT_EQ(ask(*engine, request).ids, reference(request).ids);
    EXPECT_EQ(model.n_forwarded - before, 60 - 33 + 11);
}

TEST(Engine, the_same_prompt_again_computes_one_row_of_it) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 2});
    const Request request{.prompt = prompt_of(50), .sampling = {.seed = 4}, .max_new_tokens = 1};
    const Reply first = ask(*engine, request);
    const int64_t before = model.n_forwarded;
    EXPECT_EQ(ask(*engine, request).ids, first.ids);
    EXPECT_EQ(model.n_forwarded - before, 1);
}

TEST(Engine, branches_of_one_prefix_are_all_kept_while_there_is_room) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 4});
    const auto system = prompt_of(40);
    std::vector<std::vector<int32_t>> histories;
    for (int32_t user = 0; user < 3; ++user) {
        auto prompt = system;
        prompt.insert(prompt.end(), {user, user, user});
        const Reply reply = ask(*engine, {.prompt = prompt, .max_new_tokens = 4});
        prompt.insert(prompt.end(), reply.ids.begin(), reply.ids.end());
        histories.push_back(prompt);
    }
    for (const auto& history : histories) {
        const auto stream = submit(*engine, {.prompt = history, .max_new_tokens = 1});
        read_all(*stream);
        EXPECT_EQ(stream->stats().n_cached, 46);  // 40 + 3 + 3 of 4
    }
    EXPECT_EQ(engine->metrics().n_evicted, 0);
}

TEST(Engine, a_full_cache_evicts_and_stays_correct) {
    FakeModel model(64);
    const auto engine = engine_for(model, {.cache_tokens = 64, .max_running = 1});
    for (int32_t i = 0; i < 6; ++i) {
        const Request request{.prompt = prompt_of(20, i * 11), .max_new_tokens = 20};
        EXPECT_EQ(ask(*engine, request).ids, reference(request).ids);
    }
    EXPECT_GT(engine->metrics().n_evicted, 0);
    // The chat still goes on from the only sequence there is room for.
    const Request last{.prompt = prompt_of(20, 55), .max_new_tokens = 30};
    const auto stream = submit(*engine, last);
    EXPECT_EQ(read_all(*stream).ids.size(), 30U);
    EXPECT_EQ(stream->stats().n_cached, 19);
}

TEST(Engine, requests_wait_for_cache_room_and_then_run) {
    FakeModel model(64);
    const auto engine = engine_for(model, {.cache_tokens = 64, .max_running = 8});
    std::vector<std::unique_ptr<TokenStream>> streams;
    for (int32_t i = 0; i < 6; ++i) {
        streams.push_back(submit(*engine, {.prompt = prompt_of(20, i), .max_new_tokens = 15}));
    }
    for (auto& stream : streams) {
        EXPECT_EQ(read_all(*stream).ids.size(), 15U);
    }
    EXPECT_EQ(refusal(*engine, {.prompt = prompt_of(40), .max_new_tokens = 24}), "accepted");
}

TEST(Engine, an_error_of_the_model_ends_its_batch_and_nothing_else) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 1});
    const Reply failed = ask(*engine, {.prompt = {1, FakeModel::kFailingToken}});
    EXPECT_EQ(failed.reason, FinishReason::kError);
    EXPECT_EQ(failed.error.code, ErrorCode::kIo);
    EXPECT_EQ(failed.error.message, "the disk went away");
    EXPECT_EQ(ask(*engine, {.prompt = {1, 2}, .max_new_tokens = 3}).ids.size(), 3U);
    EXPECT_EQ(engine->metrics().requests_failed, 1);
}

TEST(Engine, logits_without_a_number_are_an_error) {
    FakeModel model;
    const auto engine = engine_for(model);
    const Reply reply = ask(*engine, {.prompt = {1, FakeModel::kNanToken}});
    EXPECT_EQ(reply.reason, FinishReason::kError);
    EXPECT_NE(reply.error.message.find("no finite logit at position 2"), std::string::npos);
}

TEST(Engine, may_be_destroyed_while_requests_run_and_wait) {
    std::vector<std::unique_ptr<TokenStream>> streams;
    FakeModel model(100000);
    {
        const auto engine = engine_for(model, {.max_running = 2, .stream_events_max = 8});
        for (int32_t i = 0; i < 6; ++i) {
            streams.push_back(submit(*engine, {.prompt = prompt_of(10, i)}));
        }
        wait_for_length(*streams[0], 1);
    }
    for (auto& stream : streams) {
        EXPECT_EQ(read_all(*stream).reason, FinishReason::kCancelled);
    }
}

TEST(Engine, next_for_gives_up_after_its_time) {
    FakeModel model;
    model.close_gate();
    const auto engine = engine_for(model);
    const auto stream = submit(*engine, {.prompt = {1}, .max_new_tokens = 1});
    model.wait_until_blocked();
    EXPECT_TRUE(stream->next_for(1000).has_value());  // the prefill event of the admission
    EXPECT_FALSE(stream->next_for(1).has_value());
    EXPECT_FALSE(stream->finished());
    model.open_gate();
    EXPECT_EQ(read_all(*stream).ids.size(), 1U);
}

TEST(Engine, many_threads_may_submit_at_once) {
    FakeModel model;
    const auto engine = engine_for(model, {.max_running = 4, .max_queued = 64});
    std::vector<std::thread> threads;
    std::atomic<int> n_right = 0;
    for (int32_t t = 0; t < 6; ++t) {
        threads.emplace_back([&, t] {
            for (int32_t i = 0; i < 5; ++i) {
                const Request request{.prompt = prompt_of(10, t * 5 + i), .max_new_tokens = 8};
                n_right += ask(*engine, request).ids == reference(request).ids ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(n_right, 30);
}

}  // namespace
}  // namespace nereus
