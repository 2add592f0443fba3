#include "engine/internal/core.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace nereus {
namespace {

double milliseconds(EngineClock::duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

/// The longest the sequence can become.
int64_t n_tokens_max(const Request& request, const EngineLimits& limits) {
    const auto n_prompt = static_cast<int64_t>(request.prompt.size());
    return request.max_new_tokens == 0
               ? limits.context_tokens
               : std::min(limits.context_tokens, n_prompt + request.max_new_tokens);
}

StreamEvent prefill_event(const Job& job) {
    const auto n_prompt = static_cast<int64_t>(job.request.prompt.size());
    return {.kind = StreamEvent::Kind::kPrefill, .n_prefilled = job.n_cached, .n_prompt = n_prompt};
}

}  // namespace

EngineCore::EngineCore(Model& model, std::unique_ptr<KvCache> cache, const EngineLimits& limits)
    : model_(model), limits_(limits), book_(std::move(cache)) {}

bool EngineCore::admit(std::unique_ptr<Job>& job) {
    if (running_.size() >= static_cast<size_t>(limits_.max_running)) {
        return false;
    }
    if (job->tokens.empty()) {
        // Four bytes a token beside the thousands that the cache keeps for it.
        job->tokens.reserve(static_cast<size_t>(n_tokens_max(job->request, limits_)));
        job->tokens = job->request.prompt;
    }
    const auto place = book_.place(job->tokens, n_tokens_max(job->request, limits_));
    if (!place.has_value()) {
        return false;
    }
    job->id = next_id_++;
    job->slot = place->slot;
    job->n_cached = place->n_cached;
    metrics_.tokens_reused += place->n_cached;
    if (job->prefilling()) {
        job->admitted_at = EngineClock::now();
        job->stats.n_prompt = static_cast<int64_t>(job->request.prompt.size());
        job->stats.n_cached = place->n_cached;
        job->events->push(prefill_event(*job), job->stats);
    }
    running_.push_back(std::move(job));
    return true;
}

void EngineCore::finish(Job& job, FinishReason reason, Error error) {
    int64_t EngineMetrics::* const counters[] = {
        &EngineMetrics::requests_finished, &EngineMetrics::requests_finished,
        &EngineMetrics::requests_cancelled, &EngineMetrics::requests_failed};
    ++(metrics_.*counters[static_cast<size_t>(reason)]);
    job.events->finish(
        {.kind = StreamEvent::Kind::kFinished, .reason = reason, .error = std::move(error)},
        job.stats);
}

void EngineCore::release_rows(Job& job, bool rows_are_good) {
    if (!rows_are_good) {
        book_.drop(job.slot);
        return;
    }
    const auto end = job.tokens.begin() + static_cast<std::ptrdiff_t>(job.n_cached);
    book_.keep(job.slot, std::vector<int32_t>(job.tokens.begin(), end));
}

void EngineCore::end_running(size_t index, FinishReason reason, Error error) {
    release_rows(*running_[index], reason != FinishReason::kError);
    finish(*running_[index], reason, std::move(error));
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
}

void EngineCore::cancel(Job& job) { finish(job, FinishReason::kCancelled); }

std::vector<std::unique_ptr<Job>> EngineCore::sweep() {
    for (size_t i = running_.size(); i-- > 0;) {
        if (running_[i]->events->cancelled()) {
            end_running(i, FinishReason::kCancelled);
        } else if (running_[i]->events->full()) {
            release_rows(*running_[i], true);
            parked_.push_back(std::move(running_[i]));
            running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
            ++metrics_.n_parked;
        }
    }
    std::vector<std::unique_ptr<Job>> ready;
    for (auto& job : parked_) {
        if (job->events->cancelled()) {
            cancel(*job);
            job.reset();
        } else if (job->events->drained()) {
            ready.push_back(std::move(job));
        }
    }
    std::erase(parked_, nullptr);
    return ready;
}

bool EngineCore::step() {
    views_.clear();
    for (const auto& job : running_) {
        views_.push_back({job->id, job->slot, job->tokens, job->n_cached});
    }
    plan_step(views_, limits_.prefill_chunk, turn_, plan_);
    turn_ = plan_.next_turn;
    if (plan_.batch.tokens.empty()) {
        return false;
    }
    ++metrics_.n_steps;
    const Result<ConstRows> logits = model_.forward(plan_.batch, book_.cache());
    if (!logits.ok()) {
        fail_batch(logits.error());
        return true;
    }
    for (size_t i = 0; i < running_.size(); ++i) {
        note_rows(*running_[i], plan_.n_rows[i]);
    }
    take_logits(*logits);
    return true;
}

void EngineCore::note_rows(Job& job, int64_t n_rows) {
    job.n_cached += n_rows;
    if (job.prefilling() && n_rows > 0) {
        metrics_.tokens_prefilled += n_rows;
        job.events->push(prefill_event(job), job.stats);
    }
}

void EngineCore::fail_batch(const Error& error) {
    for (size_t i = running_.size(); i-- > 0;) {
        if (plan_.n_rows[i] > 0) {
            end_running(i, FinishReason::kError, error);
        }
    }
}

void EngineCore::take_logits(ConstRows logits) {
    NEREUS_CHECK(logits.n_rows == static_cast<int64_t>(plan_.logit_owners.size()));
    ended_.clear();
    for (size_t i = 0; i < plan_.logit_owners.size(); ++i) {
        Job& job = *running_[plan_.logit_owners[i]];
        const std::span<const float> row(logits.row(static_cast<int64_t>(i)),
                                         static_cast<size_t>(logits.n_cols));
        const SampledToken token =
            sample(row, job.request.sampling, static_cast<int64_t>(job.tokens.size()),
                   job.request.prompt, job.reply());
        if (const auto reason = take_token(job, token)) {
            ended_.emplace_back(plan_.logit_owners[i], *reason);
        }
    }
    std::sort(ended_.begin(), ended_.end());
    for (size_t i = ended_.size(); i-- > 0;) {
        const auto [index, reason] = ended_[i];
        Error error;
        if (reason == FinishReason::kError) {
            error = make_error(ErrorCode::kCorrupt,
                               "the model gave no finite logit at position {}: are its weights "
                               "damaged?",
                               running_[index]->tokens.size());
        }
        end_running(index, reason, std::move(error));
    }
}

std::optional<FinishReason> EngineCore::take_token(Job& job, SampledToken token) {
    if (std::isnan(token.logprob)) {
        return FinishReason::kError;
    }
    const auto now = EngineClock::now();
    RequestStats& stats = job.stats;
    if (stats.n_generated == 0) {
        job.first_token_at = now;
        stats.prefill_ms = milliseconds(now - job.admitted_at);
        stats.first_token_ms = milliseconds(now - job.submitted_at);
    }
    stats.decode_ms = milliseconds(now - job.first_token_at);
    ++stats.n_generated;
    ++metrics_.tokens_generated;
    job.tokens.push_back(token.id);
    job.events->push({.kind = StreamEvent::Kind::kToken, .token = token}, stats);
    const auto& stop_ids = job.request.stop_ids;
    if (std::find(stop_ids.begin(), stop_ids.end(), token.id) != stop_ids.end()) {
        return FinishReason::kStop;
    }
    const bool full = static_cast<int64_t>(job.tokens.size()) >= n_tokens_max(job.request, limits_);
    return full ? std::optional(FinishReason::kLength) : std::nullopt;
}

void EngineCore::cancel_all() {
    for (size_t i = running_.size(); i-- > 0;) {
        end_running(i, FinishReason::kCancelled);
    }
    for (auto& job : parked_) {
        cancel(*job);
    }
    parked_.clear();
}

const EngineMetrics& EngineCore::metrics() {
    metrics_.running_now = static_cast<int32_t>(running_.size());
    metrics_.kept_now = book_.n_kept();
    metrics_.n_evicted = book_.n_evicted();
    return metrics_;
}

}  // namespace nereus
