#pragma once
// Times a model's prefill and decode at a context length and batch size, and counts what each has
// to read and compute: what `nereus bench` and `nereus_bench model` print.

#include <cstdint>
#include <vector>

#include "apps/open.h"
#include "base/json.h"
#include "base/result.h"

namespace nereus {

/// Values of repeated runs.
struct Speeds {
    std::vector<double> values;

    double median() const;
    double low() const;
    double high() const;
    /// Of one run of n_tokens.
    double mean_seconds(int64_t n_tokens) const;
};

/// One measurement: every sequence has n_context cached tokens, then prefills n_prompt and decodes
/// n_generate, all sequences in one batch.
struct TimingPlan {
    int64_t n_context = 0;
    int64_t n_prompt = 128;   ///< of each sequence; at least 1
    int64_t n_generate = 64;  ///< of each sequence; at least 1
    int64_t n_sequences = 1;
    int64_t n_repeat = 5;  ///< after one warm-up
    int64_t chunk = 0;     ///< tokens of one forward in prefill; 0: as the model likes

    int64_t tokens_each() const { return n_context + n_prompt + n_generate; }
};

/// Tokens a second over all sequences, and what the timed runs read of experts on disk.
struct ModelTiming {
    Speeds prefill, decode;
    ExpertBankStats prefill_experts, decode_experts;  ///< summed over the runs
    double drive_bytes_per_second = 0;  ///< measured right after them; 0: nothing was read
};

/// Tokens a second that the drive and the processor allow when they work at the same time: the
/// longer of reading what was missing at the drive's speed and of computing as long as this run
/// did (all its time but the waiting). 0 where nothing was read.
double streaming_limit(const Speeds& speeds, const ExpertBankStats& sum, int64_t n_tokens,
                       double drive_bytes_per_second);

/// Runs the plan. The cached rows of the context are filled with small random numbers: attention's
/// cost depends on how many rows there are, not on what is in them.
/// errors: out_of_memory (the plan does not fit the model's context; the numbers are named), those
/// of forward
Result<ModelTiming> time_model(const OpenedModel& opened, const TimingPlan& plan);

/// Bytes that one decode step of all sequences has to read, on average over the plan.
struct StepBytes {
    double weights = 0;  ///< dense parts once; routed experts by the expected union
    double cache = 0;    ///< every sequence's visible rows
};
StepBytes decode_step_bytes(const OpenedModel& opened, const TimingPlan& plan);

/// Experts that n_tokens choosing top_k of n_experts each, independently and evenly, touch on
/// average: n (1 - (1 - k/n)^tokens).
double expected_experts(int64_t n_experts, int64_t top_k, int64_t n_tokens);

/// Multiply-adds of a prefilled token, on average over the prompt: weights passed through (the head
/// only where logits are wanted, so not counted) and attention over the visible rows.
double prefill_multiply_adds(const ModelConfig& config, const TimingPlan& plan);

/// The fields of a plan's result beside tokens/s; the same words wherever they are printed.
Json timing_json(const OpenedModel& opened, const TimingPlan& plan, const ModelTiming& timing);

}  // namespace nereus
