#include "apps/stream_use.h"

#include <algorithm>

#include "base/units.h"

namespace nereus {
namespace {

double bytes_a_token(const ExpertBankStats& use, const StreamSpan& span) {
    return static_cast<double>(use.n_bytes_read) /
           static_cast<double>(std::max<int64_t>(span.n_tokens, 1));
}

double bytes_per_second(const ExpertBankStats& use, const StreamSpan& span) {
    return span.seconds > 0 ? static_cast<double>(use.n_bytes_read) / span.seconds : 0;
}

double waiting_share(const ExpertBankStats& use, const StreamSpan& span) {
    return span.seconds > 0 ? std::min(use.wait_seconds / span.seconds, 1.0) : 0;
}

double hit_rate(const ExpertBankStats& use) {
    const int64_t n = use.n_hits + use.n_misses;
    return n == 0 ? 1 : static_cast<double>(use.n_hits) / static_cast<double>(n);
}

/// Of the experts that were not in memory, those whose reading a guess had begun.
double guessed_share(const ExpertBankStats& use) {
    return static_cast<double>(use.n_guesses_right) /
           static_cast<double>(std::max<int64_t>(use.n_misses, 1));
}

bool streamed(const ExpertBankStats& use) { return use.n_bytes_read > 0 || use.n_misses > 0; }

}  // namespace

std::string describe_stream(const ExpertBankStats& use, const StreamSpan& span) {
    if (!streamed(use)) {
        return "";
    }
    const double rate = bytes_per_second(use, span);
    const double limit = span.drive_limit_bytes_per_second;
    const double waiting = waiting_share(use, span);
    return fmt::format(
        "experts: {:.0f} % in memory, {} a token from disk at {:.2f} GB/s{}; {:.0f} % of the time "
        "computing, {:.0f} % waiting{}",
        100 * hit_rate(use), human_bytes(static_cast<uint64_t>(bytes_a_token(use, span))),
        rate / 1e9,
        limit > 0
            ? fmt::format(" ({:.0f} % of the drive's {:.2f})", 100 * rate / limit, limit / 1e9)
            : std::string(),
        100 - 100 * waiting, 100 * waiting,
        use.n_guesses > 0 ? fmt::format("; {:.0f} % of the missing ones guessed in time",
                                        100 * guessed_share(use))
                          : std::string());
}

Json stream_to_json(const ExpertBankStats& use, const StreamSpan& span) {
    if (!streamed(use)) {
        return nullptr;
    }
    Json json = {{"hits", use.n_hits},
                 {"misses", use.n_misses},
                 {"hit_rate", hit_rate(use)},
                 {"guesses", use.n_guesses},
                 {"guesses_right", use.n_guesses_right},
                 {"bytes_needed", use.n_bytes_needed},
                 {"bytes_read", use.n_bytes_read},
                 {"bytes_per_token", bytes_a_token(use, span)},
                 {"bytes_per_second", bytes_per_second(use, span)},
                 {"wait_seconds", use.wait_seconds},
                 {"waiting_share", waiting_share(use, span)}};
    if (span.drive_limit_bytes_per_second > 0) {
        json["share_of_drive"] = bytes_per_second(use, span) / span.drive_limit_bytes_per_second;
    }
    return json;
}

}  // namespace nereus
