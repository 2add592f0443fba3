#include "bench/dispatch.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace nereus {
namespace {

constexpr int kRuns = 200;
constexpr useconds_t kSleepUs = 2000;

template <typename Before, typename Body>
double median_seconds(const Before& before, const Body& body) {
    using Clock = std::chrono::steady_clock;
    std::vector<double> times;
    for (int run = 0; run < kRuns; ++run) {
        before();
        const auto start = Clock::now();
        body();
        times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

/// Returns once as many threads as the pool has are inside.
void meet(ThreadPool& pool) {
    const int64_t n = pool.n_threads();
    std::atomic<int64_t> n_here{0};
    pool.parallel_for(n, 1, [&](int64_t, int64_t) {
        n_here.fetch_add(1);
        while (n_here.load() < n) {
            std::this_thread::yield();
        }
    });
}

}  // namespace

DispatchTimes measure_dispatch(ThreadPool& pool) {
    const int64_t n = pool.n_threads();
    const auto nothing = [] {};
    const auto empty = [&] { pool.parallel_for(n, 1, [](int64_t, int64_t) {}); };
    DispatchTimes times;
    times.empty = median_seconds(nothing, empty);
    times.together = median_seconds(nothing, [&] { meet(pool); });
    times.together_asleep = median_seconds([] { ::usleep(kSleepUs); }, [&] { meet(pool); });
    return times;
}

Json dispatch_json(const DispatchTimes& times) {
    return {{"empty_us", times.empty * 1e6},
            {"together_us", times.together * 1e6},
            {"together_asleep_us", times.together_asleep * 1e6}};
}

}  // namespace nereus
