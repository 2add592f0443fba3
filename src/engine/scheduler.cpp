#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace nereus {
namespace {

int64_t rows_missing(const SequenceView& view) {
    return static_cast<int64_t>(view.tokens.size()) - view.n_cached;
}

/// The views with a prompt to read, beginning with the one whose turn it is.
std::vector<size_t> prompts_in_turn(std::span<const SequenceView> views, int64_t turn) {
    std::vector<size_t> prompts;
    for (size_t i = 0; i < views.size(); ++i) {
        if (rows_missing(views[i]) > 1) {
            prompts.push_back(i);
        }
    }
    const auto first =
        std::find_if(prompts.begin(), prompts.end(), [&](size_t i) { return views[i].id >= turn; });
    std::rotate(prompts.begin(), first, prompts.end());
    return prompts;
}

/// Deals `budget` rows to the prompts in equal portions until it or they are used up. Every round
/// that does not end the budget serves everybody, so two prompts that both still wait differ by at
/// most one row. Returns the id to begin with next time.
int64_t deal_rows(std::span<const SequenceView> views, std::vector<size_t> prompts, int64_t budget,
                  int64_t turn, std::vector<int64_t>& n_rows) {
    while (budget > 0 && !prompts.empty()) {
        const int64_t portion = std::max<int64_t>(1, budget / static_cast<int64_t>(prompts.size()));
        for (const size_t i : prompts) {
            const int64_t n = std::min({portion, rows_missing(views[i]) - n_rows[i], budget});
            n_rows[i] += n;
            budget -= n;
            if (n > 0) {
                turn = views[i].id + 1;
            }
        }
        std::erase_if(prompts, [&](size_t i) { return n_rows[i] == rows_missing(views[i]); });
    }
    return turn;
}

void append_rows(const SequenceView& view, size_t index, int64_t n, StepPlan& plan) {
    for (int64_t i = 0; i < n; ++i) {
        const int64_t position = view.n_cached + i;
        plan.batch.tokens.push_back(view.tokens[static_cast<size_t>(position)]);
        plan.batch.positions.push_back(static_cast<int32_t>(position));
        plan.batch.slots.push_back(view.slot);
    }
    if (n > 0 && n == rows_missing(view)) {
        plan.batch.logit_rows.push_back(static_cast<int32_t>(plan.batch.tokens.size() - 1));
        plan.logit_owners.push_back(index);
    }
}

void clear(StepPlan& plan) {
    plan.batch.tokens.clear();
    plan.batch.positions.clear();
    plan.batch.slots.clear();
    plan.batch.logit_rows.clear();
    plan.logit_owners.clear();
}

}  // namespace

void plan_step(std::span<const SequenceView> views, int64_t prefill_chunk, int64_t turn,
               StepPlan& plan) {
    NEREUS_CHECK(prefill_chunk > 0);
    clear(plan);
    plan.n_rows.assign(views.size(), 0);
    for (size_t i = 0; i < views.size(); ++i) {
        NEREUS_CHECK(rows_missing(views[i]) > 0);
        if (rows_missing(views[i]) == 1) {
            plan.n_rows[i] = 1;
            append_rows(views[i], i, 1, plan);
        }
    }
    const std::vector<size_t> prompts = prompts_in_turn(views, turn);
    plan.next_turn = deal_rows(views, prompts, prefill_chunk, turn, plan.n_rows);
    for (const size_t i : prompts) {
        append_rows(views[i], i, plan.n_rows[i], plan);
    }
}

StepPlan plan_step(std::span<const SequenceView> views, int64_t prefill_chunk, int64_t turn) {
    StepPlan plan;
    plan_step(views, prefill_chunk, turn, plan);
    return plan;
}

}  // namespace nereus
