#pragma once
// A fixed set of workers and one verb: run a range in pieces. Which worker takes which piece is not
// defined, so no result may depend on it; every kernel here writes disjoint outputs.

#include <cstdint>
#include <functional>
#include <memory>

namespace nereus {

/// Fixed workers. threads: one caller at a time; it works too, so n_threads = 1 starts none.
class ThreadPool {
  public:
    /// n_threads >= 1; 0 takes the number of usable cores.
    explicit ThreadPool(int n_threads = 0);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int n_threads() const;

    /// Calls body(begin, end) for disjoint pieces of [0, count), each at most `grain` long, from
    /// several threads; returns when all are done. Not reentrant.
    void parallel_for(int64_t count, int64_t grain,
                      const std::function<void(int64_t begin, int64_t end)>& body);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace nereus
