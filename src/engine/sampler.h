#pragma once
// Logits to one token. Random bits come from (seed, position), so a sample does not depend on what
// else is in the batch.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace nereus {

/// Sampling settings; the neutral value of each switches it off. Order of application: penalties,
/// temperature, top_k, top_p, min_p (as in the OpenAI API and Hugging Face).
struct SamplingParams {
    float temperature = 1.0F;  ///< 0: greedy, everything below is ignored but penalties
    int32_t top_k = 0;         ///< 0: all
    float top_p = 1.0F;
    float min_p = 0.0F;
    float repetition_penalty =
        1.0F;  ///< > 1: divides positive, multiplies negative logits of seen ids
    float presence_penalty = 0.0F;   ///< subtracted once for ids in the reply so far
    float frequency_penalty = 0.0F;  ///< subtracted per occurrence in the reply so far
    uint64_t seed = 0;

    /// errors: invalid_argument (names field, range and value; NaN is refused)
    Status validate() const;
};

struct SampledToken {
    int32_t id = 0;
    float logprob = 0;  ///< natural log under the unpenalised, temperature-1 distribution
};

/// position: of the token being drawn; prompt and reply: ids so far, for the penalties.
/// Ties of equal logits go to the lower id. NaN logits count as minus infinity; when no logit is
/// left at all the id is 0 and the logprob NaN, which the engine reports as the model's error.
/// cost: O(V) plus a sort of the candidates that top_p keeps.
/// errors: none. threads: any.
SampledToken sample(std::span<const float> logits, const SamplingParams& params, int64_t position,
                    std::span<const int32_t> prompt, std::span<const int32_t> reply);

}  // namespace nereus
