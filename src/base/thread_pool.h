#pragma once
// A fixed set of workers that run a range in pieces. Which worker takes which piece is not defined,
// so no result may depend on it; every kernel here writes disjoint outputs.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace nereus {

struct ThreadPlace;

/// Fixed workers. threads: one caller at a time; it works too, so n_threads = 1 starts none. Idle
/// workers poll for some 50 us, then sleep; a call wakes them and never waits for one that comes
/// too late to help.
class ThreadPool {
  public:
    using Body = std::function<void(int64_t begin, int64_t end)>;

    /// On this machine, placed as topology.h says; n_threads <= 0 lets it choose how many.
    explicit ThreadPool(int n_threads = 0);
    /// One thread a place, at least one. Place 0 is the caller's, which is never pinned.
    explicit ThreadPool(std::span<const ThreadPlace> places);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int n_threads() const;

    /// Calls body(begin, end) for disjoint pieces of [0, count), each at most `grain` long, from
    /// several threads; returns when all are done. Not reentrant.
    void parallel_for(int64_t count, int64_t grain, const Body& body);

    /// Calls body(i, i + 1) for every i of [starts[0], starts[n_threads()]), numbers below 2^32 in
    /// rising order. Thread t takes starts[t] .. starts[t + 1] - 1 from the front and then what
    /// others have left from the back, first of those on its own memory node: the same numbers meet
    /// the same thread, its caches and its memory, again and again, and nobody waits for a slow
    /// one.
    void parallel_shares(std::span<const int64_t> starts, const Body& body);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace nereus
