// Every golden model against the reference's logits and greedy continuation: whole, chunked and
// token by token, in every kernel table of this machine.

#include "tests/support/golden.h"

namespace nereus::test {
namespace {

constexpr const char* kModels[] = {"v2_lite", "v2_group", "v3",    "v3_norope",
                                   "v3_fp8",  "v3_long",  "qwen2", "llama3"};
constexpr double kBound = 2e-4;  // of logits_std: the promise of the project

class GoldenModel : public testing::TestWithParam<const char*> {
  protected:
    std::string folder() const { return std::string("tests/golden/") + GetParam(); }
};

TEST_P(GoldenModel, logits_equal_the_reference_at_every_position_in_every_kernel_table) {
    const Golden golden(GetParam());
    for (const std::string& isa : available_isas()) {
        Loaded loaded = load(folder(), 2, isa);
        const std::vector<float> logits = run_fresh(loaded, golden.tokens, 512);
        EXPECT_LE(max_difference(logits, golden.logits), kBound * golden.logits_std) << isa;
    }
}

TEST_P(GoldenModel, the_greedy_continuation_is_the_references_token_for_token) {
    const Golden golden(GetParam());
    Loaded loaded = load(folder(), 2);
    EXPECT_EQ(run_greedy(loaded, golden.tokens, golden.greedy.size()), golden.greedy);
}

TEST_P(GoldenModel, logits_have_the_same_bits_for_any_chunk_size_thread_count_and_table) {
    Golden golden(GetParam());
    golden.tokens.resize(std::min<size_t>(golden.tokens.size(), 200));
    Loaded first = load(folder(), 1, "portable");
    const std::vector<float> expected = run_fresh(first, golden.tokens, 1 << 20);
    for (const std::string& isa : available_isas()) {
        for (const int n_threads : {1, 2}) {
            Loaded loaded = load(folder(), n_threads, isa);
            for (const int64_t chunk : {1, 7, 64, 1 << 20}) {
                EXPECT_EQ(run_fresh(loaded, golden.tokens, chunk), expected)
                    << isa << " threads " << n_threads << " chunk " << chunk;
            }
        }
    }
}

TEST_P(GoldenModel, logits_have_the_same_bits_alone_and_in_batches_of_up_to_eight) {
    const Golden golden(GetParam());
    Loaded loaded = load(folder(), 2);
    const int64_t vocab = loaded.model->config().vocab_size;
    const std::vector<int32_t> prompt(golden.tokens.begin(), golden.tokens.begin() + 12);
    const std::vector<float> alone = run_fresh(loaded, prompt, 4);
    for (int32_t n = 1; n <= 8; ++n) {
        std::vector<int32_t> slots;
        for (int32_t s = 0; s < n; ++s) {
            slots.push_back(must(loaded.cache->add_sequence()));
        }
        // Sequence s is s tokens behind, so that every step mixes positions.
        std::vector<float> of_last;
        for (int32_t step = 0; step < 12 + n - 1; ++step) {
            Batch batch;
            for (int32_t s = 0; s < n; ++s) {
                const int32_t position = step - s;
                if (position >= 0 && position < 12) {
                    batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
                    batch.tokens.push_back(prompt[static_cast<size_t>(position)]);
                    batch.positions.push_back(position);
                    batch.slots.push_back(slots[static_cast<size_t>(s)]);
                }
            }
            const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
            if (step >= n - 1) {
                of_last.insert(of_last.end(), out.row(out.n_rows - 1),
                               out.row(out.n_rows - 1) + vocab);
            }
        }
        EXPECT_EQ(of_last, alone) << "batch of " << n;
        for (const int32_t slot : slots) {
            loaded.cache->remove_sequence(slot);
        }
    }
}

TEST_P(GoldenModel, decode_after_truncate_and_after_fork_equals_a_fresh_prefill) {
    const Golden golden(GetParam());
    Loaded loaded = load(folder(), 1);
    const std::vector<int32_t> prompt(golden.tokens.begin(), golden.tokens.begin() + 20);
    const std::vector<float> expected = run_fresh(loaded, prompt, 20);
    const int32_t slot = must(loaded.cache->add_sequence());
    run_tokens(loaded, slot, {golden.tokens.begin(), golden.tokens.begin() + 11}, 11);
    run_tokens(loaded, slot, {1, 2, 3}, 3);
    loaded.cache->truncate(slot, 11);
    const int32_t other = must(loaded.cache->fork(slot));
    const std::vector<int32_t> rest(prompt.begin() + 11, prompt.end());
    const size_t tail = rest.size() * static_cast<size_t>(loaded.model->config().vocab_size);
    const std::vector<float> wanted(expected.end() - static_cast<std::ptrdiff_t>(tail),
                                    expected.end());
    EXPECT_EQ(run_tokens(loaded, slot, rest, 3), wanted);
    EXPECT_EQ(run_tokens(loaded, other, rest, 9), wanted);
}

TEST_P(GoldenModel, hidden_states_equal_the_reference_after_every_layer) {
    const Golden golden(GetParam());
    Loaded loaded = load(folder(), 2);
    const std::string path = source_path(folder() + "/hidden.safetensors");
    const std::string bytes = must(read_file(path, 1 << 26));
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof(header));
    std::vector<float> reference((bytes.size() - 8 - header) / sizeof(float));
    std::memcpy(reference.data(), bytes.data() + 8 + header, reference.size() * sizeof(float));
    const auto per_layer =
        static_cast<size_t>(loaded.model->config().hidden_size) * golden.tokens.size();
    size_t n_seen = 0;
    loaded.model->observe_hidden([&](int64_t layer, ConstRows hidden) {
        ++n_seen;
        double worst = 0;
        double square = 0;
        for (int64_t i = 0; i < hidden.n_rows * hidden.n_cols; ++i) {
            const float wanted =
                reference[static_cast<size_t>(layer) * per_layer + static_cast<size_t>(i)];
            worst = std::max(worst, std::abs(static_cast<double>(hidden.data[i]) - wanted));
            square += static_cast<double>(wanted) * wanted;
        }
        EXPECT_LE(worst, kBound * std::sqrt(square / static_cast<double>(per_layer)))
            << "first layer that differs: " << layer;
    });
    run_fresh(loaded, golden.tokens, 1 << 20);
    EXPECT_EQ(n_seen, static_cast<size_t>(loaded.model->config().num_hidden_layers) + 1);
}

TEST_P(GoldenModel, a_token_outside_the_vocabulary_or_out_of_place_changes_nothing) {
    Loaded loaded = load(folder(), 1);
    const int32_t slot = must(loaded.cache->add_sequence());
    const auto vocab = static_cast<int32_t>(loaded.model->config().vocab_size);
    for (const int32_t bad : {-1, vocab}) {
        const auto result = loaded.model->forward({{bad}, {0}, {slot}, {0}}, *loaded.cache);
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    }
    EXPECT_FALSE(loaded.model->forward({{1}, {5}, {slot}, {0}}, *loaded.cache).ok());
    EXPECT_EQ(loaded.cache->length(slot), 0);
}

INSTANTIATE_TEST_SUITE_P(families, GoldenModel, testing::ValuesIn(kModels),
                         [](const auto& row) { return std::string(row.param); });

class LatentModel : public testing::TestWithParam<const char*> {};

TEST_P(LatentModel, the_expanded_and_the_absorbed_form_agree_within_the_bound) {
    const Golden golden(GetParam());
    const std::string folder = std::string("tests/golden/") + GetParam();
    const std::vector<int32_t> tokens(golden.tokens.begin(), golden.tokens.begin() + 60);
    Loaded absorbed = load(folder, 2);
    Loaded expanded = load(folder, 2, "", AttentionForm::kExpanded);
    EXPECT_LE(max_difference(run_fresh(absorbed, tokens, 60), run_fresh(expanded, tokens, 60)),
              kBound * golden.logits_std);
}

INSTANTIATE_TEST_SUITE_P(families, LatentModel,
                         testing::Values("v2_lite", "v2_group", "v3", "v3_norope", "v3_fp8"),
                         [](const auto& row) { return std::string(row.param); });

}  // namespace
}  // namespace nereus::test
