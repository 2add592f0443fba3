#pragma once
// What the engine thread and the reader of one request share: a bounded queue of events, the wish
// to cancel, and the statistics. Signal wakes the engine thread when something changed outside.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/engine.h"

namespace nereus {

/// A counter to sleep on. The sleeper notes the count, looks at the world, and waits for a greater
/// count, so a change between looking and sleeping is never missed. threads: any.
class Signal {
  public:
    void raise();
    uint64_t count() const;
    void wait_past(uint64_t seen);

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t count_ = 0;
};

/// First in, first out. Its memory grows to the most events that ever waited and is then used
/// again, so that a reader who keeps up costs no allocation a token. threads: one at a time.
class EventRing {
  public:
    bool empty() const { return size_ == 0; }
    size_t size() const { return size_; }
    StreamEvent& back() { return slots_[(first_ + size_ - 1) % slots_.size()]; }
    void push(const StreamEvent& event);
    StreamEvent pop();

  private:
    std::vector<StreamEvent> slots_ = std::vector<StreamEvent>(8);
    size_t first_ = 0, size_ = 0;
};

/// threads: the engine thread pushes, one reader pops, any cancels.
class EventQueue {
  public:
    EventQueue(std::shared_ptr<Signal> engine_signal, int32_t events_max);

    /// A prefill event replaces an unread one before it; so at most one of them waits.
    void push(const StreamEvent& event, const RequestStats& stats);
    /// The last event; always accepted.
    void finish(const StreamEvent& event, const RequestStats& stats);
    /// No room for a token: the reader is behind.
    bool full() const;
    /// Half empty again: worth computing for. The gap to full() keeps a slow reader from moving
    /// its sequence in and out of the batch for every token.
    bool drained() const;
    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

    /// Waits until `deadline`, or for ever.
    std::optional<StreamEvent> pop(std::optional<std::chrono::steady_clock::time_point> deadline);
    bool finished() const;
    void cancel();
    RequestStats stats() const;

  private:
    std::shared_ptr<Signal> engine_signal_;
    const size_t events_max_;
    std::atomic<bool> cancelled_ = false;
    mutable std::mutex mutex_;
    std::condition_variable pushed_;
    EventRing events_;
    RequestStats stats_;
    bool closed_ = false;    ///< kFinished was pushed
    bool finished_ = false;  ///< kFinished was read
};

}  // namespace nereus
