// The layer loop: tokens to logits on one screen.

#include <algorithm>

#include "model/blocks/loaded_model.h"

namespace nereus {
namespace {

/// How many tokens each sequence of the batch gains; checks order and ranges.
Status count_new_rows(const Batch& batch, const ModelConfig& config, const KvCache& cache,
                      RowGains& gains) {
    NEREUS_CHECK(batch.positions.size() == batch.tokens.size());
    NEREUS_CHECK(batch.slots.size() == batch.tokens.size());
    gains.clear();
    for (size_t i = 0; i < batch.tokens.size(); ++i) {
        if (batch.tokens[i] < 0 || batch.tokens[i] >= config.vocab_size) {
            return make_error(ErrorCode::kInvalidArgument,
                              "token id {} at index {} is outside the vocabulary of {}",
                              batch.tokens[i], i, config.vocab_size);
        }
        const int64_t length = cache.length(batch.slots[i]);
        const int64_t expected = length + gains.add_one(batch.slots[i]);
        if (batch.positions[i] != expected) {
            return make_error(ErrorCode::kInvalidArgument,
                              "token {} has position {}, its sequence continues at {}", i,
                              batch.positions[i], expected);
        }
    }
    return {};
}

void take_back(const RowGains& gains, std::span<const int32_t> slots, KvCache& cache) {
    for (const int32_t slot : slots) {
        cache.truncate(slot, cache.length(slot) - gains.of(slot));
    }
}

/// Makes room for all sequences or for none.
Status append_rows(const RowGains& gains, KvCache& cache) {
    const std::span<const int32_t> slots = gains.slots();
    for (size_t i = 0; i < slots.size(); ++i) {
        Status appended = cache.append(slots[i], gains.of(slots[i]));
        if (!appended.ok()) {
            take_back(gains, slots.first(i), cache);
            return appended;
        }
    }
    return {};
}

}  // namespace

Result<ConstRows> LoadedModel::forward(const Batch& batch, KvCache& cache) {
    NEREUS_TRY(count_new_rows(batch, config_, cache, gains_));
    NEREUS_TRY(append_rows(gains_, cache));
    int32_t last = 0;
    for (const int32_t position : batch.positions) {
        last = std::max(last, position);
    }
    rope_.ensure(last + 1);
    Status done = run_layers(batch, cache);
    if (!done.ok()) {
        take_back(gains_, gains_.slots(), cache);
        return std::move(done).error();
    }
    return project_logits(batch);
}

Status LoadedModel::run_layers(const Batch& batch, KvCache& cache) {
    const auto n = static_cast<int64_t>(batch.tokens.size());
    const Rows hidden = scratch_.rows(Scratch::kHidden, n, config_.hidden_size);
    const Rows normed = scratch_.rows(Scratch::kNormed, n, config_.hidden_size);
    const Rows block_out = scratch_.rows(Scratch::kBlockOut, n, config_.hidden_size);
    Pass pass{backend_, batch,    cache,   scratch_, rope_,   *experts_,
              0,        visible_, places_, tasks_,   routing_};

    backend_.embed(embedding_, batch.tokens, hidden);
    observe(0, hidden);
    for (Layer& layer : layers_) {
        backend_.rms_norm(hidden, layer.input_norm, eps(), normed);
        layer.attention->run(pass, normed, block_out);
        backend_.add(block_out, hidden);
        backend_.rms_norm(hidden, layer.post_norm, eps(), normed);
        NEREUS_TRY(layer.ffn->run(pass, normed, block_out));
        backend_.add(block_out, hidden);
        ++pass.layer;
        if (pass.layer < config_.num_hidden_layers) {
            observe(pass.layer, hidden);
        }
    }
    return {};
}

/// Final norm and head, for the rows that want logits.
ConstRows LoadedModel::project_logits(const Batch& batch) {
    const auto n = static_cast<int64_t>(batch.tokens.size());
    const Rows hidden = scratch_.rows(Scratch::kHidden, n, config_.hidden_size);
    if (observer_) {
        const Rows normed = scratch_.rows(Scratch::kNormed, n, config_.hidden_size);
        backend_.rms_norm(hidden, final_norm_, eps(), normed);
        observe(config_.num_hidden_layers, normed);
    }
    const auto n_rows = static_cast<int64_t>(batch.logit_rows.size());
    const Rows chosen = scratch_.rows(Scratch::kLogitHidden, n_rows, config_.hidden_size);
    const Rows logits = scratch_.rows(Scratch::kLogits, n_rows, config_.vocab_size);
    backend_.gather_rows(hidden, batch.logit_rows, chosen);
    backend_.rms_norm(chosen, final_norm_, eps(), chosen);
    const MatmulTask head{head_, chosen, logits};
    backend_.matmul({&head, 1});
    return logits;
}

}  // namespace nereus
