#pragma once
// The machine's roof, measured: how many bytes a second its memory gives and how many multiply-adds
// a second its instructions do, by the number of threads. Every share in bench/ is of these, and
// `nereus plan` starts from them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"

namespace nereus {

/// A rate a second over repeated runs; the best is the one least disturbed by others.
struct Rate {
    double best = 0, median = 0;
};

/// Runs body at least n_runs times and at least `seconds` long; work is what one run does.
Rate measure_rate(double work, int n_runs, double seconds, const std::function<void()>& body);

struct Bandwidth {
    int threads = 0;
    int64_t streams = 0, ahead = 0;  ///< the way of reading that was fastest
    Rate bytes;
};

struct MultiplyAdds {
    int threads = 0;
    std::string number, instruction;
    Rate registers, l2;  ///< on registers alone; with weights from the L2 cache
};

struct Roof {
    std::vector<Bandwidth> bandwidth;
    std::vector<MultiplyAdds> multiply_adds;

    /// The best bytes a second with this many threads; 0 when not measured.
    double bytes_per_second(int threads) const;
    /// The best L2-resident product of "int8", "bf16" or "f32"; 0 when not measured.
    double multiply_adds_per_second(const std::string& number, int threads) const;
};

/// Memory that is larger than any cache, touched once; huge pages where the system gives them.
class RoofBuffer {
  public:
    RoofBuffer();
    ~RoofBuffer();
    RoofBuffer(const RoofBuffer&) = delete;
    RoofBuffer& operator=(const RoofBuffer&) = delete;
    const std::byte* data() const { return data_; }

  private:
    std::byte* data_ = nullptr;
};

/// Measures with the pool's threads and adds to the roof.
void measure_bandwidth(ThreadPool& pool, const RoofBuffer& buffer, Roof& roof);
void measure_multiply_adds(ThreadPool& pool, Roof& roof);

/// 1, 2, 4, ... and n itself.
std::vector<int> thread_counts(int n);

Json roof_json(const Roof& roof);
std::string roof_text(const Roof& roof);

}  // namespace nereus
