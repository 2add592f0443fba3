#pragma once
// The engine without its thread: admits requests, plans and runs one step after another, and hands
// events out. Deterministic: what it does depends only on the order of calls.

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/internal/cache_book.h"
#include "engine/internal/event_queue.h"
#include "engine/scheduler.h"

namespace nereus {

using EngineClock = std::chrono::steady_clock;

/// A request on its way through the engine.
struct Job {
    Request request;
    std::shared_ptr<EventQueue> events;
    EngineClock::time_point submitted_at;

    std::vector<int32_t> tokens;  ///< prompt and reply so far
    int64_t id = 0;               ///< given at admission
    int32_t slot = 0;
    int64_t n_cached = 0;
    EngineClock::time_point admitted_at, first_token_at;
    RequestStats stats;

    bool prefilling() const { return stats.n_generated == 0; }
    std::span<const int32_t> reply() const {
        return std::span(tokens).subspan(request.prompt.size());
    }
};

/// threads: the engine thread.
class EngineCore {
  public:
    EngineCore(Model& model, std::unique_ptr<KvCache> cache, const EngineLimits& limits);

    /// Takes the job if a running place and room in the cache are free; else leaves it as it is.
    bool admit(std::unique_ptr<Job>& job);
    /// Cancels what wants to be cancelled; moves sequences whose reader is behind out of the batch,
    /// and returns those whose reader came back, to be admitted again.
    std::vector<std::unique_ptr<Job>> sweep();
    /// One forward pass. False when there was nothing to compute.
    bool step();
    /// Ends every job, running or parked, as cancelled.
    void cancel_all();
    void cancel(Job& job);

    const EngineMetrics& metrics();

  private:
    void finish(Job& job, FinishReason reason, Error error = {});
    void end_running(size_t index, FinishReason reason, Error error = {});
    void release_rows(Job& job, bool rows_are_good);
    void note_rows(Job& job, int64_t n_rows);
    /// The token of one logit row; returns how the job ends, if it does.
    std::optional<FinishReason> take_token(Job& job, SampledToken token);
    void fail_batch(const Error& error);
    void take_logits(ConstRows logits);

    Model& model_;
    EngineLimits limits_;
    CacheBook book_;
    std::vector<std::unique_ptr<Job>> running_;  ///< ascending id
    std::vector<std::unique_ptr<Job>> parked_;
    int64_t next_id_ = 0;
    int64_t turn_ = 0;
    EngineMetrics metrics_;
    // Of the step that runs; kept because a steady decode should allocate nothing.
    std::vector<SequenceView> views_;
    StepPlan plan_;
    std::vector<std::pair<size_t, FinishReason>> ended_;
};

}  // namespace nereus
