#include "compute/roof.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "compute/measure/rate_kernel.h"

namespace nereus {
namespace {

/// A piece of work of a thread. An odd number of cache lines a stream, so that 8 streams do not
/// fall on the same sets of the L1 cache.
constexpr int64_t kPieceBytes = (int64_t{4} << 20) + 8 * 9 * 64;
constexpr int64_t kPieces = 128;  // 537 MB, many times an L3 cache
constexpr int64_t kBufferBytes = kPieces * kPieceBytes;

/// Weights of the product: half of the smallest L2 cache of a server core, 1 MB.
constexpr int64_t kL2Bytes = int64_t{512} << 10;

ReadKernel best_reader() { return __builtin_cpu_supports("avx512f") ? read_avx512 : read_avx2; }

/// All of a buffer aligned to cache lines.
struct AlignedBytes {
    explicit AlignedBytes(int64_t n) : storage(static_cast<size_t>(n) + 64) {
        const auto at = reinterpret_cast<uintptr_t>(storage.data());
        data = storage.data() + (64 - at % 64) % 64;
        std::memset(data, 0x3c, static_cast<size_t>(n));  // 0.01 as bf16 and f32
    }
    AlignedBytes(AlignedBytes&&) = default;  // a vector's bytes stay where they are

    std::vector<std::byte> storage;
    std::byte* data = nullptr;
};

/// What one thread needs for the product.
struct ProductData {
    explicit ProductData(const RateKernel& k)
        : panel_bytes(2 * k.lanes * kProductDepth * k.element_bytes),
          n_panels(kL2Bytes / panel_bytes),
          weights(n_panels * panel_bytes),
          x(k.rows * kProductDepth * k.element_bytes),
          out(n_panels * k.rows * 2 * k.lanes * 4) {}

    int64_t panel_bytes, n_panels;
    AlignedBytes weights, x, out;
};

/// Every thread does `once(thread)`; returns the rate of all of them.
Rate rate_of_threads(ThreadPool& pool, double work_each, const std::function<void(int64_t)>& once) {
    const int64_t n = pool.n_threads();
    return measure_rate(work_each * static_cast<double>(n), 7, 0.15, [&] {
        pool.parallel_for(n, 1, [&](int64_t begin, int64_t) { once(begin); });
    });
}

Rate register_rate(ThreadPool& pool, const RateKernel& kernel) {
    constexpr int64_t kSteps = 200000;
    const int64_t work = kernel.registers(kSteps);
    return rate_of_threads(pool, static_cast<double>(work),
                           [&](int64_t) { kernel.registers(kSteps); });
}

Rate l2_rate(ThreadPool& pool, const RateKernel& kernel) {
    constexpr int kPasses = 40;
    std::vector<ProductData> data;
    for (int i = 0; i < pool.n_threads(); ++i) {
        data.emplace_back(kernel);
    }
    const int64_t outputs = data[0].n_panels * kernel.rows * 2 * kernel.lanes;
    return rate_of_threads(
        pool, static_cast<double>(kPasses * outputs * kProductDepth), [&](int64_t thread) {
            ProductData& own = data[static_cast<size_t>(thread)];
            for (int i = 0; i < kPasses; ++i) {
                kernel.product(own.weights.data, own.x.data, own.n_panels, own.out.data);
            }
        });
}

constexpr const RateKernel* kKernels[] = {&kAmxInt8,    &kAvx512Vnni, &kAvx2Int8, &kAmxBf16,
                                          &kAvx512Bf16, &kAvx512F32,  &kAvx2F32};

}  // namespace

std::span<const RateKernel* const> all_rate_kernels() { return kKernels; }

Rate measure_rate(double work, int n_runs, double seconds, const std::function<void()>& body) {
    using Clock = std::chrono::steady_clock;
    constexpr int kRunsMax = 1000;
    std::vector<double> times;
    double spent = 0;
    body();  // caches, pages, clock
    for (int run = 0; run < n_runs || (spent < seconds && run < kRunsMax); ++run) {
        const auto start = Clock::now();
        body();
        times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        spent += times.back();
    }
    std::sort(times.begin(), times.end());
    return {work / times.front(), work / times[times.size() / 2]};
}

double Roof::bytes_per_second(int threads) const {
    double best = 0;
    for (const Bandwidth& row : bandwidth) {
        best = row.threads == threads ? std::max(best, row.bytes.best) : best;
    }
    return best;
}

double Roof::multiply_adds_per_second(const std::string& number, int threads) const {
    double best = 0;
    for (const MultiplyAdds& row : multiply_adds) {
        if (row.number == number && row.threads == threads) {
            best = std::max(best, row.l2.best);
        }
    }
    return best;
}

RoofBuffer::RoofBuffer() {
    void* const mapped =
        ::mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEREUS_CHECK(mapped != MAP_FAILED);
    ::madvise(mapped, kBufferBytes, MADV_HUGEPAGE);
    data_ = static_cast<std::byte*>(mapped);
    std::memset(data_, 1, kBufferBytes);
}

RoofBuffer::~RoofBuffer() { ::munmap(data_, kBufferBytes); }

void measure_bandwidth(ThreadPool& pool, const RoofBuffer& buffer, Roof& roof) {
    const ReadKernel read = best_reader();
    std::atomic<uint64_t> sink{0};
    const auto rate = [&](int64_t streams, int64_t ahead, int n_runs) {
        return measure_rate(kBufferBytes, n_runs, 0, [&] {
            pool.parallel_for(kPieces, 1, [&](int64_t begin, int64_t) {
                sink += read(buffer.data() + begin * kPieceBytes, kPieceBytes, streams, ahead);
            });
        });
    };
    Bandwidth best;
    best.threads = pool.n_threads();
    for (const int64_t streams : {1, 2, 4, 8}) {
        for (const int64_t ahead : {0, 512, 2048, 4608}) {
            const Rate found = rate(streams, ahead, 3);
            if (found.best > best.bytes.best) {
                best.bytes = found;
                best.streams = streams;
                best.ahead = ahead;
            }
        }
    }
    const double scanned = best.bytes.best;
    best.bytes = rate(best.streams, best.ahead, 11);
    best.bytes.best = std::max(best.bytes.best, scanned);
    NEREUS_CHECK(sink.load() != 0);
    roof.bandwidth.push_back(best);
}

void measure_multiply_adds(ThreadPool& pool, Roof& roof) {
    for (const RateKernel* kernel : kKernels) {
        if (kernel->runs_here()) {
            roof.multiply_adds.push_back({pool.n_threads(), kernel->number, kernel->instruction,
                                          register_rate(pool, *kernel), l2_rate(pool, *kernel)});
        }
    }
}

std::vector<int> thread_counts(int n) {
    std::vector<int> counts;
    for (int i = 1; i < n; i *= 2) {
        counts.push_back(i);
    }
    counts.push_back(n);
    return counts;
}

Json roof_json(const Roof& roof) {
    Json json = {{"read", Json::array()}, {"multiply_adds", Json::array()}};
    for (const Bandwidth& row : roof.bandwidth) {
        json["read"].push_back({{"threads", row.threads},
                                {"gb_per_second", row.bytes.best / 1e9},
                                {"median", row.bytes.median / 1e9},
                                {"streams", row.streams},
                                {"prefetch_bytes", row.ahead}});
    }
    for (const MultiplyAdds& row : roof.multiply_adds) {
        json["multiply_adds"].push_back({{"threads", row.threads},
                                         {"number", row.number},
                                         {"instruction", row.instruction},
                                         {"registers_gop", row.registers.best / 1e9},
                                         {"registers_gop_median", row.registers.median / 1e9},
                                         {"l2_gop", row.l2.best / 1e9},
                                         {"l2_gop_median", row.l2.median / 1e9}});
    }
    return json;
}

std::string roof_text(const Roof& roof) {
    std::string text;
    for (const Bandwidth& row : roof.bandwidth) {
        text += fmt::format(
            "read  {:3} threads {:8.1f} GB/s  median {:8.1f}  ({} streams, {})\n", row.threads,
            row.bytes.best / 1e9, row.bytes.median / 1e9, row.streams,
            row.ahead == 0 ? "no prefetch" : fmt::format("prefetch {} B ahead", row.ahead));
    }
    for (const MultiplyAdds& row : roof.multiply_adds) {
        text += fmt::format(
            "{:5} {:3} threads {:8.1f} Gmadd/s from L2  median {:8.1f}   {:8.1f} on registers  "
            "({})\n",
            row.number, row.threads, row.l2.best / 1e9, row.l2.median / 1e9,
            row.registers.best / 1e9, row.instruction);
    }
    return text;
}

}  // namespace nereus
