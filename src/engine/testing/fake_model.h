#pragma once
// A model for tests of the engine: no network, but a strict user of the KvCache. Each cached row
// holds its token, and logits are a hash of all tokens the cache shows for the sequence, so a
// wrong, missing or foreign row changes the text at once. Header-only, for test binaries.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "model/model.h"

namespace nereus {

class FakeModel final : public Model {
  public:
    static constexpr int32_t kVocabSize = 97;
    static constexpr int32_t kFailingToken = 96;  ///< in a prompt: forward returns an error
    static constexpr int32_t kNanToken = 95;      ///< as last token: all logits are NaN

    explicit FakeModel(int64_t max_positions = 256, int64_t page_tokens = 8) {
        config_.vocab_size = kVocabSize;
        config_.max_position_embeddings = max_positions;
        page_tokens_ = page_tokens;
    }

    const ModelConfig& config() const override { return config_; }
    KvSpec kv_spec(int64_t max_tokens) const override {
        return {.row_floats = {1, 2}, .page_tokens = page_tokens_, .max_tokens = max_tokens};
    }
    void observe_hidden(HiddenObserver) override {}
    void override_routing(RoutingSource*) override {}
    int64_t bytes_per_token() const override { return 0; }

    Result<ConstRows> forward(const Batch& batch, KvCache& cache) override {
        wait_at_gate();
        for (const int32_t token : batch.tokens) {
            if (token == kFailingToken) {
                return make_error(ErrorCode::kIo, "the disk went away");
            }
        }
        std::map<int32_t, int64_t> n_rows;
        for (const int32_t slot : batch.slots) {
            ++n_rows[slot];
        }
        for (const auto& [slot, n] : n_rows) {
            NEREUS_CHECK(cache.append(slot, n).ok());  // the engine reserved the room
        }
        write_rows(batch, n_rows, cache);
        logits_.clear();
        for (const int32_t row : batch.logit_rows) {
            push_logits(batch.slots[static_cast<size_t>(row)],
                        batch.positions[static_cast<size_t>(row)],
                        batch.tokens[static_cast<size_t>(row)], cache);
        }
        n_forwarded += static_cast<int64_t>(batch.tokens.size());
        n_rows_max = std::max<int64_t>(n_rows_max, static_cast<int64_t>(batch.tokens.size()));
        ++n_steps;
        return ConstRows(logits_.data(), static_cast<int64_t>(batch.logit_rows.size()), kVocabSize,
                         kVocabSize);
    }

    /// A closed gate stops the engine thread at its next step.
    void close_gate() { set_gate(true); }
    void open_gate() { set_gate(false); }
    /// Waits until the engine thread stands at the gate.
    void wait_until_blocked() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return blocked_; });
    }

    std::atomic<int64_t> n_forwarded = 0, n_steps = 0, n_rows_max = 0;

  private:
    void set_gate(bool closed) {
        const std::lock_guard lock(mutex_);
        closed_ = closed;
        changed_.notify_all();
    }
    void wait_at_gate() {
        std::unique_lock lock(mutex_);
        blocked_ = closed_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !closed_; });
        blocked_ = false;
    }
    static void write_rows(const Batch& batch, const std::map<int32_t, int64_t>& n_rows,
                           KvCache& cache) {
        std::map<int32_t, int64_t> next;
        for (const auto& [slot, n] : n_rows) {
            next[slot] = cache.length(slot) - n;
        }
        for (size_t i = 0; i < batch.tokens.size(); ++i) {
            const int32_t slot = batch.slots[i];
            NEREUS_CHECK(batch.positions[i] == next[slot]);
            const int64_t position = next[slot]++;
            *cache.row(0, slot, position) = static_cast<float>(batch.tokens[i]);
            cache.row(1, slot, position)[1] = static_cast<float>(position);
        }
    }
    void push_logits(int32_t slot, int64_t position, int32_t token, KvCache& cache) {
        uint64_t hash = 1;
        for (int64_t p = 0; p <= position; ++p) {
            const float cached = *cache.read(0, slot, p);
            hash = random_bits(hash, static_cast<uint64_t>(cached), static_cast<uint64_t>(p));
        }
        for (int32_t id = 0; id < kVocabSize; ++id) {
            const double unit = random_unit(hash, 5, static_cast<uint64_t>(id));
            // Replies stay clear of the two tokens with a special meaning.
            const bool special = id == kFailingToken || id == kNanToken;
            logits_.push_back(token == kNanToken ? std::numeric_limits<float>::quiet_NaN()
                              : special          ? -1000.0F
                                                 : static_cast<float>(unit * 6));
        }
    }

    ModelConfig config_;
    int64_t page_tokens_;
    std::vector<float> logits_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false, blocked_ = false;
};

}  // namespace nereus
