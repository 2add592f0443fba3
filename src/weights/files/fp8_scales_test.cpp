#include "weights/files/fp8_scales.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/floats.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

StoredTensor tensor(const char* name, FormatId format, Shape shape, std::string_view bytes) {
    StoredTensor made;
    made.name = name;
    made.format = format;
    made.shape = std::move(shape);
    made.data = testing::bytes_of(bytes);
    made.file = "x";
    return made;
}

/// w [130, 200] and its scales, whose four numbers are stored as `format`.
std::vector<StoredTensor> pair_with(FormatId format, std::string_view scales) {
    static const std::string weight(130 * 200, '\x38');  // ones
    return {tensor("w", FormatId::kF8E4m3, {{130, 200}}, weight),
            tensor("w_scale_inv", format, {{2, 2}}, scales)};
}

TEST(Fp8Scales, aligned_f32_scales_stay_in_the_file) {
    const std::vector<float> scales = {1.0F, 2.0F, 3.0F, 4.0F};
    auto tensors = pair_with(FormatId::kF32, {reinterpret_cast<const char*>(scales.data()), 16});
    std::vector<std::unique_ptr<float[]>> owned;
    ASSERT_TRUE(attach_fp8_scales(tensors, true, owned).ok());
    ASSERT_EQ(tensors.size(), 1U);
    EXPECT_EQ(tensors[0].format, FormatId::kFp8Block128);
    EXPECT_EQ(tensors[0].scales, scales.data());
    EXPECT_TRUE(owned.empty());
}

TEST(Fp8Scales, unaligned_f32_scales_are_copied) {
    const std::vector<float> scales = {1.0F, 2.0F, 3.0F, 4.0F};
    std::vector<char> shifted(24);
    char* place = shifted.data();
    place += reinterpret_cast<uintptr_t>(place) % 4 == 0 ? 1 : 0;
    std::memcpy(place, scales.data(), 16);
    auto tensors = pair_with(FormatId::kF32, {place, 16});
    std::vector<std::unique_ptr<float[]>> owned;
    ASSERT_TRUE(attach_fp8_scales(tensors, true, owned).ok());
    ASSERT_EQ(owned.size(), 1U);
    EXPECT_EQ(std::vector<float>(tensors[0].scales, tensors[0].scales + 4), scales);
}

TEST(Fp8Scales, bf16_scales_are_widened) {
    std::string scales;
    for (const float value : {1.0F, 2.0F, -3.0F, 0.0078125F}) {
        testing::append(scales, f32_to_bf16(value));
    }
    auto tensors = pair_with(FormatId::kBf16, scales);
    std::vector<std::unique_ptr<float[]>> owned;
    ASSERT_TRUE(attach_fp8_scales(tensors, true, owned).ok());
    ASSERT_EQ(owned.size(), 1U);
    EXPECT_EQ(std::vector<float>(tensors[0].scales, tensors[0].scales + 4),
              (std::vector<float>{1.0F, 2.0F, -3.0F, 0.0078125F}));
}

TEST(Fp8Scales, fp8_without_scales_stays_plain_unless_the_model_is_block_quantised) {
    auto tensors = pair_with(FormatId::kF32, "");
    tensors.pop_back();
    std::vector<std::unique_ptr<float[]>> owned;
    ASSERT_TRUE(attach_fp8_scales(tensors, false, owned).ok());
    EXPECT_EQ(tensors[0].format, FormatId::kF8E4m3);
    EXPECT_FALSE(attach_fp8_scales(tensors, true, owned).ok());
}

/// Whether scales of this shape are taken for a weight of that shape.
Status attached(const Shape& weight, const Shape& scales) {
    static const std::string zeros(7168 * 600, '\0');
    const auto n = [](const Shape& shape) { return static_cast<size_t>(shape.n_elements()); };
    std::vector<StoredTensor> tensors = {
        tensor("w", FormatId::kF8E4m3, weight, std::string_view(zeros).substr(0, n(weight))),
        tensor("w_scale_inv", FormatId::kF32, scales,
               std::string_view(zeros).substr(0, 4 * n(scales)))};
    std::vector<std::unique_ptr<float[]>> owned;
    return attach_fp8_scales(tensors, true, owned);
}

TEST(Fp8Scales, their_shape_is_the_number_of_128_blocks_of_either_side_begun) {
    const std::pair<Shape, Shape> right[] = {
        {{{576, 7168}}, {{5, 56}}},  // kv_a_proj_with_mqa of V3: the last block has 64 rows
        {{{1, 1}}, {{1, 1}}},       {{{128, 128}}, {{1, 1}}}, {{{129, 128}}, {{2, 1}}},
        {{{128, 129}}, {{1, 2}}},   {{{127, 256}}, {{1, 2}}}, {{{257, 257}}, {{3, 3}}},
        {{{0, 128}}, {{0, 1}}}};
    for (const auto& [weight, scales] : right) {
        const Status status = attached(weight, scales);
        EXPECT_TRUE(status.ok()) << weight.to_string() << status.error().message;
    }
    const std::pair<Shape, Shape> wrong[] = {
        {{{576, 7168}}, {{4, 56}}},  // rounded down
        {{{576, 7168}}, {{56, 5}}},  // transposed
        {{{576, 7168}}, {{280}}},   {{{576, 7168}}, {{5, 56, 1}}},
        {{{576, 7168}}, {{6, 56}}}, {{{576, 7168}}, {{5, 57}}},
        {{{128, 128}}, {}},         {{{128, 128}}, {{0, 0}}},
        {{{128, 128}}, {{1}}}};
    for (const auto& [weight, scales] : wrong) {
        const Status status = attached(weight, scales);
        ASSERT_FALSE(status.ok()) << weight.to_string() << " with " << scales.to_string();
        EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
        EXPECT_NE(status.error().message.find(scales.to_string()), std::string::npos)
            << status.error().message;
    }
}

}  // namespace
}  // namespace nereus
