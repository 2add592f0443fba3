#include "engine/sampler.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/rng.h"

namespace nereus {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr uint64_t kSampleStream = 0;

/// A token still in the running. Kept in ascending id, so that the order of every sum is a function
/// of the logits alone.
struct Candidate {
    int32_t id;
    float logit;
    double weight;
};

bool better(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/// Buffers of one thread, so that drawing a token in steady state allocates nothing.
struct Scratch {
    std::vector<float> logits;
    std::vector<int32_t> counts;
    std::vector<Candidate> candidates;
    std::vector<Candidate> order;
};

/// NaN can never win, and a plus infinity stays a number so that differences of logits exist.
float usable(float logit) { return std::isnan(logit) ? kMinusInfinity : std::min(logit, FLT_MAX); }

bool in_range(int32_t id, size_t n) { return id >= 0 && static_cast<size_t>(id) < n; }

/// Transformers' order: the repetition penalty once for every id seen in prompt or reply, then the
/// two penalties of the reply. counts is zero on entry and on exit; bit 0 marks "seen", the
/// occurrences in the reply stand above it.
void apply_penalties(const SamplingParams& params, std::span<const int32_t> prompt,
                     std::span<const int32_t> reply, std::vector<float>& logits,
                     std::vector<int32_t>& counts) {
    counts.resize(logits.size(), 0);
    const auto penalise = [&](int32_t id) {
        int32_t& count = counts[static_cast<size_t>(id)];
        float& logit = logits[static_cast<size_t>(id)];
        if (count == 0 || logit == kMinusInfinity) {
            count = 0;
            return;
        }
        const float repetition = params.repetition_penalty;
        logit = logit > 0 ? logit / repetition : logit * repetition;
        const int32_t n_reply = count >> 1;
        if (n_reply > 0) {
            logit -= params.presence_penalty;
            logit -= params.frequency_penalty * static_cast<float>(n_reply);
        }
        // A penalty of 1e-38 must not make infinities, whose differences are no numbers.
        logit = std::clamp(logit, -FLT_MAX, FLT_MAX);
        count = 0;
    };
    for (const int32_t id : prompt) {
        if (in_range(id, logits.size())) {
            counts[static_cast<size_t>(id)] |= 1;
        }
    }
    for (const int32_t id : reply) {
        if (in_range(id, logits.size())) {
            counts[static_cast<size_t>(id)] = (counts[static_cast<size_t>(id)] | 1) + 2;
        }
    }
    for (const auto ids : {prompt, reply}) {
        for (const int32_t id : ids) {
            if (in_range(id, logits.size())) {
                penalise(id);
            }
        }
    }
}

/// The best token; the first of equals, since only a greater logit replaces it.
int32_t argmax(std::span<const float> logits) {
    size_t best = 0;
    for (size_t i = 1; i < logits.size(); ++i) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    return static_cast<int32_t>(best);
}

double log_sum_exp(std::span<const float> logits, float max) {
    double sum = 0;
    for (const float logit : logits) {
        sum += static_cast<double>(std::exp(usable(logit) - max));
    }
    return static_cast<double>(max) + std::log(sum);
}

/// Keeps the candidates that are not worse than `last`, in order of id.
void keep_until(const Candidate& last, std::vector<Candidate>& candidates) {
    std::erase_if(candidates, [&](const Candidate& candidate) { return better(last, candidate); });
}

void keep_top_k(int32_t top_k, Scratch& scratch) {
    const auto k = static_cast<size_t>(top_k);
    if (k == 0 || k >= scratch.candidates.size()) {
        return;
    }
    scratch.order = scratch.candidates;
    const auto last = scratch.order.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(scratch.order.begin(), last, scratch.order.end(), better);
    keep_until(*last, scratch.candidates);
}

/// Keeps the smallest set of best candidates whose weights reach top_p of the total. Candidates far
/// below the mean, which together cannot reach 1 - top_p, are not even looked at; the rest is put
/// in order by pieces that grow fourfold until the sum is reached, so a peaked distribution costs
/// one pass and a flat one O(V + k log k).
void keep_top_p(float top_p, Scratch& scratch) {
    if (top_p >= 1.0F) {
        return;
    }
    double total = 0;
    for (const Candidate& candidate : scratch.candidates) {
        total += candidate.weight;
    }
    const double target = static_cast<double>(top_p) * total;
    const double floor = (total - target) / static_cast<double>(scratch.candidates.size()) * 0.5;
    auto& order = scratch.order;
    order.clear();
    std::copy_if(scratch.candidates.begin(), scratch.candidates.end(), std::back_inserter(order),
                 [&](const Candidate& candidate) { return candidate.weight >= floor; });
    double sum = 0;
    size_t n_sorted = 0;
    for (size_t step = 64; n_sorted < order.size(); step *= 4) {
        const auto begin = order.begin() + static_cast<std::ptrdiff_t>(n_sorted);
        const size_t n_end = std::min(order.size(), n_sorted + step);
        const auto end = order.begin() + static_cast<std::ptrdiff_t>(n_end);
        std::nth_element(begin, end - 1, order.end(), better);
        std::sort(begin, end, better);
        for (; n_sorted < n_end; ++n_sorted) {
            sum += order[n_sorted].weight;
            if (sum >= target) {
                keep_until(order[n_sorted], scratch.candidates);
                return;
            }
        }
    }
}

/// min_p is a share of the best candidate's weight, which is 1.
void keep_min_p(float min_p, Scratch& scratch) {
    std::erase_if(scratch.candidates, [&](const Candidate& candidate) {
        return candidate.weight < static_cast<double>(min_p);
    });
}

int32_t draw(std::span<const Candidate> candidates, const SamplingParams& params,
             int64_t position) {
    double total = 0;
    for (const Candidate& candidate : candidates) {
        total += candidate.weight;
    }
    const double target =
        random_unit(params.seed, kSampleStream, static_cast<uint64_t>(position)) * total;
    double sum = 0;
    int32_t last = candidates.front().id;
    for (const Candidate& candidate : candidates) {
        if (candidate.weight > 0) {
            last = candidate.id;  // rounding may leave the sum a hair below the target
        }
        sum += candidate.weight;
        if (sum > target) {
            return candidate.id;
        }
    }
    return last;
}

int32_t sample_from(std::span<const float> logits, float max, const SamplingParams& params,
                    int64_t position, Scratch& scratch) {
    scratch.candidates.clear();
    for (size_t i = 0; i < logits.size(); ++i) {
        const float scaled = (logits[i] - max) / params.temperature;
        const auto weight = static_cast<double>(std::exp(scaled));
        if (weight > 0) {
            scratch.candidates.push_back({static_cast<int32_t>(i), logits[i], weight});
        }
    }
    keep_top_k(params.top_k, scratch);
    keep_top_p(params.top_p, scratch);
    keep_min_p(params.min_p, scratch);
    return draw(scratch.candidates, params, position);
}

struct Range {
    const char* name;
    double (*value)(const SamplingParams&);
    double low, high;
    bool low_excluded;
};

/// The ranges of the OpenAI API where it has the field, else the neutral reading of the paper.
constexpr Range kRanges[] = {
    {"temperature", [](const SamplingParams& p) { return double{p.temperature}; }, 0, 100, false},
    {"top_k", [](const SamplingParams& p) { return double{static_cast<double>(p.top_k)}; }, 0,
     2147483647, false},
    {"top_p", [](const SamplingParams& p) { return double{p.top_p}; }, 0, 1, false},
    {"min_p", [](const SamplingParams& p) { return double{p.min_p}; }, 0, 1, false},
    {"repetition_penalty", [](const SamplingParams& p) { return double{p.repetition_penalty}; }, 0,
     100, true},
    {"presence_penalty", [](const SamplingParams& p) { return double{p.presence_penalty}; }, -2, 2,
     false},
    {"frequency_penalty", [](const SamplingParams& p) { return double{p.frequency_penalty}; }, -2,
     2, false},
};

}  // namespace

Status SamplingParams::validate() const {
    for (const Range& range : kRanges) {
        const double value = range.value(*this);
        const bool above = range.low_excluded ? value > range.low : value >= range.low;
        if (!(above && value <= range.high)) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: expected {} {} and <= {}, found {:.7g}", range.name,
                              range.low_excluded ? ">" : ">=", range.low, range.high, value);
        }
    }
    return {};
}

SampledToken sample(std::span<const float> logits, const SamplingParams& params, int64_t position,
                    std::span<const int32_t> prompt, std::span<const int32_t> reply) {
    NEREUS_CHECK(!logits.empty());
    thread_local Scratch scratch;
    scratch.logits.resize(logits.size());
    std::transform(logits.begin(), logits.end(), scratch.logits.begin(), usable);
    const float plain_max = *std::max_element(scratch.logits.begin(), scratch.logits.end());
    if (plain_max == kMinusInfinity) {
        return {0, std::numeric_limits<float>::quiet_NaN()};
    }
    const bool penalised = params.repetition_penalty != 1.0F || params.presence_penalty != 0.0F ||
                           params.frequency_penalty != 0.0F;
    if (penalised) {
        apply_penalties(params, prompt, reply, scratch.logits, scratch.counts);
    }
    const int32_t best = argmax(scratch.logits);
    const int32_t id = params.temperature <= 0.0F
                           ? best
                           : sample_from(scratch.logits, scratch.logits[static_cast<size_t>(best)],
                                         params, position, scratch);
    const double plain = static_cast<double>(usable(logits[static_cast<size_t>(id)]));
    return {id, static_cast<float>(plain - log_sum_exp(logits, plain_max))};
}

}  // namespace nereus
