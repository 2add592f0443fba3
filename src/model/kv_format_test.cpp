// Which format cached rows get, and what a token of them takes.

#include "model/kv_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/count.h"
#include "model/testing/made_up_checkpoint.h"

namespace nereus {
namespace {

/// The attention of V3.
ModelConfig latent() {
    ModelConfig config;
    config.model_type = "deepseek_v3";
    config.num_hidden_layers = 61;
    config.num_attention_heads = 128;
    config.kv_lora_rank = 512;
    config.qk_rope_head_dim = 64;
    config.layers.assign(61, {AttentionKind::kLatent, FfnKind::kExperts});
    return config;
}

/// The attention of Qwen2.5-7B.
ModelConfig grouped() {
    ModelConfig config;
    config.model_type = "qwen2";
    config.num_hidden_layers = 28;
    config.num_attention_heads = 28;
    config.num_key_value_heads = 4;
    config.head_dim = 128;
    config.layers.assign(28, {AttentionKind::kGrouped, FfnKind::kDense});
    return config;
}

TEST(ChooseKvFormat, without_a_wish_int8_is_for_latent_rows_beside_panels_alone) {
    EXPECT_EQ(choose_kv_format({}, latent(), true).value(), KvFormat::kInt8);
    EXPECT_EQ(choose_kv_format({}, latent(), false).value(), KvFormat::kF32);
    EXPECT_EQ(choose_kv_format({}, grouped(), true).value(), KvFormat::kF32);
    EXPECT_EQ(choose_kv_format({}, grouped(), false).value(), KvFormat::kF32);
}

TEST(ChooseKvFormat, a_wish_is_kept_whatever_the_weights_are) {
    for (const bool has_panels : {false, true}) {
        for (const KvFormatRow& row : kKvFormats) {
            EXPECT_EQ(choose_kv_format(row.format, latent(), has_panels).value(), row.format);
        }
        EXPECT_EQ(choose_kv_format(KvFormat::kBf16, grouped(), has_panels).value(),
                  KvFormat::kBf16);
    }
}

TEST(ChooseKvFormat, int8_for_grouped_attention_is_unsupported_and_says_what_there_is) {
    const auto refused = choose_kv_format(KvFormat::kInt8, grouped(), true);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("qwen2"));
    EXPECT_THAT(refused.error().message, testing::HasSubstr("4 heads"));
    EXPECT_THAT(refused.error().message, testing::HasSubstr("f32 and bf16"));
}

TEST(HasPanels, one_tensor_in_a_panel_format_is_enough) {
    MadeUpCheckpoint files;
    EXPECT_FALSE(has_panels(files)) << "no tensors at all";
    files.add("a", FormatId::kBf16, {32, 128});
    files.add("b", FormatId::kQ4_0, {32, 128});
    files.add("c", FormatId::kFp8Block128, {32, 128});
    EXPECT_FALSE(has_panels(files));
    for (const FormatId id : {FormatId::kQ8, FormatId::kQ4, FormatId::kQ2}) {
        MadeUpCheckpoint with = MadeUpCheckpoint();
        with.add("a", FormatId::kBf16, {32, 128});
        with.add("b", id, {32, 128});
        EXPECT_TRUE(has_panels(with)) << format_of(id).name;
    }
}

TEST(KvSpecOf, a_row_is_the_latent_and_shared_key_or_the_keys_and_values_of_all_heads) {
    const KvSpec v3 = kv_spec_of(latent(), KvFormat::kF32, 1000);
    EXPECT_EQ(v3.row_floats, std::vector<int64_t>(61, 576));
    EXPECT_EQ(v3.latent, 512);
    EXPECT_EQ(v3.max_tokens, 1000);
    const KvSpec qwen = kv_spec_of(grouped(), KvFormat::kBf16, 1000);
    EXPECT_EQ(qwen.row_floats, std::vector<int64_t>(28, 2 * 4 * 128));
    EXPECT_EQ(qwen.latent, 0);
}

TEST(KvSpecOf, bytes_of_a_token_are_its_numbers_in_the_format_over_all_layers) {
    EXPECT_EQ(kv_spec_of(latent(), KvFormat::kF32, 1).bytes_per_token(),
              4 * kv_values_per_token(latent()));
    EXPECT_EQ(kv_spec_of(latent(), KvFormat::kBf16, 1).bytes_per_token(), 2 * 61 * 576);
    EXPECT_EQ(kv_spec_of(latent(), KvFormat::kInt8, 1).bytes_per_token(), 61 * 664);
    EXPECT_EQ(kv_spec_of(grouped(), KvFormat::kBf16, 1).bytes_per_token(), 2 * 28 * 1024);
}

TEST(KvSpecOf, pages_are_those_that_the_format_wants_and_a_cache_can_be_made) {
    for (const KvFormatRow& row : kKvFormats) {
        const KvSpec spec = kv_spec_of(latent(), row.format, 256);
        EXPECT_EQ(spec.page_tokens, row.page_tokens);
        const auto cache = KvCache::create(spec);
        ASSERT_TRUE(cache.ok()) << row.name;
        const int32_t slot = (*cache)->add_sequence().value();
        EXPECT_TRUE((*cache)->append(slot, 256).ok()) << row.name << ": as many as it was made for";
        EXPECT_FALSE((*cache)->append(slot, 1).ok());
    }
}

}  // namespace
}  // namespace nereus
