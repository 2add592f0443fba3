// Importance of every source: whatever layout a model comes in, each matrix that a pack rounds
// finds what entered it; packs weighed by it lose less where it counts, with the same bytes every
// time.

#include <gmock/gmock.h>

#include "memory/weight_set.h"
#include "model/input_statistics.h"
#include "tests/support/packing.h"

namespace nereus::test {
namespace {

using ::testing::HasSubstr;

/// A source that has read some tokens.
struct Read {
    Read(const std::string& source, int n_tokens, int n_threads) {
        loaded = load_folder(source_path(source), n_threads);
        loaded.backend->observe_products(
            [this](auto tasks) { statistics.add(tasks, *loaded.pool); });
        std::vector<int32_t> tokens;
        for (int32_t i = 0; i < n_tokens; ++i) {
            tokens.push_back((i * 37 + 11) % static_cast<int32_t>(vocab_size()));
        }
        run_fresh(loaded, tokens, 64);
        statistics.finish();
    }
    int64_t vocab_size() const { return loaded.model->config().vocab_size; }

    Result<int64_t> n_unseen() const {
        const auto repack = must(Repack::plan(*loaded.checkpoint, *must(find_recipe("q4")), ""));
        return repack->n_unseen_experts(importance_of(statistics));
    }

    void pack(const std::filesystem::path& folder, const std::string& recipe) const {
        const auto repack = must(Repack::plan(*loaded.checkpoint, *must(find_recipe(recipe)), "x"));
        const auto writer = must(create_pack(folder, repack->content()));
        EXPECT_TRUE(repack->write(*writer, *loaded.pool, importance_of(statistics), [] {}).ok());
        EXPECT_TRUE(writer->finish().ok());
    }

    Loaded loaded;
    InputStatistics statistics;
};

class ImportanceOfSource : public testing::TestWithParam<const char*> {};

TEST_P(ImportanceOfSource, every_matrix_and_every_expert_that_was_used_finds_its_inputs) {
    const Read many(GetParam(), 120, 2);
    const auto unseen = many.n_unseen();
    ASSERT_TRUE(unseen.ok()) << unseen.error().message;
    const ModelConfig& config = many.loaded.model->config();
    const auto layers = static_cast<int64_t>(
        std::count_if(config.layers.begin(), config.layers.end(),
                      [](const LayerPlan& plan) { return plan.ffn == FfnKind::kExperts; }));
    EXPECT_LT(*unseen, std::max<int64_t>(layers * config.n_routed_experts / 2, 1));
    const Read few(GetParam(), 1, 2);
    const int64_t unused = layers * (config.n_routed_experts - config.router.top_k);
    EXPECT_EQ(must(few.n_unseen()), layers == 0 ? 0 : unused);
}

INSTANTIATE_TEST_SUITE_P(
    sources, ImportanceOfSource,
    testing::Values("tests/golden/v2_lite", "tests/golden/v3_fp8", "tests/golden/qwen2",
                    "tests/golden/llama3", "tests/data/gguf/v2_lite-legacy.gguf",
                    "tests/data/gguf/v3-mla.gguf", "tests/data/seed-q8_0.gguf"),
    [](const auto& row) {
        std::string name = row.param;
        std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
        return name;
    });

TEST(Importance, statistics_of_another_run_are_refused_with_the_tensors_name) {
    const Read read("tests/golden/qwen2", 5, 1);
    const auto repack = must(Repack::plan(*read.loaded.checkpoint, *must(find_recipe("q4")), ""));
    const InputStatistics empty;
    const auto unseen = repack->n_unseen_experts(importance_of(empty));
    ASSERT_FALSE(unseen.ok());
    EXPECT_EQ(unseen.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(unseen.error().message, HasSubstr("q_proj.weight: no statistics"));
}

TEST(Importance, the_pack_has_the_same_bytes_for_any_thread_count_and_others_than_without) {
    TemporaryFolder folder;
    for (const int n_threads : {1, 3}) {
        const Read read("tests/golden/v2_lite", 40, n_threads);
        read.pack(folder.path() / std::to_string(n_threads), "q4");
    }
    const auto one = files_of(folder.path() / "1");
    EXPECT_TRUE(one == files_of(folder.path() / "3"));
    pack_into(source_path("tests/golden/v2_lite"), "q4", folder.path() / "even");
    EXPECT_FALSE(one.at("dense.bin") == files_of(folder.path() / "even").at("dense.bin"));
}

/// Squared differences of a product's outputs, over the rows that entered it.
double output_error(const Checkpoint& checkpoint, const std::string& name,
                    const std::vector<float>& exact, const InputStatistics& statistics,
                    const std::byte* source) {
    const StoredTensor* tensor = checkpoint.find(name);
    const int64_t cols = tensor->shape.cols();
    WeightSet weights(checkpoint);
    const Weight weight = must(weights.matrix(name, tensor->shape.rows(), cols));
    const float* importance = statistics.weights_of(source, cols);
    std::vector<float> row(static_cast<size_t>(cols));
    double sum = 0;
    for (int64_t r = 0; r < weight.rows; ++r) {
        weight.format->decode_row(weight.row(r), cols, row.data());
        for (int64_t c = 0; c < cols; ++c) {
            const double d = double{row[static_cast<size_t>(c)]} -
                             double{exact[static_cast<size_t>(r * cols + c)]};
            sum += d * d * double{importance[c]};
        }
    }
    return sum;
}

TEST(Importance, a_weighed_pack_loses_less_in_the_columns_that_count) {
    TemporaryFolder folder;
    const Read read("models/nereus-seed", 200, 2);
    read.pack(folder.path() / "weighed", "q4");
    pack_into(source_path("models/nereus-seed"), "q4", folder.path() / "even");
    const auto weighed = must(open_checkpoint(folder.path() / "weighed"));
    const auto even = must(open_checkpoint(folder.path() / "even"));
    const std::string name = "model.layers.1.self_attn.o_proj.weight";
    const StoredTensor* tensor = read.loaded.checkpoint->find(name);
    WeightSet weights(*read.loaded.checkpoint);
    const Weight source = must(weights.matrix(name, tensor->shape.rows(), tensor->shape.cols()));
    std::vector<float> exact(static_cast<size_t>(source.rows * source.cols));
    for (int64_t r = 0; r < source.rows; ++r) {
        source.format->decode_row(source.row(r), source.cols, exact.data() + r * source.cols);
    }
    EXPECT_LT(output_error(*weighed, name, exact, read.statistics, source.data),
              0.97 * output_error(*even, name, exact, read.statistics, source.data));
}

}  // namespace
}  // namespace nereus::test
