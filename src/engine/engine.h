#pragma once
// Whose turn is it: one thread owns model and cache; requests come in through a bounded queue and
// tokens go out through bounded streams. Speaks token ids only.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "engine/metrics.h"
#include "engine/sampler.h"
#include "model/model.h"

namespace nereus {

struct Request {
    std::vector<int32_t> prompt = {};
    SamplingParams sampling = {};
    int64_t max_new_tokens = 0;          ///< 0: until the context is full or a stop token
    std::vector<int32_t> stop_ids = {};  ///< ends the reply; the id itself is emitted last
};

enum class FinishReason { kStop, kLength, kCancelled, kError };

struct StreamEvent {
    enum class Kind { kPrefill, kToken, kFinished } kind = Kind::kToken;
    SampledToken token = {};                    ///< kToken
    int64_t n_prefilled = 0, n_prompt = 0;      ///< kPrefill; cached tokens count as prefilled
    FinishReason reason = FinishReason::kStop;  ///< kFinished
    Error error = {};                           ///< kFinished with kError
};

/// What a finished request did; times in milliseconds.
struct RequestStats {
    int64_t n_prompt = 0, n_cached = 0, n_generated = 0;
    double prefill_ms = 0, decode_ms = 0, first_token_ms = 0;
};

/// The caller's end of one request. Destroying it cancels. threads: one reader; cancel from any.
class TokenStream {
  public:
    virtual ~TokenStream() = default;
    /// The next event; waits. nullopt after kFinished was read.
    virtual std::optional<StreamEvent> next() = 0;
    /// As next(), at most timeout_ms; nullopt on timeout too (check finished()).
    virtual std::optional<StreamEvent> next_for(int64_t timeout_ms) = 0;
    virtual bool finished() const = 0;
    /// Looked at between prefill chunks and decode steps.
    virtual void cancel() = 0;
    virtual RequestStats stats() const = 0;
};

struct EngineLimits {
    int64_t context_tokens = 0;  ///< per request, prompt + reply; 0: max_position_embeddings
    int64_t cache_tokens = 0;    ///< over all requests; 0: context_tokens * max_running
    int32_t max_running = 8;
    int32_t max_queued = 64;
    int64_t prefill_chunk = 0;  ///< tokens of prompts in one step; 0: as the model likes
    int32_t stream_events_max = 4096;
};

/// Continuous batching over one model and one cache. A finished sequence's rows stay until room is
/// needed, and a request that begins with the same tokens does not compute them again. A reader
/// that falls stream_events_max events behind has its sequence parked outside the batch until it
/// has read half of them. Destroying the engine ends all requests with kCancelled; streams may
/// outlive it. threads: any may submit.
class Engine {
  public:
    /// Starts the engine thread. The model must outlive the engine.
    static Result<std::unique_ptr<Engine>> create(Model& model, EngineLimits limits);
    virtual ~Engine() = default;

    /// errors: invalid_argument (empty prompt, id out of range, bad sampling, prompt +
    /// max_new_tokens over the context: the numbers are in the message), overloaded (queue full)
    virtual Result<std::unique_ptr<TokenStream>> submit(Request request) = 0;
    /// As given to create(), with the defaults filled in.
    virtual const EngineLimits& limits() const = 0;
    virtual EngineMetrics metrics() const = 0;
};

}  // namespace nereus
