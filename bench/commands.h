#pragma once
// The commands of nereus_bench; each returns an exit code and prints its result.

#include <cstdint>
#include <string>
#include <vector>

namespace nereus {

struct BenchOptions {
    int threads = 0;  ///< 0: all cores; roof: 1, 2, 4 ... and this
    std::string isa;
    bool json = false;
};

struct OpsOptions {
    std::string filter;
};

struct ModelOptions {
    std::string model;
    std::vector<int64_t> contexts = {0, 2048, 8192, 32768};
    std::vector<int64_t> sequences = {1, 2, 4, 8};
    int64_t n_prompt = 512, n_generate = 32, n_repeat = 5, chunk = 512;
};

struct CacheOptions {
    std::vector<std::string> traces;  ///< files of routing_trace.h
};

int run_machine();
int run_cache(const BenchOptions& options, const CacheOptions& cache);
int run_roof(const BenchOptions& options);
int run_ops(const BenchOptions& options, const OpsOptions& ops);
int run_model(const BenchOptions& options, const ModelOptions& model);

}  // namespace nereus
