// Packs of the golden models: what is not rounded gives the reference's logits, what is rounded
// stays near, and every source and thread count leads to the same pack.

#include "tests/support/packing.h"

namespace nereus::test {
namespace {

constexpr double kBound = 2e-4;  // of logits_std: the promise of the project

/// Root of the mean squared difference, in standard deviations of the reference.
double rms_difference(const std::vector<float>& logits, const Golden& golden) {
    EXPECT_EQ(logits.size(), golden.logits.size());
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
        const double d = static_cast<double>(logits[i]) - golden.logits[i];
        sum += d * d;
    }
    return std::sqrt(sum / static_cast<double>(logits.size())) / golden.logits_std;
}

struct PackCase {
    const char* source;
    const char* golden;
};

constexpr PackCase kCases[] = {
    {"tests/golden/v2_lite", "v2_lite"},
    {"tests/golden/v2_group", "v2_group"},
    {"tests/golden/v3", "v3"},
    {"tests/golden/v3_fp8", "v3_fp8"},
    {"tests/golden/v3_norope", "v3_norope"},
    {"tests/golden/qwen2", "qwen2"},
    {"tests/golden/llama3", "llama3"},
    {"tests/data/gguf/v2_lite-legacy.gguf", "v2_lite"},
    {"tests/data/gguf/v2_lite-mla.gguf", "v2_lite"},
    {"tests/data/gguf/v3-legacy.gguf", "v3"},
    {"tests/data/gguf/v3-mla.gguf", "v3"},
    {"tests/data/gguf/qwen2-split-00001-of-00002.gguf", "qwen2"},
    {"tests/data/gguf/llama3.gguf", "llama3"},
};

class GoldenPack : public testing::TestWithParam<PackCase> {
  protected:
    std::vector<float> logits_of(const std::string& recipe,
                                 PackBasis basis = PackBasis::kPublished) {
        const std::filesystem::path folder =
            folder_.path() / (recipe + (basis == PackBasis::kTurned ? "-turned" : ""));
        pack_into(source_path(GetParam().source), recipe, folder, 2, {}, basis);
        Loaded loaded = load_folder(folder);
        return run_fresh(loaded, golden_.tokens, 64);
    }

    Golden golden_{GetParam().golden};
    TemporaryFolder folder_;
};

TEST_P(GoldenPack, a_pack_that_rounds_nothing_gives_the_references_logits) {
    EXPECT_LE(max_difference(logits_of("f32"), golden_.logits), kBound * golden_.logits_std);
}

TEST_P(GoldenPack, a_turned_pack_that_rounds_nothing_gives_the_references_logits) {
    EXPECT_LE(max_difference(logits_of("f32", PackBasis::kTurned), golden_.logits),
              kBound * golden_.logits_std);
}

/// Random weights choose among experts by a hair, so that models of experts amplify rounding.
TEST_P(GoldenPack, rounding_to_8_bits_changes_logits_by_little_and_to_4_bits_by_more) {
    const double eight = rms_difference(logits_of("q8"), golden_);
    const double four = rms_difference(logits_of("q4"), golden_);
    const bool has_experts = std::string_view(GetParam().golden).starts_with('v');
    EXPECT_LE(eight, has_experts ? 0.4 : 0.08);
    EXPECT_LE(four, has_experts ? 0.8 : 0.5);
    EXPECT_GT(four, 1.3 * eight);
}

INSTANTIATE_TEST_SUITE_P(sources, GoldenPack, testing::ValuesIn(kCases), [](const auto& row) {
    std::string name = row.param.source;
    std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
    return name;
});

TEST(Pack, bf16_weights_in_a_bf16_pack_give_the_references_logits) {
    const Golden golden("v3");
    TemporaryFolder folder;
    pack_into(source_path("tests/golden/v3"), "bf16", folder.path() / "pack");
    Loaded loaded = load_folder(folder.path() / "pack");
    EXPECT_LE(max_difference(run_fresh(loaded, golden.tokens, 64), golden.logits),
              kBound * golden.logits_std);
}

TEST(Pack, a_gguf_and_a_folder_of_the_same_weights_give_the_same_bits_when_packed) {
    const Golden golden("v2_lite");
    TemporaryFolder folder;
    std::vector<std::vector<float>> logits;
    for (const char* source : {"tests/golden/v2_lite", "tests/data/gguf/v2_lite-legacy.gguf",
                               "tests/data/gguf/v2_lite-mla.gguf"}) {
        const auto pack = folder.path() / std::to_string(logits.size());
        pack_into(source_path(source), "q4-mixed", pack);
        Loaded loaded = load_folder(pack);
        logits.push_back(run_fresh(loaded, golden.tokens, 64));
    }
    EXPECT_EQ(logits[1], logits[0]);
    EXPECT_EQ(logits[2], logits[0]);
}

TEST(Pack, a_pack_of_a_pack_without_rounding_is_the_pack_of_its_source) {
    TemporaryFolder folder;
    pack_into(source_path("tests/golden/v3_fp8"), "f32", folder.path() / "first");
    pack_into(folder.path() / "first", "q8", folder.path() / "second");
    pack_into(source_path("tests/golden/v3_fp8"), "q8", folder.path() / "direct");
    const auto second = files_of(folder.path() / "second");
    const auto direct = files_of(folder.path() / "direct");
    EXPECT_TRUE(second.at("experts-00000.bin") == direct.at("experts-00000.bin"));
}

TEST(Pack, turning_changes_the_numbers_once_and_leaves_tied_embeddings_alone) {
    TemporaryFolder folder;
    const auto packed = [&](const std::filesystem::path& source, const char* name,
                            PackBasis basis) {
        pack_into(source, "f32", folder.path() / name, 2, {}, basis);
        return files_of(folder.path() / name).at("dense.bin");
    };
    const std::filesystem::path v3 = source_path("tests/golden/v3");
    const std::string turned = packed(v3, "turned", PackBasis::kTurned);
    EXPECT_FALSE(turned == packed(v3, "published", PackBasis::kPublished));
    EXPECT_TRUE(turned == packed(folder.path() / "turned", "again", PackBasis::kTurned));
    const std::filesystem::path source = source_path("tests/golden/qwen2");  // tied
    EXPECT_TRUE(packed(source, "tied", PackBasis::kTurned) ==
                packed(source, "tied-published", PackBasis::kPublished));
}

TEST(Pack, every_file_has_the_same_bytes_whatever_the_thread_count) {
    TemporaryFolder folder;
    for (const char* source : {"models/nereus-seed", "tests/data/gguf/v3-legacy.gguf"}) {
        const auto base = folder.path() / std::filesystem::path(source).filename();
        pack_into(source_path(source), "q4", base / "one", 1);
        pack_into(source_path(source), "q4", base / "two", 2);
        pack_into(source_path(source), "q4", base / "five", 5);
        pack_into(source_path(source), "q4", base / "turned-one", 1, {}, PackBasis::kTurned);
        pack_into(source_path(source), "q4", base / "turned-five", 5, {}, PackBasis::kTurned);
        EXPECT_TRUE(files_of(base / "turned-one") == files_of(base / "turned-five")) << source;
        EXPECT_TRUE(files_of(base / "one") == files_of(base / "two")) << source;
        EXPECT_TRUE(files_of(base / "one") == files_of(base / "five")) << source;
    }
}

TEST(Pack, logits_of_4_bits_have_the_same_bits_for_any_chunk_thread_count_and_table) {
    TemporaryFolder folder;
    const auto pack = folder.path() / "seed";
    pack_into(source_path("models/nereus-seed"), "q4", pack);
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < 130; ++i) {
        tokens.push_back((i * 997 + 31) % 4096);
    }
    Loaded first = load_folder(pack, 1, "portable");
    const std::vector<float> expected = run_fresh(first, tokens, 1 << 20);
    for (const std::string& isa : available_isas()) {
        for (const int n_threads : {1, 2}) {
            Loaded loaded = load_folder(pack, n_threads, isa);
            for (const int64_t chunk : {1, 7, 64, 1 << 20}) {
                EXPECT_EQ(run_fresh(loaded, tokens, chunk), expected)
                    << isa << " threads " << n_threads << " chunk " << chunk;
            }
        }
    }
}

TEST(Pack, expert_blobs_start_on_pages_and_hold_gate_up_and_down_one_after_the_other) {
    TemporaryFolder folder;
    pack_into(source_path("tests/golden/v2_lite"), "q8", folder.path() / "pack");
    const auto checkpoint = must(open_checkpoint(folder.path() / "pack"));
    for (int e = 0; e < 8; ++e) {
        const auto find = [&](const char* part) {
            return checkpoint->find(
                fmt::format("model.layers.2.mlp.experts.{}.{}_proj.weight", e, part));
        };
        const StoredTensor* gate = find("gate");
        const StoredTensor* up = find("up");
        const StoredTensor* down = find("down");
        ASSERT_TRUE(gate != nullptr && up != nullptr && down != nullptr);
        EXPECT_EQ(gate->offset % kPackBlobAlignment, 0U);
        EXPECT_EQ(up->offset, round_up(gate->offset + gate->data.size(), kPackTensorAlignment));
        EXPECT_EQ(down->offset, round_up(up->offset + up->data.size(), kPackTensorAlignment));
        EXPECT_EQ(format_of(gate->format).name, "q8");
    }
}

TEST(Pack, a_number_that_is_not_finite_is_named_and_nothing_is_finished) {
    TinyModel tiny(
        Json::parse(must(read_file(source_path("tests/golden/qwen2/config.json"), 9999))), 7);
    tiny.tensors.at("model.layers.1.mlp.up_proj.weight").values[5] = NAN;
    TemporaryFolder folder;
    const Loaded loaded = tiny.open();
    const Status packed = try_pack(loaded.checkpoint->path(), "q8", folder.path() / "pack");
    ASSERT_FALSE(packed.ok());
    EXPECT_NE(packed.error().message.find("model.layers.1.mlp.up_proj.weight"), std::string::npos)
        << packed.error().message;
    EXPECT_FALSE(open_checkpoint(folder.path() / "pack").ok());
}

}  // namespace
}  // namespace nereus::test
