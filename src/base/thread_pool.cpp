#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/topology.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nereus {
namespace {

/// Polls before a worker goes to sleep: about 50 us, longer than the gap between two verbs of one
/// token and short enough that an idle process uses no CPU.
constexpr int kSpinsBeforeSleep = 2000;
/// Sleepers that one thread wakes; each of them wakes as many, so that the caller pays for two
/// system calls' worth and not for 127.
constexpr int kWokenTogether = 2;

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

/// Best effort: a CPU may have gone since the topology was read.
void pin_this_thread(std::span<const int> cpus) {
    if (cpus.empty()) {
        return;
    }
    const int highest = *std::max_element(cpus.begin(), cpus.end());
    cpu_set_t* const set = CPU_ALLOC(static_cast<size_t>(highest) + 1);
    const size_t size = CPU_ALLOC_SIZE(static_cast<size_t>(highest) + 1);
    CPU_ZERO_S(size, set);
    for (const int cpu : cpus) {
        CPU_SET_S(static_cast<size_t>(cpu), size, set);
    }
    ::sched_setaffinity(0, size, set);
    CPU_FREE(set);
}

/// Numbers [begin, end) as one word, taken from the front by the owner and from the back by others.
class Share {
  public:
    void set(int64_t begin, int64_t end) {
        range_.store(static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end),
                     std::memory_order_relaxed);
    }
    /// The next number, or -1 when none is left.
    int64_t take(bool from_front) {
        uint64_t range = range_.load(std::memory_order_relaxed);
        while (true) {
            const uint64_t begin = range >> 32;
            const uint64_t end = range & 0xffffffffU;
            if (begin >= end) {
                return -1;
            }
            const uint64_t less = from_front ? range + (uint64_t{1} << 32) : range - 1;
            if (range_.compare_exchange_weak(range, less, std::memory_order_relaxed)) {
                return static_cast<int64_t>(from_front ? begin : end - 1);
            }
        }
    }

  private:
    alignas(64) std::atomic<uint64_t> range_{0};  // a cache line of its own
};

/// Who may still join the current job: a word of (job number, closed, threads that joined).
class Gate {
  public:
    void open() { word_.store((word_.load() | kCountAndClosed) + 1, std::memory_order_release); }
    bool join() {
        uint64_t word = word_.load(std::memory_order_acquire);
        while ((word & kClosed) == 0) {
            if (word_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel)) {
                return true;
            }
        }
        return false;
    }
    /// How many have joined; nobody does after this.
    uint32_t close() {
        return static_cast<uint32_t>(word_.fetch_or(kClosed, std::memory_order_acq_rel) & kCount);
    }

  private:
    static constexpr uint64_t kCount = 0xffff;
    static constexpr uint64_t kClosed = kCount + 1;
    static constexpr uint64_t kCountAndClosed = kCount | kClosed;
    std::atomic<uint64_t> word_{kClosed};
};

}  // namespace

struct ThreadPool::State {
    std::vector<std::thread> workers;
    std::vector<std::vector<size_t>> victims;  ///< of each thread, in the order it helps them
    // The job: written by the caller before the gate opens, read by those who joined.
    const Body* body = nullptr;
    bool by_shares = false;
    int64_t count = 0;
    int64_t grain = 1;
    std::unique_ptr<Share[]> shares;
    alignas(64) std::atomic<int64_t> next{0};
    alignas(64) Gate gate;
    std::atomic<uint32_t> n_left{0};              ///< of those who joined, how many are done
    alignas(64) std::atomic<uint32_t> signal{0};  ///< raised for every job
    std::atomic<int> sleepers{0};
    std::atomic<bool> stop{false};

    void find_victims(std::span<const ThreadPlace> places) {
        victims.resize(places.size());
        for (size_t me = 0; me < places.size(); ++me) {
            for (const bool near : {true, false}) {  // those of the same node first
                for (size_t k = 1; k < places.size(); ++k) {
                    const size_t other = (me + k) % places.size();
                    if ((places[other].node == places[me].node) == near) {
                        victims[me].push_back(other);
                    }
                }
            }
        }
    }

    void take_pieces() {
        while (true) {
            const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
            if (begin >= count) {
                return;
            }
            (*body)(begin, std::min(begin + grain, count));
        }
    }

    void empty_share(size_t index, bool own) {
        for (int64_t i = shares[index].take(own); i >= 0; i = shares[index].take(own)) {
            (*body)(i, i + 1);
        }
    }

    void take_part(size_t thread) {
        if (!by_shares) {
            take_pieces();
            return;
        }
        empty_share(thread, true);
        for (const size_t other : victims[thread]) {
            empty_share(other, false);
        }
    }

    void wake_some() {
        for (int i = 0; i < kWokenTogether && sleepers.load() > 0; ++i) {
            signal.notify_one();
        }
    }

    /// Until signal is not `seen`: polls, then sleeps.
    void wait_for_signal(uint32_t seen) {
        for (int spin = 0; spin < kSpinsBeforeSleep; ++spin) {
            if (signal.load(std::memory_order_acquire) != seen) {
                return;
            }
            relax();
        }
        sleepers.fetch_add(1);
        signal.wait(seen);  // straight on the word: no lock that those woken would queue for
        sleepers.fetch_sub(1);
        wake_some();
    }

    void work(size_t thread, std::span<const int> cpus) {
        pin_this_thread(cpus);
        for (uint32_t seen = 0;;) {
            wait_for_signal(seen);
            if (stop.load()) {
                return;
            }
            seen = signal.load();  // a job that comes after this is noticed by the next wait
            if (gate.join()) {
                take_part(thread);
                n_left.fetch_add(1, std::memory_order_release);
            }
        }
    }

    void run_job() {
        n_left.store(0, std::memory_order_relaxed);
        gate.open();
        signal.fetch_add(1);
        wake_some();
        take_part(0);
        const uint32_t n_joined = gate.close();
        // A worker that lost its core to another process is waited for without burning ours.
        for (int spin = 0; n_left.load(std::memory_order_acquire) != n_joined; ++spin) {
            if (spin < kSpinsBeforeSleep) {
                relax();
            } else {
                sched_yield();
            }
        }
    }
};

ThreadPool::ThreadPool(int n_threads) : ThreadPool(place_threads(this_machine(), n_threads)) {}

ThreadPool::ThreadPool(std::span<const ThreadPlace> places) : state_(std::make_unique<State>()) {
    NEREUS_CHECK(!places.empty());
    state_->find_victims(places);
    state_->shares = std::make_unique<Share[]>(places.size());
    for (size_t i = 1; i < places.size(); ++i) {
        state_->workers.emplace_back(
            [state = state_.get(), i, cpus = places[i].cpus] { state->work(i, cpus); });
    }
}

ThreadPool::~ThreadPool() {
    state_->stop.store(true);
    state_->signal.fetch_add(1);
    state_->signal.notify_all();
    for (std::thread& worker : state_->workers) {
        worker.join();
    }
}

int ThreadPool::n_threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, int64_t grain, const Body& body) {
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
    state_->by_shares = false;
    state_->count = count;
    state_->grain = grain;
    state_->next.store(0, std::memory_order_relaxed);
    state_->run_job();
}

void ThreadPool::parallel_shares(std::span<const int64_t> starts, const Body& body) {
    const auto n = static_cast<size_t>(n_threads());
    NEREUS_CHECK(starts.size() == n + 1);
    NEREUS_CHECK(std::is_sorted(starts.begin(), starts.end()));
    NEREUS_CHECK(starts.front() >= 0);
    NEREUS_CHECK(starts.back() <= int64_t{UINT32_MAX});
    if (n == 1 || starts.back() - starts.front() <= 1) {
        for (int64_t i = starts.front(); i < starts.back(); ++i) {
            body(i, i + 1);
        }
        return;
    }
    state_->body = &body;
    state_->by_shares = true;
    for (size_t i = 0; i < n; ++i) {
        state_->shares[i].set(starts[i], starts[i + 1]);
    }
    state_->run_job();
}

}  // namespace nereus
