#include "engine/engine.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <thread>

#include "base/units.h"
#include "engine/internal/core.h"

namespace nereus {
namespace {

class QueueStream final : public TokenStream {
  public:
    explicit QueueStream(std::shared_ptr<EventQueue> events) : events_(std::move(events)) {}
    ~QueueStream() override { events_->cancel(); }
    QueueStream(const QueueStream&) = delete;
    QueueStream& operator=(const QueueStream&) = delete;

    std::optional<StreamEvent> next() override { return events_->pop(std::nullopt); }
    std::optional<StreamEvent> next_for(int64_t timeout_ms) override {
        return events_->pop(EngineClock::now() + std::chrono::milliseconds(timeout_ms));
    }
    bool finished() const override { return events_->finished(); }
    void cancel() override { events_->cancel(); }
    RequestStats stats() const override { return events_->stats(); }

  private:
    std::shared_ptr<EventQueue> events_;
};

/// The thread around an EngineCore. Outside threads touch only what mutex_ guards and the queues.
class ThreadedEngine final : public Engine {
  public:
    ThreadedEngine(Model& model, std::unique_ptr<KvCache> cache, const EngineLimits& limits,
                   int64_t cache_tokens)
        : vocab_size_(model.config().vocab_size),
          cache_tokens_(cache_tokens),
          limits_(limits),
          core_(model, std::move(cache), limits),
          thread_([this] { run(); }) {}

    ~ThreadedEngine() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        signal_->raise();
        thread_.join();
    }
    ThreadedEngine(const ThreadedEngine&) = delete;
    ThreadedEngine& operator=(const ThreadedEngine&) = delete;

    Result<std::unique_ptr<TokenStream>> submit(Request request) override {
        Status status = check_request(request);
        const std::lock_guard lock(mutex_);
        if (status.ok() && inbox_.size() >= static_cast<size_t>(limits_.max_queued)) {
            status = make_error(ErrorCode::kOverloaded,
                                "{} requests are waiting and {} may; try again later",
                                inbox_.size(), limits_.max_queued);
        }
        if (!status.ok()) {
            ++n_refused_;
            return status.error();
        }
        ++n_submitted_;
        auto job = std::make_unique<Job>();
        job->request = std::move(request);
        job->events = std::make_shared<EventQueue>(signal_, limits_.stream_events_max);
        job->submitted_at = EngineClock::now();
        auto stream = std::make_unique<QueueStream>(job->events);
        inbox_.push_back(std::move(job));
        signal_->raise();
        return std::unique_ptr<TokenStream>(std::move(stream));
    }

    const EngineLimits& limits() const override { return limits_; }

    EngineMetrics metrics() const override {
        const std::lock_guard lock(mutex_);
        EngineMetrics metrics = published_;
        metrics.requests_submitted = n_submitted_;
        metrics.requests_refused = n_refused_;
        metrics.waiting_now = static_cast<int32_t>(inbox_.size());
        return metrics;
    }

  private:
    Status check_request(const Request& request) const {
        const auto n_prompt = static_cast<int64_t>(request.prompt.size());
        if (n_prompt == 0) {
            return make_error(ErrorCode::kInvalidArgument, "the prompt is empty");
        }
        for (const int32_t id : request.prompt) {
            if (id < 0 || id >= vocab_size_) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "token id {} in the prompt: expected 0 to {}", id,
                                  vocab_size_ - 1);
            }
        }
        NEREUS_TRY(request.sampling.validate());
        if (request.max_new_tokens < 0) {
            return make_error(ErrorCode::kInvalidArgument,
                              "max_new_tokens: expected 0 or more, found {}",
                              request.max_new_tokens);
        }
        const int64_t n_new = std::max<int64_t>(1, request.max_new_tokens);
        if (n_prompt > limits_.context_tokens || n_new > limits_.context_tokens - n_prompt) {
            return make_error(ErrorCode::kInvalidArgument,
                              "prompt {} + {} new tokens exceed the context of {}: {} too many",
                              n_prompt, n_new, limits_.context_tokens,
                              n_prompt + n_new - limits_.context_tokens);
        }
        const int64_t n_all =
            request.max_new_tokens == 0 ? limits_.context_tokens : n_prompt + n_new;
        if (n_all > cache_tokens_) {
            return make_error(ErrorCode::kInvalidArgument,
                              "the request may need {} cached tokens, the cache holds {}", n_all,
                              cache_tokens_);
        }
        return {};
    }

    /// Cancelled jobs leave the queues; the rest enters in order as far as there is room. Jobs that
    /// come back from a stalled reader go first: they are the older ones.
    void admit_waiting() {
        for (auto& job : core_.sweep()) {
            returning_.push_back(std::move(job));
        }
        const std::lock_guard lock(mutex_);
        for (auto* queue : {&returning_, &inbox_}) {
            std::erase_if(*queue, [&](const std::unique_ptr<Job>& job) {
                const bool cancelled = job->events->cancelled();
                if (cancelled) {
                    core_.cancel(*job);
                }
                return cancelled;
            });
        }
        for (auto* queue : {&returning_, &inbox_}) {
            while (!queue->empty() && core_.admit(queue->front())) {
                queue->pop_front();
            }
            if (!queue->empty()) {
                break;  // who waits longer goes first
            }
        }
        published_ = core_.metrics();
    }

    void run() {
        for (;;) {
            const uint64_t seen = signal_->count();
            {
                const std::lock_guard lock(mutex_);
                if (stopping_) {
                    break;
                }
            }
            admit_waiting();
            if (!core_.step()) {
                signal_->wait_past(seen);
            }
        }
        const std::lock_guard lock(mutex_);
        core_.cancel_all();
        for (auto* queue : {&returning_, &inbox_}) {
            for (const auto& job : *queue) {
                core_.cancel(*job);
            }
            queue->clear();
        }
    }

    const int64_t vocab_size_;
    const int64_t cache_tokens_;
    const EngineLimits limits_;
    std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
    mutable std::mutex mutex_;
    std::deque<std::unique_ptr<Job>> inbox_;  ///< guarded by mutex_, as the next four
    bool stopping_ = false;
    int64_t n_submitted_ = 0, n_refused_ = 0;
    EngineMetrics published_;
    EngineCore core_;                             ///< the engine thread's
    std::deque<std::unique_ptr<Job>> returning_;  ///< the engine thread's
    std::thread thread_;                          ///< last: it uses all of the above
};

Status check_limits(const EngineLimits& limits, int64_t max_position_embeddings) {
    const struct {
        const char* name;
        int64_t value;
    } positive[] = {
        {"max_running", limits.max_running},       {"max_queued", limits.max_queued},
        {"prefill_chunk", limits.prefill_chunk},   {"stream_events_max", limits.stream_events_max},
        {"context_tokens", limits.context_tokens}, {"cache_tokens", limits.cache_tokens}};
    for (const auto& [name, value] : positive) {
        if (value < 1) {
            return make_error(ErrorCode::kInvalidArgument, "{}: expected 1 or more, found {}", name,
                              value);
        }
    }
    if (limits.max_running > kMaxSequences / 2) {
        return make_error(ErrorCode::kInvalidArgument, "max_running: expected at most {}, found {}",
                          kMaxSequences / 2, limits.max_running);
    }
    if (limits.context_tokens > max_position_embeddings) {
        return make_error(ErrorCode::kInvalidArgument,
                          "a context of {} tokens: the model was made for at most {}",
                          limits.context_tokens, max_position_embeddings);
    }
    return {};
}

/// A memory budget may leave less cache than was asked for; the context follows where nobody named
/// it. errors: out_of_memory
Status fit_context(const KvCache& cache, bool context_is_free, EngineLimits& limits) {
    limits.cache_tokens = std::min(limits.cache_tokens, cache.spec().max_tokens);
    if (limits.context_tokens <= limits.cache_tokens) {
        return {};
    }
    if (!context_is_free) {
        return make_error(ErrorCode::kOutOfMemory,
                          "a context of {} tokens: the memory budget has room for {}",
                          limits.context_tokens, limits.cache_tokens);
    }
    limits.context_tokens = limits.cache_tokens;
    return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(Model& model, EngineLimits limits) {
    const int64_t positions_max = model.config().max_position_embeddings;
    const bool context_is_free = limits.context_tokens == 0;
    if (context_is_free) {
        limits.context_tokens = positions_max;
    }
    const int64_t page = std::max<int64_t>(1, model.kv_spec(1).page_tokens);
    if (limits.cache_tokens == 0) {
        limits.cache_tokens =
            round_up(limits.context_tokens, page) * std::max(1, limits.max_running);
    }
    if (limits.prefill_chunk == 0) {
        limits.prefill_chunk = model.prefill_chunk();
    }
    NEREUS_TRY(check_limits(limits, positions_max));
    auto cache = NEREUS_TRY(KvCache::create(model.kv_spec(limits.cache_tokens)));
    NEREUS_TRY(fit_context(*cache, context_is_free, limits));
    const int64_t capacity = round_up(limits.cache_tokens, page);
    return std::unique_ptr<Engine>(
        std::make_unique<ThreadedEngine>(model, std::move(cache), limits, capacity));
}

}  // namespace nereus
