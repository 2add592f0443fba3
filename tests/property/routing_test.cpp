// Recorded routing played to a model: the router's own choice changes nothing, another one does,
// every sequence walks through the trace on its own.

#include <gtest/gtest.h>

#include "model/routing_source.h"
#include "tests/support/tiny_model.h"

namespace nereus::test {
namespace {

Json config(int64_t n_experts = 8, int64_t top_k = 3) {
    return {{"model_type", "deepseek_v2"},
            {"vocab_size", 40},
            {"hidden_size", 32},
            {"intermediate_size", 48},
            {"moe_intermediate_size", 16},
            {"num_hidden_layers", 4},
            {"num_attention_heads", 2},
            {"kv_lora_rank", 16},
            {"q_lora_rank", nullptr},
            {"qk_nope_head_dim", 8},
            {"qk_rope_head_dim", 4},
            {"v_head_dim", 8},
            {"n_routed_experts", n_experts},
            {"n_shared_experts", 1},
            {"num_experts_per_tok", top_k},
            {"first_k_dense_replace", 1},
            {"topk_method", "greedy"},
            {"scoring_func", "softmax"},
            {"norm_topk_prob", false},
            {"max_position_embeddings", 512}};
}

/// A trace of one sequence for config(), filled by whoever makes it.
RoutingTrace empty_trace(int64_t n_tokens) {
    RoutingTrace trace;
    trace.n_layers = 3;
    trace.n_experts = 8;
    trace.top_k = 3;
    trace.first_layer = 1;
    trace.sequence_begins = {0, n_tokens};
    trace.ids.resize(static_cast<size_t>(n_tokens * 9));
    trace.gates.resize(trace.ids.size());
    return trace;
}

/// Leaves the router's choice as it is and writes it down; one sequence, one token a pass.
class Recorder final : public RoutingSource {
  public:
    explicit Recorder(int64_t n_tokens) : trace(empty_trace(n_tokens)) {}
    void choose(int64_t layer, const Batch& batch, std::span<int32_t> ids,
                std::span<float> gates) override {
        const size_t at = static_cast<size_t>(batch.positions[0] * 9 + (layer - 1) * 3);
        for (size_t i = 0; i < 3; ++i) {
            trace.ids[at + i] = static_cast<uint8_t>(ids[i]);
            trace.gates[at + i] = gates[i];
        }
    }
    RoutingTrace trace;
};

const std::vector<int32_t> kTokens = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};

std::vector<float> logits_of(Loaded& loaded, int64_t chunk) {
    const int32_t slot = must(loaded.cache->add_sequence());
    std::vector<float> logits = run_tokens(loaded, slot, kTokens, chunk);
    loaded.cache->remove_sequence(slot);
    return logits;
}

TEST(ReplayedRouting, the_routers_own_choice_gives_the_same_bits_in_any_chunks) {
    const TinyModel tiny(config(), 5);
    Loaded loaded = tiny.open();
    const std::vector<float> expected = logits_of(loaded, 1);
    Recorder recorder(static_cast<int64_t>(kTokens.size()));
    loaded.model->override_routing(&recorder);
    EXPECT_EQ(logits_of(loaded, 1), expected) << "to look on changes nothing";
    for (const int64_t chunk : {1, 5, 12}) {
        const auto replayed = must(replay_routing(recorder.trace, loaded.model->config()));
        loaded.model->override_routing(replayed.get());
        EXPECT_EQ(logits_of(loaded, chunk), expected) << "chunks of " << chunk;
    }
    loaded.model->override_routing(nullptr);
    EXPECT_EQ(logits_of(loaded, 4), expected);
}

TEST(ReplayedRouting, another_choice_gives_other_logits) {
    const TinyModel tiny(config(), 5);
    Loaded loaded = tiny.open();
    const std::vector<float> expected = logits_of(loaded, 3);
    Recorder recorder(static_cast<int64_t>(kTokens.size()));
    loaded.model->override_routing(&recorder);
    logits_of(loaded, 1);
    for (uint8_t& id : recorder.trace.ids) {
        id = static_cast<uint8_t>((id + 1) % 8);  // distinct ids stay distinct
    }
    const auto other = must(replay_routing(recorder.trace, loaded.model->config()));
    loaded.model->override_routing(other.get());
    EXPECT_NE(logits_of(loaded, 3), expected);
}

/// What a source says for a batch of these slots in the given layer: first id of every row.
std::vector<int32_t> first_ids(RoutingSource& source, const std::vector<int32_t>& slots,
                               int64_t layer) {
    Batch batch;
    batch.slots = slots;
    std::vector<int32_t> ids(slots.size() * 3);
    std::vector<float> gates(ids.size());
    source.choose(layer, batch, ids, gates);
    std::vector<int32_t> first;
    for (size_t i = 0; i < ids.size(); i += 3) {
        first.push_back(ids[i]);
    }
    return first;
}

/// Two sequences of 2 and 3 tokens; the first id of token t in recorded layer l is (t + l) % 8.
RoutingTrace numbered_trace() {
    RoutingTrace trace = empty_trace(5);
    trace.sequence_begins = {0, 2, 5};
    for (size_t i = 0; i < trace.ids.size(); ++i) {
        trace.ids[i] = static_cast<uint8_t>((i / 9 + i / 3 % 3 + i % 3) % 8);
    }
    return trace;
}

TEST(ReplayedRouting, a_slot_begins_at_its_sequence_and_goes_round_at_the_end) {
    const TinyModel tiny(config(), 5);
    const auto source = must(replay_routing(numbered_trace(), tiny.config()));
    const std::vector<int32_t> both = {0, 1};
    EXPECT_EQ(first_ids(*source, both, 1), (std::vector<int32_t>{0, 2}));
    EXPECT_EQ(first_ids(*source, both, 2), (std::vector<int32_t>{1, 3})) << "the same tokens";
    EXPECT_EQ(first_ids(*source, both, 3), (std::vector<int32_t>{2, 4}));
    EXPECT_EQ(first_ids(*source, {1, 1, 1, 0}, 1), (std::vector<int32_t>{3, 4, 0, 1}));
    EXPECT_EQ(first_ids(*source, {2}, 1), (std::vector<int32_t>{0})) << "sequence 2 of 2 is 0";
}

TEST(ReplayedRouting, a_trace_of_another_model_is_refused_with_both_shapes) {
    const TinyModel tiny(config(), 5);
    const auto message = [&](const std::function<void(RoutingTrace&)>& change) {
        RoutingTrace trace = numbered_trace();
        change(trace);
        const auto source = replay_routing(trace, tiny.config());
        return source.ok() ? std::string("accepted") : source.error().message;
    };
    const std::string model = "the model has 3 from 1 on, 3 of 8";
    EXPECT_EQ(message([](RoutingTrace&) {}), "accepted");
    for (const auto& change : std::vector<std::function<void(RoutingTrace&)>>{
             [](RoutingTrace& t) { t.n_layers = 26; }, [](RoutingTrace& t) { t.first_layer = 0; },
             [](RoutingTrace& t) { t.n_experts = 64; }, [](RoutingTrace& t) { t.top_k = 6; }}) {
        EXPECT_NE(message(change).find(model), std::string::npos) << message(change);
    }
}

TEST(ReplayedRouting, a_model_without_experts_takes_no_trace) {
    Json dense = config();
    dense["first_k_dense_replace"] = 4;
    const TinyModel tiny(dense, 5);
    const auto source = replay_routing(numbered_trace(), tiny.config());
    ASSERT_FALSE(source.ok());
    EXPECT_EQ(source.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(source.error().message.find("the model has 0"), std::string::npos);
}

}  // namespace
}  // namespace nereus::test
