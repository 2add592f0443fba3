#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nereus {
namespace {

/// Polls before a worker goes to sleep: about 50 us, longer than the gap between two verbs of one
/// token and short enough that an idle process uses no CPU.
constexpr int kSpinsBeforeSleep = 2000;

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

int usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return std::max(1, CPU_COUNT(&set));
    }
    return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

struct ThreadPool::State {
    std::vector<std::thread> workers;
    // The job: written by the caller before `generation` is raised, read by workers after it.
    const std::function<void(int64_t, int64_t)>* body = nullptr;
    int64_t count = 0;
    int64_t grain = 1;
    std::atomic<int64_t> next{0};
    std::atomic<int> busy{0};
    std::atomic<uint64_t> generation{0};
    std::atomic<bool> stop{false};
    std::atomic<int> sleepers{0};
    std::mutex mutex;
    std::condition_variable wake;

    void take_pieces() {
        while (true) {
            const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
            if (begin >= count) {
                return;
            }
            (*body)(begin, std::min(begin + grain, count));
        }
    }

    bool wait_for(uint64_t seen) {
        for (int spin = 0; spin < kSpinsBeforeSleep; ++spin) {
            if (generation.load(std::memory_order_acquire) != seen) {
                return true;
            }
            relax();
        }
        std::unique_lock lock(mutex);
        sleepers.fetch_add(1);
        wake.wait(lock, [&] { return generation.load() != seen || stop.load(); });
        sleepers.fetch_sub(1);
        return !stop.load() || generation.load() != seen;
    }

    void work() {
        uint64_t seen = 0;
        while (wait_for(seen)) {
            if (stop.load()) {
                return;
            }
            seen = generation.load(std::memory_order_acquire);
            take_pieces();
            busy.fetch_sub(1, std::memory_order_release);
        }
    }

    void start_job() {
        next.store(0);
        busy.store(static_cast<int>(workers.size()));
        generation.fetch_add(1, std::memory_order_seq_cst);
        if (sleepers.load() > 0) {
            const std::lock_guard lock(mutex);
            wake.notify_all();
        }
    }
};

ThreadPool::ThreadPool(int n_threads) : state_(std::make_unique<State>()) {
    const int total = n_threads > 0 ? n_threads : usable_cores();
    for (int i = 1; i < total; ++i) {
        state_->workers.emplace_back([state = state_.get()] { state->work(); });
    }
}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stop.store(true);
        state_->generation.fetch_add(1);
    }
    state_->wake.notify_all();
    for (std::thread& worker : state_->workers) {
        worker.join();
    }
}

int ThreadPool::n_threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, int64_t grain,
                              const std::function<void(int64_t, int64_t)>& body) {
    NEREUS_CHECK(grain >= 1);
    if (count <= 0) {
        return;
    }
    if (count <= grain || state_->workers.empty()) {
        for (int64_t begin = 0; begin < count; begin += grain) {
            body(begin, std::min(begin + grain, count));
        }
        return;
    }
    state_->body = &body;
    state_->count = count;
    state_->grain = grain;
    state_->start_job();
    state_->take_pieces();
    // A worker that lost its core to another process is waited for without burning ours.
    for (int spin = 0; state_->busy.load(std::memory_order_acquire) != 0; ++spin) {
        if (spin < kSpinsBeforeSleep) {
            relax();
        } else {
            sched_yield();
        }
    }
}

}  // namespace nereus
