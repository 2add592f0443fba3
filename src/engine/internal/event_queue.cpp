#include "engine/internal/event_queue.h"

#include <algorithm>

#include "base/check.h"

namespace nereus {

void Signal::raise() {
    {
        const std::lock_guard lock(mutex_);
        ++count_;
    }
    changed_.notify_all();
}

uint64_t Signal::count() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

void Signal::wait_past(uint64_t seen) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ > seen; });
}

void EventRing::push(const StreamEvent& event) {
    if (size_ == slots_.size()) {
        std::rotate(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(first_),
                    slots_.end());
        first_ = 0;
        slots_.resize(2 * size_);
    }
    slots_[(first_ + size_) % slots_.size()] = event;
    ++size_;
}

StreamEvent EventRing::pop() {
    NEREUS_CHECK(size_ > 0);
    StreamEvent event = std::move(slots_[first_]);
    first_ = (first_ + 1) % slots_.size();
    --size_;
    return event;
}

EventQueue::EventQueue(std::shared_ptr<Signal> engine_signal, int32_t events_max)
    : engine_signal_(std::move(engine_signal)),
      events_max_(static_cast<size_t>(std::max(1, events_max))) {}

void EventQueue::push(const StreamEvent& event, const RequestStats& stats) {
    using Kind = StreamEvent::Kind;
    {
        const std::lock_guard lock(mutex_);
        NEREUS_CHECK(!closed_);
        stats_ = stats;
        if (event.kind == Kind::kPrefill && !events_.empty() &&
            events_.back().kind == Kind::kPrefill) {
            events_.back() = event;
        } else {
            events_.push(event);
        }
        closed_ = event.kind == Kind::kFinished;
    }
    pushed_.notify_all();
}

void EventQueue::finish(const StreamEvent& event, const RequestStats& stats) {
    NEREUS_CHECK(event.kind == StreamEvent::Kind::kFinished);
    push(event, stats);
}

bool EventQueue::full() const {
    const std::lock_guard lock(mutex_);
    return events_.size() >= events_max_;
}

bool EventQueue::drained() const {
    const std::lock_guard lock(mutex_);
    return events_.size() <= events_max_ / 2;
}

std::optional<StreamEvent> EventQueue::pop(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
    std::optional<StreamEvent> event;
    bool wakes_engine = false;
    {
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return !events_.empty() || finished_; };
        if (deadline.has_value()) {
            pushed_.wait_until(lock, *deadline, ready);
        } else {
            pushed_.wait(lock, ready);
        }
        if (events_.empty()) {
            return std::nullopt;
        }
        event = events_.pop();
        finished_ = event->kind == StreamEvent::Kind::kFinished;
        wakes_engine = events_.size() == events_max_ / 2;
    }
    if (wakes_engine) {
        engine_signal_->raise();
    }
    return event;
}

bool EventQueue::finished() const {
    const std::lock_guard lock(mutex_);
    return finished_;
}

void EventQueue::cancel() {
    cancelled_.store(true, std::memory_order_relaxed);
    engine_signal_->raise();
}

RequestStats EventQueue::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

}  // namespace nereus
