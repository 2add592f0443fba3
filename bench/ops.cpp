// Speed of the compute verbs against this machine's measured roof: read bandwidth for products with
// one token, fused multiply-adds for many. `nereus_bench [--threads N] [--isa NAME] [--filter TEXT]
// [--json]`. Every case first checks its answer against the portable table.

#include <fmt/format.h>
#include <immintrin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "base/units.h"
#include "compute/backend.h"
#include "tensor/format.h"

namespace nereus {
namespace {

struct Options {
    int threads = 0;
    std::string isa;
    std::string filter;
    bool json = false;
};

/// Seconds of the fastest of several runs: the one least disturbed by others on the machine.
double best_seconds(const std::function<void()>& body) {
    using Clock = std::chrono::steady_clock;
    double best = 1e9;
    double spent = 0;
    for (int run = 0; run < 5 || (spent < 0.4 && run < 200); ++run) {
        const auto start = Clock::now();
        body();
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        best = std::min(best, seconds);
        spent += seconds;
    }
    return best;
}

// ---- the roof
// ------------------------------------------------------------------------------------

/// Larger than any L3 cache here.
constexpr int64_t kRoofBytes = int64_t{512} << 20;

double read_bandwidth(ThreadPool& pool) {
    std::vector<uint64_t> data(static_cast<size_t>(kRoofBytes / 8), 1);
    std::atomic<uint64_t> total{0};
    const double seconds = best_seconds([&] {
        pool.parallel_for(kRoofBytes / 8, 1 << 17, [&](int64_t begin, int64_t end) {
            uint64_t sums[8] = {};
            for (int64_t i = begin; i < end; i += 8) {
                for (int64_t j = 0; j < 8; ++j) {
                    sums[j] += data[static_cast<size_t>(i + j)];
                }
            }
            total += std::accumulate(sums, sums + 8, uint64_t{0});
        });
    });
    return total == 0 ? 0 : static_cast<double>(kRoofBytes) / seconds;
}

/// Fused multiply-adds of one call of a peak loop, per chain and lane.
constexpr int64_t kPeakSteps = 200000;

__attribute__((target("avx512f"))) float peak_512() {
    __m512 sums[16];
    for (__m512& sum : sums) {
        sum = _mm512_set1_ps(1.0F);
    }
    const __m512 factor = _mm512_set1_ps(0.999F);
    for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 16
        for (__m512& sum : sums) {
            sum = _mm512_fmadd_ps(sum, factor, factor);
        }
    }
    float lanes[16];
    for (int i = 1; i < 16; ++i) {
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    }
    _mm512_storeu_ps(lanes, sums[0]);
    return lanes[0];
}

__attribute__((target("avx2,fma"))) float peak_256() {
    __m256 sums[12];
    for (__m256& sum : sums) {
        sum = _mm256_set1_ps(1.0F);
    }
    const __m256 factor = _mm256_set1_ps(0.999F);
    for (int64_t i = 0; i < kPeakSteps; ++i) {
#pragma GCC unroll 12
        for (__m256& sum : sums) {
            sum = _mm256_fmadd_ps(sum, factor, factor);
        }
    }
    float lanes[8];
    for (int i = 1; i < 12; ++i) {
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    }
    _mm256_storeu_ps(lanes, sums[0]);
    return lanes[0];
}

/// Floating-point operations a second, two a fused multiply-add.
double peak_flops(ThreadPool& pool) {
    const std::vector<std::string> isas = available_isas();
    const bool wide = isas.front().starts_with("avx512");
    if (isas.front() == "portable") {
        return 0;
    }
    std::atomic<int> sink{0};
    const int n = pool.n_threads();
    const double seconds = best_seconds([&] {
        pool.parallel_for(n, 1, [&](int64_t, int64_t) {
            sink += static_cast<int>(wide ? peak_512() : peak_256());
        });
    });
    const int64_t lanes = wide ? 16 * 16 : 12 * 8;
    return 2.0 * static_cast<double>(n * kPeakSteps * lanes) / seconds;
}

// ---- the cases
// -----------------------------------------------------------------------------------

/// One measured line. bytes and flops of one run, whichever apply.
struct Case {
    std::string name;
    double bytes = 0;
    double flops = 0;
    std::function<void(Backend&)> run;
    std::function<std::vector<float>()> answer;  ///< of the last run
};

/// Small numbers of either sign.
std::vector<float> random_floats(int64_t n, uint64_t seed) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(random_bits(seed, i, 0) % 2001) / 1000.0F - 1.0F;
    }
    return values;
}

/// A matrix of random bytes in which every block's half-float factor is small and finite: 0x1c..
/// and 0x2c.. are 0.004 and 0.06.
struct StoredMatrix {
    std::vector<std::byte> bytes;
    std::vector<float> scales;
    Weight weight;

    StoredMatrix(FormatId id, int64_t rows, int64_t cols) {
        const Format& format = format_of(id);
        bytes.resize(static_cast<size_t>(format.matrix_bytes(rows, cols)));
        for (size_t i = 0; i < bytes.size(); i += 8) {
            const uint64_t bits = random_bits(1, i, 0) & 0x2c2c2c2c2c2c2c2cU;
            std::memcpy(bytes.data() + i, &bits, std::min<size_t>(8, bytes.size() - i));
        }
        scales = random_floats((rows + 127) / 128 * ((cols + 127) / 128), 2);
        weight = {&format, rows, cols, bytes.data(), format.stride_bytes(cols)};
        if (id == FormatId::kFp8Block128) {
            weight.scales = scales.data();
            weight.scale_stride = (cols + 127) / 128;
        }
    }
};

/// out = weight x for n_tokens.
Case product_case(FormatId id, int64_t rows, int64_t cols, int64_t n_tokens) {
    struct Data {
        StoredMatrix matrix;
        std::vector<float> x;
        std::vector<float> out;
    };
    auto data =
        std::make_shared<Data>(Data{StoredMatrix(id, rows, cols), random_floats(n_tokens * cols, 3),
                                    std::vector<float>(static_cast<size_t>(n_tokens * rows))});
    data->matrix.weight.data = data->matrix.bytes.data();
    if (data->matrix.weight.scales != nullptr) {
        data->matrix.weight.scales = data->matrix.scales.data();
    }
    Case result;
    result.name = fmt::format("matmul/{}/{}x{}/{}", format_of(id).name, rows, cols, n_tokens);
    result.bytes = static_cast<double>(data->matrix.weight.n_bytes());
    result.flops = 2.0 * static_cast<double>(rows * cols * n_tokens);
    result.run = [=](Backend& backend) {
        const MatmulTask task = {.weight = data->matrix.weight,
                                 .x = {data->x.data(), n_tokens, cols, cols},
                                 .out = {data->out.data(), n_tokens, rows, rows}};
        backend.matmul({&task, 1});
    };
    result.answer = [=] { return data->out; };
    return result;
}

/// Decode attention of one token over n_rows cached rows; grouped where n_kv_heads > 0.
Case attention_case(int64_t n_heads, int64_t n_kv_heads, int64_t key, int64_t value,
                    int64_t n_rows) {
    const bool latent = n_kv_heads == 0;
    const int64_t width = latent ? key : n_kv_heads * (key + value);
    struct Data {
        std::vector<float> cache, q, out;
        const float* page;
    };
    auto data = std::make_shared<Data>();
    data->cache = random_floats(n_rows * width, 4);
    data->q = random_floats(n_heads * key, 5);
    data->out.resize(static_cast<size_t>(n_heads * value));
    data->page = data->cache.data();
    Case result;
    result.name =
        fmt::format("attend_{}/{}x{}/{}", latent ? "latent" : "grouped", n_heads, key, n_rows);
    result.bytes = static_cast<double>(n_rows * width * 4);
    result.flops = 2.0 * static_cast<double>(n_heads * n_rows * (key + value));
    result.run = [=](Backend& backend) {
        const PagedRows visible = {&data->page, n_rows, width, n_rows};
        const ConstRows q = {data->q.data(), 1, n_heads * key, n_heads * key};
        const Rows out = {data->out.data(), 1, n_heads * value, n_heads * value};
        if (latent) {
            backend.attend_latent({q, out, {&visible, 1}, n_heads, value, key - value, 0.1F});
        } else {
            backend.attend_grouped({q, out, {&visible, 1}, n_heads, n_kv_heads, key, value, 0.1F});
        }
    };
    result.answer = [=] { return data->out; };
    return result;
}

/// Every case by a function that makes it, so that only one holds its memory at a time.
std::vector<std::function<Case()>> all_cases() {
    std::vector<std::function<Case()>> cases;
    for (const Format& format : all_formats()) {
        if (format.decode_row == nullptr) {
            continue;
        }
        // About 96 MB: three times the L3 cache of this machine.
        const int64_t cols = 4096;
        const int64_t rows = (int64_t{96} << 20) / format.matrix_bytes(16, cols) * 16 / 128 * 128;
        cases.emplace_back([=] { return product_case(format.id, rows, cols, 1); });
    }
    for (const FormatId id : {FormatId::kBf16, FormatId::kFp8Block128, FormatId::kQ4K,
                              FormatId::kIq2Xxs, FormatId::kQ8, FormatId::kQ4, FormatId::kQ2}) {
        for (const int64_t tokens : {2, 4, 8, 64, 512}) {
            cases.emplace_back([=] { return product_case(id, 4096, 4096, tokens); });
        }
    }
    // TinyLlama's two shapes.
    cases.emplace_back([] { return product_case(FormatId::kIq2Xxs, 5632, 2048, 1); });
    cases.emplace_back([] { return product_case(FormatId::kIq2Xxs, 2048, 5632, 1); });
    cases.emplace_back([] { return product_case(FormatId::kF32, 4096, 4096, 512); });
    cases.emplace_back([] { return attention_case(128, 0, 576, 512, 4096); });
    cases.emplace_back([] { return attention_case(16, 0, 576, 512, 4096); });
    cases.emplace_back([] { return attention_case(32, 4, 64, 64, 4096); });
    return cases;
}

bool answers_agree(const Case& one, Backend& backend, Backend& portable) {
    one.run(portable);
    const std::vector<float> expected = one.answer();
    one.run(backend);
    const std::vector<float> found = one.answer();
    return std::memcmp(expected.data(), found.data(), found.size() * sizeof(float)) == 0;
}

int run(const Options& options) {
    ThreadPool pool(options.threads);
    auto made = create_cpu_backend(pool, options.isa);
    if (!made.ok()) {
        fmt::print(stderr, "{}\n", made.error().message);
        return 2;
    }
    auto portable = create_cpu_backend(pool, "portable");
    Backend& backend = *made.value();
    const double bandwidth = read_bandwidth(pool);
    const double flops = peak_flops(pool);
    Json report = {{"isa", backend.isa()},
                   {"threads", pool.n_threads()},
                   {"read_gb_per_s", bandwidth / 1e9},
                   {"peak_gflop_per_s", flops / 1e9},
                   {"cases", Json::array()}};
    if (!options.json) {
        fmt::print("{}, {} threads: reads {:.1f} GB/s, {:.0f} GFLOP/s\n", backend.isa(),
                   pool.n_threads(), bandwidth / 1e9, flops / 1e9);
    }
    for (const auto& make : all_cases()) {
        const Case one = make();
        if (one.name.find(options.filter) == std::string::npos) {
            continue;
        }
        // The portable table is slow: only small cases are compared here, all in conformance.
        const bool small = one.flops < 4e7;
        if (small && !answers_agree(one, backend, *portable.value())) {
            fmt::print(stderr, "{}: the answer differs from the portable table's\n", one.name);
            return 1;
        }
        const double seconds = best_seconds([&] { one.run(backend); });
        const double bytes_share = one.bytes / seconds / bandwidth;
        const double flops_share = flops == 0 ? 0 : one.flops / seconds / flops;
        report["cases"].push_back({{"name", one.name},
                                   {"seconds", seconds},
                                   {"gb_per_s", one.bytes / seconds / 1e9},
                                   {"gflop_per_s", one.flops / seconds / 1e9},
                                   {"share_of_bandwidth", bytes_share},
                                   {"share_of_peak", flops_share}});
        if (!options.json) {
            fmt::print("{:34} {:9.1f} us  {:6.1f} GB/s {:4.0f} %  {:7.1f} GFLOP/s {:4.0f} %\n",
                       one.name, seconds * 1e6, one.bytes / seconds / 1e9, bytes_share * 100,
                       one.flops / seconds / 1e9, flops_share * 100);
        }
    }
    if (options.json) {
        fmt::print("{}\n", dump_json(report));
    }
    return 0;
}

}  // namespace
}  // namespace nereus

int main(int argc, char** argv) {
    nereus::Options options;
    CLI::App app("speed of the compute verbs against the machine's roof");
    app.add_option("--threads", options.threads, "worker threads; 0: all cores");
    app.add_option("--isa", options.isa, "kernel table; default: the fastest");
    app.add_option("--filter", options.filter, "only cases whose name contains this");
    app.add_flag("--json", options.json, "one JSON object on stdout");
    CLI11_PARSE(app, argc, argv);
    return nereus::run(options);
}
