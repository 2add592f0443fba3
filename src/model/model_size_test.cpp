// What published models weigh, from the configurations that come with Nereus.

#include "model/model_size.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"

namespace nereus {
namespace {

struct Named {
    Json json;
    ModelConfig config;
};

Named bundled(const std::string& name) {
    const std::string path = std::string(NEREUS_SOURCE_DIR) + "/models/configs/" + name + ".json";
    Named named;
    named.json = parse_json(read_file(path, 1 << 20).value(), path).value();
    named.config = config_from_json(named.json, path).value();
    return named;
}

ModelSize in_recipe(const std::string& name, std::string_view recipe) {
    return size_in_recipe(bundled(name).config, *find_recipe(recipe).value());
}

struct Published {
    const char* name;
    double billions, within;
};
// The model cards' numbers of parameters; the distills' from models of the same shape.
constexpr Published kPublished[] = {{"v2-lite", 15.706, 0.001},
                                    {"v2", 235.741, 0.001},
                                    {"v2.5", 235.741, 0.001},
                                    {"v3", 671.026, 0.001},
                                    {"r1", 671.026, 0.001},
                                    {"r1-0528", 671.026, 0.001},
                                    {"v3.1", 671.026, 0.001},
                                    {"r1-distill-qwen-1.5b", 1.777, 0.001},
                                    {"r1-distill-qwen-7b", 7.616, 0.001},
                                    {"r1-distill-qwen-14b", 14.770, 0.001},
                                    {"r1-distill-qwen-32b", 32.764, 0.001},
                                    {"r1-distill-llama-8b", 8.030, 0.001},
                                    {"r1-distill-llama-70b", 70.554, 0.001}};

TEST(BundledConfigs, have_the_published_numbers_of_parameters) {
    for (const Published& model : kPublished) {
        const double n = static_cast<double>(count_parameters(bundled(model.name).config).total());
        EXPECT_NEAR(n / 1e9, model.billions, model.within) << model.name;
    }
}

TEST(ModelSize, r1_as_published_is_fp8_and_weighs_what_its_main_files_weigh) {
    const Named r1 = bundled("r1");
    const ModelSize size = size_as_published(r1.config, r1.json);
    EXPECT_EQ(size.format, "as published (fp8)");
    // 671.0 billion: one byte each, embedding, head and router two, scales 4 for 16384.
    EXPECT_NEAR(size.n_bytes() / 1e9, 673.2, 0.5);
    EXPECT_NEAR(size.expert_bytes(), 44.04e6 * (1 + 4.0 / 16384), 1e4);
    EXPECT_EQ(size.n_mixture_layers(), 58);
    EXPECT_NEAR(size.n_bytes_of(ModelPart::kHead), 2.0 * 129280 * 7168, 1);
}

TEST(ModelSize, v2_lite_as_published_is_bf16) {
    const Named lite = bundled("v2-lite");
    const ModelSize size = size_as_published(lite.config, lite.json);
    EXPECT_EQ(size.format, "as published (bf16)");
    EXPECT_NEAR(size.n_bytes() / 1e9, 2 * 15.706, 0.01);
}

TEST(ModelSize, a_recipe_gives_experts_its_bits_and_keeps_what_it_says) {
    const ModelSize q4 = in_recipe("r1", "q4");
    const ModelSize q2 = in_recipe("r1", "q2");
    const ModelSize q8 = in_recipe("r1", "q8");
    // Bits of a routed weight: 4.5, 2.9 and 8.1 (recipe.cpp).
    const double n_routed = 256.0 * 58 * 3 * 7168 * 2048;
    EXPECT_NEAR(8 * q4.n_bytes_of(ModelPart::kRoutedExperts) / n_routed, 4.5, 0.1);
    EXPECT_NEAR(8 * q2.n_bytes_of(ModelPart::kRoutedExperts) / n_routed, 2.9, 0.1);
    EXPECT_NEAR(8 * q8.n_bytes_of(ModelPart::kRoutedExperts) / n_routed, 8.1, 0.1);
    EXPECT_EQ(q4.dense_bytes(), q2.dense_bytes()) << "q2 rounds experts alone harder";
    EXPECT_LT(q2.n_bytes(), q4.n_bytes());
    EXPECT_DOUBLE_EQ(q4.expert_bytes() * 256 * 58, q4.n_bytes_of(ModelPart::kRoutedExperts));
}

TEST(ModelSize, parts_count_every_weight_once) {
    for (const char* name : {"v2-lite", "r1", "r1-distill-qwen-7b"}) {
        const Named model = bundled(name);
        const ModelSize size = size_as_published(model.config, model.json);
        double n = 0;
        for (const PartSize& part : size.parts) {
            n += part.n_weights;
        }
        // Optional biases of Qwen2 are not in the list of tensors: 0.01 % of the model.
        const double total = static_cast<double>(count_parameters(model.config).total());
        EXPECT_NEAR(n / total, 1, 2e-4) << name;
    }
}

TEST(ModelSize, a_dense_model_has_no_experts) {
    const ModelSize size = in_recipe("r1-distill-llama-8b", "q4");
    EXPECT_EQ(size.expert_bytes(), 0);
    EXPECT_EQ(size.n_mixture_layers(), 0);
    EXPECT_EQ(size.dense_bytes(), size.n_bytes());
}

TEST(ModelSize, files_on_disk_weigh_what_they_hold) {
    const auto checkpoint =
        open_checkpoint(std::string(NEREUS_SOURCE_DIR) + "/models/nereus-seed").value();
    const ModelSize size = size_of_files(*checkpoint).value();
    EXPECT_GT(size.n_bytes(), 0.9 * static_cast<double>(checkpoint->n_file_bytes()) -
                                  size.n_bytes_of(ModelPart::kMtp) - 5e6);
    EXPECT_LT(size.n_bytes(), static_cast<double>(checkpoint->n_file_bytes()));
    bool fp8 = false;
    for (const PartSize& part : size.parts) {
        EXPECT_NE(part.part, ModelPart::kMtp);
        fp8 = fp8 || part.format == FormatId::kFp8Block128;
    }
    EXPECT_TRUE(fp8);
}

}  // namespace
}  // namespace nereus
