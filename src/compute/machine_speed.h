#pragma once
// How fast this machine runs what a forward pass is made of, measured on the backend that will run
// it: products by number format and rows, attention, and the cost of a verb that does next to
// nothing. A forecast adds these up, so it needs no theory of a kernel.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "compute/backend.h"
#include "tensor/format.h"

namespace nereus {

/// One product of a matrix beyond the caches with n_rows activations.
struct ProductSpeed {
    FormatId format = FormatId::kF32;
    int64_t n_rows = 1;
    double weight_seconds = 0;  ///< a weight, for all n_rows together
};

/// Attention of n_queries tokens over cached rows, by the multiply-adds it has to do.
struct AttentionSpeed {
    bool latent = true;
    KvFormat cache = KvFormat::kF32;  ///< what the rows are kept in
    int64_t n_queries = 1;
    double multiply_adds_per_second = 0;
};

struct MachineSpeed {
    int threads = 0;
    std::string isa;
    double read_bytes_per_second = 0;  ///< of memory, all threads
    double verb_seconds = 0;           ///< a verb over one short row
    std::vector<ProductSpeed> products;
    std::vector<AttentionSpeed> attention;

    bool knows(FormatId format) const;
    /// Seconds for one weight with n_rows activations: between the measured numbers of rows on a
    /// straight line of logarithms, beyond the largest in proportion. An unmeasured format takes
    /// the slowest one's.
    double weight_seconds(FormatId format, double n_rows) const;
    /// At the measured number of queries that is nearest.
    double attention_seconds(bool latent, KvFormat cache, double n_queries,
                             double multiply_adds) const;
};

/// What is measured unless asked otherwise: published formats, packs, common GGUFs.
std::span<const FormatId> common_formats();

/// Called with a fraction in [0, 1].
using MeasureProgress = std::function<void(double fraction)>;

/// Takes about seconds_each for each of 5 numbers of rows of each format and of 6 attentions, and a
/// few seconds for memory.
MachineSpeed measure_machine(Backend& backend, std::span<const FormatId> formats,
                             double seconds_each, const MeasureProgress& progress);

Json machine_speed_json(const MachineSpeed& speed);
/// Formats that this build does not know are left out. errors: corrupt (a field missing or no
/// positive number; it is named)
Result<MachineSpeed> machine_speed_from_json(const Json& json, const std::string& origin);

}  // namespace nereus
