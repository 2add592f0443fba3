// Engine over a real (tiny) model: what a request gets does not depend, to the bit of its log
// probabilities, on what was cached before, on chunks, on threads or on who else is served.

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/tiny_model.h"

namespace nereus::test {
namespace {

struct Case {
    const char* name;
    const char* config;
};

constexpr Case kCases[] = {
    {"v3", R"({"model_type": "deepseek_v3", "vocab_size": 29, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2,
        "q_lora_rank": 9, "kv_lora_rank": 11, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
        "v_head_dim": 5, "n_routed_experts": 8, "n_group": 4, "topk_group": 2,
        "num_experts_per_tok": 3, "n_shared_experts": 1, "moe_intermediate_size": 7,
        "first_k_dense_replace": 1, "norm_topk_prob": true, "scoring_func": "sigmoid",
        "topk_method": "noaux_tc", "max_position_embeddings": 400})"},
    {"llama", R"({"model_type": "llama", "vocab_size": 29, "hidden_size": 24,
        "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 400})"}};

struct Reply {
    std::vector<int32_t> ids;
    std::vector<float> logprobs;
    int64_t n_cached = 0;
};

Reply read_all(TokenStream& stream) {
    Reply reply;
    while (const auto event = stream.next()) {
        if (event->kind == StreamEvent::Kind::kToken) {
            reply.ids.push_back(event->token.id);
            reply.logprobs.push_back(event->token.logprob);
        } else if (event->kind == StreamEvent::Kind::kFinished) {
            EXPECT_EQ(event->reason, FinishReason::kLength) << event->error.message;
        }
    }
    reply.n_cached = stream.stats().n_cached;
    return reply;
}

std::vector<int32_t> tokens_of(uint64_t seed, size_t n) {
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < n; ++i) {
        tokens.push_back(static_cast<int32_t>(random_bits(seed, 8, i) % 29));
    }
    return tokens;
}

class EngineReuse : public testing::TestWithParam<Case> {
  protected:
    EngineReuse() : tiny_(must(parse_json(GetParam().config, GetParam().name)), 3) {}

    Reply fresh(const Request& request) const {
        Loaded loaded = tiny_.open();
        const auto engine =
            must(Engine::create(*loaded.model, {.max_running = 1, .prefill_chunk = 400}));
        return read_all(*must(engine->submit(request)));
    }
    static void expect_same(const Reply& found, const Reply& expected) {
        EXPECT_EQ(found.ids, expected.ids);
        EXPECT_EQ(found.logprobs, expected.logprobs) << "not the same bits";
    }

    TinyModel tiny_;
};

TEST_P(EngineReuse, a_chat_over_cached_turns_has_the_bits_of_a_chat_from_scratch) {
    Loaded loaded = tiny_.open(2);
    const auto engine = must(Engine::create(*loaded.model, {.max_running = 2, .prefill_chunk = 7}));
    std::vector<int32_t> history = tokens_of(1, 40);
    for (uint64_t turn = 0; turn < 5; ++turn) {
        const Request request{.prompt = history,
                              .sampling = {.seed = turn},
                              .max_new_tokens = 12 + 3 * static_cast<int64_t>(turn)};
        const Reply reply = read_all(*must(engine->submit(request)));
        expect_same(reply, fresh(request));
        EXPECT_GE(reply.n_cached, turn == 0 ? 0 : 40);
        history.insert(history.end(), reply.ids.begin(), reply.ids.end());
        const auto next = tokens_of(10 + turn, 5);
        history.insert(history.end(), next.begin(), next.end());
    }
}

TEST_P(EngineReuse, an_edited_prompt_has_the_bits_of_a_new_one_wherever_it_was_edited) {
    Loaded loaded = tiny_.open();
    const auto engine = must(Engine::create(*loaded.model, {.max_running = 1}));
    const auto original = tokens_of(2, 130);  // three pages of 64
    read_all(*must(engine->submit({.prompt = original, .max_new_tokens = 3})));
    for (const size_t at : {129, 128, 127, 64, 63, 1, 0}) {
        Request request{.prompt = original, .sampling = {.seed = at}, .max_new_tokens = 6};
        request.prompt[at] = (request.prompt[at] + 1) % 29;
        const Reply reply = read_all(*must(engine->submit(request)));
        EXPECT_GE(reply.n_cached, static_cast<int64_t>(at));
        expect_same(reply, fresh(request));
    }
}

TEST_P(EngineReuse, requests_served_together_have_the_bits_of_requests_served_alone) {
    for (const int64_t chunk : {1, 13, 256}) {
        Loaded loaded = tiny_.open(2);
        const auto engine =
            must(Engine::create(*loaded.model, {.max_running = 3, .prefill_chunk = chunk}));
        std::vector<Request> requests;
        std::vector<std::unique_ptr<TokenStream>> streams;
        for (uint64_t i = 0; i < 7; ++i) {
            requests.push_back({.prompt = tokens_of(20 + i % 4, 5 + 11 * i),
                                .sampling = {.top_p = 0.9F, .seed = i},
                                .max_new_tokens = static_cast<int64_t>(4 + i)});
            streams.push_back(must(engine->submit(requests.back())));
        }
        for (size_t i = 0; i < requests.size(); ++i) {
            SCOPED_TRACE(testing::Message() << "chunk " << chunk << " request " << i);
            expect_same(read_all(*streams[i]), fresh(requests[i]));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(families, EngineReuse, testing::ValuesIn(kCases),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace nereus::test
