#pragma once
// What the next forward pass computes: a pure function from the state of the running sequences to a
// Batch. It owns no state, so the engine, a test and a replay see the same plan.

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace nereus {

/// What the scheduler may know of a running sequence.
struct SequenceView {
    int64_t id = 0;                   ///< grows with admission; the views are ascending in it
    int32_t slot = 0;                 ///< of the KvCache
    std::span<const int32_t> tokens;  ///< prompt and reply so far
    int64_t n_cached = 0;             ///< how many of them the cache holds; < tokens.size()
};

struct StepPlan {
    Batch batch;
    /// Index into the views for every logit row, in the order of batch.logit_rows.
    std::vector<size_t> logit_owners;
    /// Rows planned for each view; 0 where the chunk did not reach it.
    std::vector<int64_t> n_rows;
    /// Whose prompt is served first in the next step.
    int64_t next_turn = 0;
};

/// Continuous batching with chunked prefill. A sequence that lacks one row (it decodes) gets it,
/// first in the batch, so a long prompt never stops somebody's reply. Sequences that lack more
/// share prefill_chunk rows evenly, dealt from the view with id >= turn onwards, so that neither a
/// long prompt nor an early one can starve another. Logits are asked for where the last token is
/// included. threads: any.
StepPlan plan_step(std::span<const SequenceView> views, int64_t prefill_chunk, int64_t turn);

/// The same plan, in the memory of an earlier one: a steady decode allocates nothing.
void plan_step(std::span<const SequenceView> views, int64_t prefill_chunk, int64_t turn,
               StepPlan& plan);

}  // namespace nereus
