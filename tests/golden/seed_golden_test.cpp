// The bundled trained model against the reference's own greedy answers, token for token.

#include "tests/support/golden.h"

namespace nereus::test {
namespace {

/// One question in ten of reference-fp8.json here; `./test --real` takes all 300.
constexpr size_t kStride = 10;

Json reference(const std::string& name) {
    const std::string path = source_path("tests/data/" + name);
    return must(parse_json(must(read_file(path, 1 << 24)), path));
}

/// Share of the reference's answers reproduced token for token.
double share_equal(Loaded& loaded, const Json& items) {
    size_t n = 0;
    size_t n_equal = 0;
    for (size_t i = 0; i < items.size(); i += kStride) {
        const auto prompt = items[i].at("prompt_ids").get<std::vector<int32_t>>();
        const auto wanted = items[i].at("output_ids").get<std::vector<int32_t>>();
        ++n;
        n_equal += run_greedy(loaded, prompt, wanted.size()) == wanted ? 1 : 0;
    }
    return static_cast<double>(n_equal) / static_cast<double>(n);
}

TEST(SeedModel, fp8_gives_the_references_own_greedy_answers) {
    Loaded loaded = load("models/nereus-seed", 2);
    EXPECT_GE(share_equal(loaded, reference("reference-fp8.json").at("items")), 0.99);
}

TEST(SeedModel, the_mtp_layer_is_left_out_of_the_main_model) {
    Loaded loaded = load("models/nereus-seed", 1);
    EXPECT_EQ(loaded.model->config().num_nextn_predict_layers, 1);
    EXPECT_EQ(loaded.model->kv_spec(64).row_floats.size(), 6U);
    EXPECT_EQ(loaded.model->kv_spec(64).bytes_per_token(), 6 * (64 + 16) * 4);
}

}  // namespace
}  // namespace nereus::test
