#pragma once
// What an answer cost the drive, for /stats, --stats and --json: hits, bytes a token, how near the
// drive was to its limit, and what the time went to.

#include <cstdint>
#include <string>

#include "base/json.h"
#include "memory/expert_bank.h"

namespace nereus {

struct StreamSpan {
    double seconds = 0;                       ///< of the whole answer, prompt included
    int64_t n_tokens = 0;                     ///< prompt tokens computed and tokens generated
    double drive_limit_bytes_per_second = 0;  ///< as doctor measured it; 0: not measured
};

/// "experts: 71 % in memory, 430 MB a token from disk at 1.9 GB/s (84 % of the drive's 2.3); 38 %
/// of the time computing, 62 % waiting"; "" for an answer that read nothing.
std::string describe_stream(const ExpertBankStats& use, const StreamSpan& span);
/// The same as an object; null for an answer that read nothing.
Json stream_to_json(const ExpertBankStats& use, const StreamSpan& span);

}  // namespace nereus
