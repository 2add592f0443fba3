// EngineCore under random programs: requests come, are cancelled, are read slowly or not at all,
// while the cache is too small for all. Every reply must be the one that an engine serving nobody
// else gives, or a beginning of it when it was cancelled.

#include <gtest/gtest.h>

#include <map>

#include "engine/internal/core.h"
#include "engine/testing/fake_model.h"

namespace nereus {
namespace {

using Kind = StreamEvent::Kind;

std::unique_ptr<Job> job_for(const Request& request, const std::shared_ptr<Signal>& signal,
                             int32_t events_max) {
    auto job = std::make_unique<Job>();
    job->request = request;
    job->events = std::make_shared<EventQueue>(signal, events_max);
    job->submitted_at = EngineClock::now();
    return job;
}

std::unique_ptr<KvCache> cache_for(const FakeModel& model, int64_t n_tokens) {
    return KvCache::create(model.kv_spec(n_tokens)).value();
}

/// One event if there is one.
std::optional<StreamEvent> poll(EventQueue& events) { return events.pop(EngineClock::now()); }

struct Tokens {
    std::vector<int32_t> ids;
    std::vector<float> logprobs;
    bool operator==(const Tokens&) const = default;
};

/// The reply of a core that serves nobody else, a prompt token at a time.
Tokens alone(const Request& request) {
    FakeModel model;
    EngineCore core(model, cache_for(model, 256), {.context_tokens = 256, .prefill_chunk = 1});
    auto job = job_for(request, std::make_shared<Signal>(), 1000);
    const auto events = job->events;
    NEREUS_CHECK(core.admit(job));
    while (core.step()) {
    }
    Tokens tokens;
    while (const auto event = poll(*events)) {
        if (event->kind == Kind::kToken) {
            tokens.ids.push_back(event->token.id);
            tokens.logprobs.push_back(event->token.logprob);
        }
    }
    return tokens;
}

/// Few prompts with shared beginnings, so that prefixes are reused and replies can be looked up.
Request request_of(uint64_t choice) {
    Request request;
    const uint64_t stem = choice % 3;
    for (uint64_t i = 0; i < 4 + 9 * (choice % 4); ++i) {
        request.prompt.push_back(static_cast<int32_t>((stem * 31 + i * 7) % 90));
    }
    request.prompt.push_back(static_cast<int32_t>(choice % 11));
    request.sampling.seed = choice % 5;
    request.sampling.temperature = choice % 2 == 0 ? 0.8F : 0.0F;
    request.max_new_tokens = static_cast<int64_t>(1 + choice % 23);
    return request;
}

class Program {
  public:
    explicit Program(uint64_t seed)
        : seed_(seed),
          limits_{.context_tokens = 128,
                  .cache_tokens = 192,
                  .max_running = static_cast<int32_t>(1 + below(4)),
                  .prefill_chunk = 1 + below(20),
                  .stream_events_max = static_cast<int32_t>(2 + below(8))},
          core_(model_, cache_for(model_, limits_.cache_tokens), limits_) {}

    void run(std::map<uint64_t, Tokens>& known, int n_steps) {
        for (int i = 0; i < n_steps; ++i) {
            one_step();
            ASSERT_NO_FATAL_FAILURE(check_bounds());
        }
        drain();
        check(known);
    }

    EngineMetrics metrics() { return core_.metrics(); }

  private:
    struct Client {
        uint64_t choice = 0;
        std::shared_ptr<EventQueue> events;
        Tokens tokens;
        int n_finished = 0;
        FinishReason reason = FinishReason::kError;
        bool cancelled = false;
    };

    int64_t below(uint64_t n) { return static_cast<int64_t>(random_bits(seed_, 11, next_++) % n); }

    void one_step() {
        const int64_t what = below(10);
        if (what == 0) {
            submit();
        } else if (what == 1 && !clients_.empty() && below(3) == 0) {
            Client& client = any_client();
            client.events->cancel();
            client.cancelled = true;
        } else if (what < 4 && !clients_.empty()) {
            read(any_client(), below(6));
        } else {
            turn();
        }
    }

    Client& any_client() { return clients_[static_cast<size_t>(below(clients_.size()))]; }

    void submit() {
        const auto choice = static_cast<uint64_t>(below(60));
        auto job = job_for(request_of(choice), signal_, limits_.stream_events_max);
        clients_.push_back({.choice = choice, .events = job->events, .tokens = {}});
        waiting_.push_back(std::move(job));
    }

    /// What the engine's thread does in one round.
    void turn() {
        for (auto& job : core_.sweep()) {
            waiting_.insert(waiting_.begin(), std::move(job));
        }
        std::erase_if(waiting_, [&](const std::unique_ptr<Job>& job) {
            if (job->events->cancelled()) {
                core_.cancel(*job);
                return true;
            }
            return false;
        });
        while (!waiting_.empty() && core_.admit(waiting_.front())) {
            waiting_.erase(waiting_.begin());
        }
        core_.step();
    }

    static void read(Client& client, int64_t n_events) {
        for (int64_t i = 0; i < n_events; ++i) {
            const auto event = poll(*client.events);
            if (!event) {
                return;
            }
            if (event->kind == Kind::kToken) {
                EXPECT_EQ(client.n_finished, 0) << "a token after the end";
                client.tokens.ids.push_back(event->token.id);
                client.tokens.logprobs.push_back(event->token.logprob);
            } else if (event->kind == Kind::kFinished) {
                ++client.n_finished;
                client.reason = event->reason;
            }
        }
    }

    /// No reader ever has more unread tokens waiting than the bound.
    void check_bounds() const {
        for (const Client& client : clients_) {
            const auto n_read = static_cast<int64_t>(client.tokens.ids.size());
            ASSERT_LE(client.events->stats().n_generated - n_read, limits_.stream_events_max);
        }
    }

    void drain() {
        for (int round = 0; round < 100000; ++round) {
            bool all = true;
            for (Client& client : clients_) {
                read(client, 100);
                all = all && client.n_finished > 0;
            }
            if (all) {
                return;
            }
            turn();
        }
        FAIL() << "requests that never end";
    }

    void check(std::map<uint64_t, Tokens>& known) const {
        for (const Client& client : clients_) {
            const auto found = known.find(client.choice);
            const Tokens expected =
                found != known.end() ? found->second : alone(request_of(client.choice));
            known[client.choice] = expected;
            EXPECT_EQ(client.n_finished, 1);
            const bool whole = client.tokens.ids.size() == expected.ids.size();
            if (client.reason == FinishReason::kCancelled) {
                EXPECT_TRUE(client.cancelled);
                ASSERT_LE(client.tokens.ids.size(), expected.ids.size());
            } else {
                EXPECT_EQ(client.reason, FinishReason::kLength);
                EXPECT_TRUE(whole);
            }
            EXPECT_TRUE(std::equal(client.tokens.ids.begin(), client.tokens.ids.end(),
                                   expected.ids.begin()));
            EXPECT_TRUE(std::equal(client.tokens.logprobs.begin(), client.tokens.logprobs.end(),
                                   expected.logprobs.begin()))
                << "bits of the log probabilities";
        }
    }

    uint64_t seed_;
    uint64_t next_ = 0;
    FakeModel model_;
    EngineLimits limits_;
    EngineCore core_;
    std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
    std::vector<std::unique_ptr<Job>> waiting_;
    std::vector<Client> clients_;
};

TEST(EngineCore, random_programs_give_every_reader_the_reply_it_would_get_alone) {
    std::map<uint64_t, Tokens> known;
    EngineMetrics sum;
    for (uint64_t seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Program program(seed);
        ASSERT_NO_FATAL_FAILURE(program.run(known, 400));
        const EngineMetrics metrics = program.metrics();
        EXPECT_EQ(metrics.running_now, 0);
        EXPECT_EQ(metrics.requests_failed, 0);
        sum.n_parked += metrics.n_parked;
        sum.n_evicted += metrics.n_evicted;
        sum.tokens_reused += metrics.tokens_reused;
        sum.requests_cancelled += metrics.requests_cancelled;
    }
    EXPECT_GT(sum.n_parked, 100) << "no reader was ever slow";
    EXPECT_GT(sum.n_evicted, 20) << "the cache was never short";
    EXPECT_GT(sum.tokens_reused, 500) << "no prefix was ever reused";
    EXPECT_GT(sum.requests_cancelled, 50);
}

/// Steps until the events of a request hold n tokens.
int steps_until(EngineCore& core, const EventQueue& events, int64_t n_tokens) {
    int steps = 0;
    while (events.stats().n_generated < n_tokens && steps < 1000) {
        core.step();
        ++steps;
    }
    return steps;
}

TEST(EngineCore, a_short_prompt_is_answered_while_a_long_one_is_still_read) {
    FakeModel model(2000);
    EngineCore core(model, cache_for(model, 4000),
                    {.context_tokens = 2000, .max_running = 4, .prefill_chunk = 8});
    const auto signal = std::make_shared<Signal>();
    auto long_job =
        job_for({.prompt = std::vector<int32_t>(1500, 3), .max_new_tokens = 1}, signal, 99);
    auto short_job = job_for({.prompt = {1, 2, 3}, .max_new_tokens = 5}, signal, 99);
    const auto long_events = long_job->events, short_events = short_job->events;
    ASSERT_TRUE(core.admit(long_job));
    core.step();
    ASSERT_TRUE(core.admit(short_job));
    EXPECT_LE(steps_until(core, *short_events, 1), 2);
    EXPECT_EQ(steps_until(core, *short_events, 5), 4)
        << "one token a step, whatever is read beside";
    EXPECT_EQ(long_events->stats().n_generated, 0);
    // (1500 - what was read) at 8 a step.
    EXPECT_LE(steps_until(core, *long_events, 1), 1500 / 8);
}

TEST(EngineCore, cancel_at_any_step_ends_once_and_frees_the_place) {
    for (int n_steps = 0; n_steps < 14; ++n_steps) {
        FakeModel model;
        EngineCore core(model, cache_for(model, 64),
                        {.context_tokens = 64, .max_running = 1, .prefill_chunk = 5});
        const auto signal = std::make_shared<Signal>();
        auto job =
            job_for({.prompt = std::vector<int32_t>(22, 4), .max_new_tokens = 30}, signal, 99);
        const auto events = job->events;
        ASSERT_TRUE(core.admit(job));
        for (int i = 0; i < n_steps; ++i) {
            core.step();
        }
        events->cancel();
        EXPECT_TRUE(core.sweep().empty());
        EXPECT_FALSE(core.step()) << "a cancelled request was computed";
        int n_ends = 0;
        while (const auto event = poll(*events)) {
            n_ends += event->kind == Kind::kFinished ? 1 : 0;
        }
        EXPECT_EQ(n_ends, 1);
        auto next = job_for({.prompt = {7}, .max_new_tokens = 60}, signal, 99);
        EXPECT_TRUE(core.admit(next)) << "after " << n_steps << " steps the room is still taken";
    }
}

TEST(EngineCore, stop_ids_end_a_reply_when_drawn_and_not_when_they_stand_in_the_prompt) {
    const Request open{.prompt = {5, 6, 7}, .max_new_tokens = 20};
    const Tokens whole = alone(open);
    for (size_t at = 0; at < whole.ids.size(); ++at) {
        Request stopped = open;
        stopped.stop_ids = {5, 6, 7, whole.ids[at]};
        const Tokens reply = alone(stopped);
        const auto expected = std::find_first_of(whole.ids.begin(), whole.ids.end(),
                                                 stopped.stop_ids.begin(), stopped.stop_ids.end());
        ASSERT_EQ(static_cast<std::ptrdiff_t>(reply.ids.size()), expected - whole.ids.begin() + 1);
        EXPECT_TRUE(std::equal(reply.ids.begin(), reply.ids.end(), whole.ids.begin()));
    }
}

}  // namespace
}  // namespace nereus
