// Steady decoding allocates nothing in engine and model: every buffer of a step is kept for the
// next one (a cache page every 64 tokens excepted). The whole binary's operator new counts calls,
// of all threads; not under sanitizers, whose runtimes bring their own.

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NEREUS_OPERATORS_TAKEN
#endif
#endif

#ifndef NEREUS_OPERATORS_TAKEN

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "base/check.h"
#include "engine/engine.h"
#include "tests/support/tiny_model.h"

namespace {

std::atomic<int64_t> n_allocations = 0;

void* counted(size_t n_bytes, size_t alignment) {
    n_allocations.fetch_add(1, std::memory_order_relaxed);
    void* data = std::aligned_alloc(alignment, (n_bytes + alignment - 1) / alignment * alignment);
    if (data == nullptr) {
        throw std::bad_alloc();
    }
    return data;
}

}  // namespace

// Not inlined: GCC would see free() of what an operator new returned and object.
[[gnu::noinline]] void* operator new(size_t n_bytes) {
    return counted(std::max<size_t>(n_bytes, 1), 16);
}
[[gnu::noinline]] void* operator new[](size_t n_bytes) {
    return counted(std::max<size_t>(n_bytes, 1), 16);
}
[[gnu::noinline]] void* operator new(size_t n_bytes, std::align_val_t alignment) {
    return counted(std::max<size_t>(n_bytes, 1), static_cast<size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* data) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete[](void* data) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete(void* data, size_t) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete[](void* data, size_t) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete(void* data, std::align_val_t) noexcept { std::free(data); }
[[gnu::noinline]] void operator delete(void* data, size_t, std::align_val_t) noexcept {
    std::free(data);
}

namespace nereus::test {
namespace {

/// Logits that never end a reply, and the count of allocations at each forward pass.
class QuietModel final : public Model {
  public:
    QuietModel() : logits_(64 * 8), steps_(1000) {
        config_.vocab_size = 64;
        config_.max_position_embeddings = 1000;
        for (size_t i = 0; i < logits_.size(); ++i) {
            logits_[i] = static_cast<float>(i % 64) / 16;
        }
    }
    const ModelConfig& config() const override { return config_; }
    KvSpec kv_spec(int64_t max_tokens) const override {
        return {.row_floats = {1}, .page_tokens = 1000, .max_tokens = max_tokens};
    }
    void observe_hidden(HiddenObserver) override {}
    void override_routing(RoutingSource*) override {}
    int64_t bytes_per_token() const override { return 0; }
    Result<ConstRows> forward(const Batch& batch, KvCache& cache) override {
        for (const int32_t slot : batch.slots) {
            NEREUS_CHECK(cache.append(slot, 1).ok());
        }
        // Readers keep up, so that no queue has to grow.
        while (n_read.load() < n_produced_) {
            std::this_thread::yield();
        }
        n_produced_ += static_cast<int64_t>(batch.logit_rows.size());
        steps_[static_cast<size_t>(n_steps_++)] = n_allocations.load();
        return ConstRows(logits_.data(), static_cast<int64_t>(batch.logit_rows.size()), 64, 64);
    }
    /// Allocations from one step to another.
    int64_t between(size_t first, size_t last) const { return steps_[last] - steps_[first]; }

    std::atomic<int64_t> n_read = 0;  ///< tokens, by the readers

  private:
    ModelConfig config_;
    std::vector<float> logits_;
    std::vector<int64_t> steps_;
    int n_steps_ = 0;
    int64_t n_produced_ = 0;
};

TEST(Allocations, the_engine_makes_none_in_a_hundred_steps_of_three_replies) {
    QuietModel model;
    auto engine = must(Engine::create(model, {.max_running = 3}));
    std::vector<std::unique_ptr<TokenStream>> streams;
    for (uint64_t seed = 0; seed < 3; ++seed) {
        streams.push_back(must(engine->submit(
            {.prompt = {1},
             .sampling = {.top_k = 20, .top_p = 0.9F, .repetition_penalty = 1.1F, .seed = seed},
             .max_new_tokens = 400})));
    }
    for (bool open = true; open;) {
        open = false;
        for (auto& stream : streams) {
            const auto event = stream->next_for(0);
            model.n_read += event && event->kind == StreamEvent::Kind::kToken ? 1 : 0;
            open = open || !stream->finished();
        }
    }
    // The first steps admit and warm up; page_tokens is above all lengths, so no page is taken.
    EXPECT_EQ(model.between(100, 200), 0);
    EXPECT_EQ(model.between(200, 390), 0);
}

struct Case {
    const char* name;
    const char* config;
};

constexpr Case kCases[] = {
    {"v3", R"({"model_type": "deepseek_v3", "vocab_size": 17, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2,
        "q_lora_rank": 9, "kv_lora_rank": 11, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
        "v_head_dim": 5, "n_routed_experts": 8, "n_group": 4, "topk_group": 2,
        "num_experts_per_tok": 3, "n_shared_experts": 1, "moe_intermediate_size": 7,
        "first_k_dense_replace": 1, "norm_topk_prob": true, "scoring_func": "sigmoid",
        "topk_method": "noaux_tc"})"},
    {"qwen2", R"({"model_type": "qwen2", "vocab_size": 17, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2})"}};

class ForwardAllocations : public testing::TestWithParam<Case> {};

TEST_P(ForwardAllocations, a_decode_step_within_a_page_makes_at_most_one_a_layer) {
    const TinyModel tiny(must(parse_json(GetParam().config, GetParam().name)), 1);
    Loaded loaded = tiny.open(2);
    std::vector<int32_t> slots;
    for (int i = 0; i < 3; ++i) {
        slots.push_back(must(loaded.cache->add_sequence()));
    }
    Batch batch{{1, 2, 3}, {0, 0, 0}, slots, {0, 1, 2}};
    constexpr int64_t kSteps = 52;
    int64_t n_in_steady_state = 0;
    for (int32_t position = 0; position < 8 + kSteps; ++position) {
        batch.positions.assign(3, position);
        const int64_t before = n_allocations.load();
        ASSERT_TRUE(loaded.model->forward(batch, *loaded.cache).ok());
        n_in_steady_state += position < 8 ? 0 : n_allocations.load() - before;
    }
    // One a layer is the backend's: the std::function of attention's parallel_for.
    EXPECT_LE(n_in_steady_state, kSteps * tiny.config().num_hidden_layers);
}

INSTANTIATE_TEST_SUITE_P(families, ForwardAllocations, testing::ValuesIn(kCases),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace nereus::test

#endif  // NEREUS_OPERATORS_TAKEN
