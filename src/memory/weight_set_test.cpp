#include "memory/weight_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "memory/expert_bank.h"

namespace nereus {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A checkpoint held in memory.
class FakeCheckpoint final : public Checkpoint {
  public:
    FakeCheckpoint& add(const std::string& name, FormatId format, std::vector<int64_t> dims,
                        const float* scales = nullptr) {
        StoredTensor tensor;
        tensor.name = name;
        tensor.format = format;
        tensor.shape.dims = std::move(dims);
        const int64_t n = format_of(format).row_bytes(tensor.shape.cols()) * tensor.shape.rows();
        bytes_.push_back(std::make_unique<std::vector<std::byte>>(static_cast<size_t>(n)));
        tensor.data = *bytes_.back();
        tensor.scales = scales;
        tensor.file = "model.safetensors";
        tensor.offset = 4096;
        tensors_.push_back(tensor);
        return *this;
    }
    std::vector<std::byte>& bytes(size_t i) { return *bytes_[i]; }

    CheckpointKind kind() const override { return CheckpointKind::kHuggingFace; }
    const std::filesystem::path& path() const override { return path_; }
    std::span<const StoredTensor> tensors() const override { return tensors_; }
    const StoredTensor* find(std::string_view name) const override {
        for (const StoredTensor& tensor : tensors_) {
            if (tensor.name == name) {
                return &tensor;
            }
        }
        return nullptr;
    }
    const Json& config() const override { return json_; }
    const Json& generation_config() const override { return json_; }
    const GgufMetadata* gguf() const override { return nullptr; }
    uint64_t n_file_bytes() const override { return 0; }

  private:
    std::filesystem::path path_ = "/models/fake";
    std::vector<StoredTensor> tensors_;
    std::vector<std::unique_ptr<std::vector<std::byte>>> bytes_;
    Json json_;
};

TEST(WeightSet, a_matrix_points_into_the_checkpoint_and_is_counted_once_a_binding) {
    FakeCheckpoint files;
    files.add("a.weight", FormatId::kBf16, {6, 10});
    WeightSet set(files);
    const Weight weight = set.matrix("a.weight", 6, 10).value();
    EXPECT_EQ(weight.data, files.bytes(0).data());
    EXPECT_EQ(weight.format->id, FormatId::kBf16);
    EXPECT_EQ(weight.row_stride_bytes, 20);
    EXPECT_EQ(weight.row(3).data, files.bytes(0).data() + 60);
    EXPECT_EQ(set.n_bytes(), 120);
}

TEST(WeightSet, leading_dimensions_are_folded_into_rows) {
    FakeCheckpoint files;
    files.add("stack", FormatId::kQ8_0, {3, 4, 64});
    WeightSet set(files);
    const Weight all = set.matrix("stack", 12, 64).value();
    const Weight second = all.slice_rows(4, 4);
    EXPECT_EQ(second.data - all.data, 4 * 68);
    EXPECT_EQ(second.rows, 4);
    EXPECT_EQ(second.n_bytes() * 3, all.n_bytes());
    EXPECT_FALSE(set.matrix("stack", 4, 192).ok()) << "columns are never folded";
}

TEST(WeightSet, a_missing_tensor_is_not_found_with_a_few_similar_names) {
    FakeCheckpoint files;
    for (int i = 0; i < 5; ++i) {
        files.add(fmt::format("layers.{}.q_proj.weight", i), FormatId::kF32, {2, 2});
    }
    files.add("unrelated", FormatId::kF32, {2});
    const Error error = WeightSet(files).matrix("layers.9.q_proj.weight", 2, 2).error();
    EXPECT_EQ(error.code, ErrorCode::kNotFound);
    EXPECT_THAT(error.message, HasSubstr("/models/fake"));
    EXPECT_THAT(error.message, HasSubstr("layers.9.q_proj.weight is missing among 6 tensors"));
    EXPECT_THAT(error.message, HasSubstr("layers.0.q_proj.weight"));
    EXPECT_THAT(error.message, HasSubstr("layers.2.q_proj.weight"));
    EXPECT_THAT(error.message, Not(HasSubstr("layers.3.q_proj.weight")));
    EXPECT_THAT(error.message, Not(HasSubstr("unrelated")));
}

TEST(WeightSet, short_names_without_a_dot_are_reported_missing_too) {
    FakeCheckpoint files;
    files.add("a", FormatId::kF32, {2});
    for (const char* name : {"", "b", "seven__", "eight___", ".weight", "w.weight"}) {
        const auto result = WeightSet(files).vector(name, 2);
        ASSERT_FALSE(result.ok()) << name;
        EXPECT_EQ(result.error().code, ErrorCode::kNotFound) << name;
    }
}

TEST(WeightSet, wrong_shapes_are_corrupt_with_file_offset_expected_and_found) {
    FakeCheckpoint files;
    files.add("m", FormatId::kF32, {6, 10}).add("scalar", FormatId::kF32, {});
    WeightSet set(files);
    for (const auto& [rows, cols] :
         {std::pair<int64_t, int64_t>{10, 6}, {6, 9}, {5, 10}, {60, 1}}) {
        const Error error = set.matrix("m", rows, cols).error();
        EXPECT_EQ(error.code, ErrorCode::kCorrupt);
        EXPECT_THAT(error.message, HasSubstr("model.safetensors: tensor m at offset 4096"));
        EXPECT_THAT(error.message,
                    HasSubstr(fmt::format("expected shape [{}, {}], found [6, 10]", rows, cols)));
    }
    EXPECT_EQ(set.matrix("scalar", 1, 1).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(set.n_bytes(), 0) << "a refused matrix was counted";
}

TEST(WeightSet, formats_that_cannot_be_multiplied_are_unsupported_by_name) {
    for (const FormatId id : {FormatId::kI32, FormatId::kI64, FormatId::kU8, FormatId::kBool,
                              FormatId::kF64, FormatId::kF8E5m2}) {
        FakeCheckpoint files;
        files.add("m", id, {4, 8});
        const Error error = WeightSet(files).matrix("m", 4, 8).error();
        EXPECT_EQ(error.code, ErrorCode::kUnsupported);
        EXPECT_THAT(error.message, HasSubstr(std::string(format_of(id).name)));
    }
}

TEST(WeightSet, rows_must_be_whole_blocks_of_their_format) {
    for (const Format& format : all_formats()) {
        if (format.decode_row == nullptr || format.block_elements == 1) {
            continue;
        }
        const int64_t cols = format.block_elements + 16;
        FakeCheckpoint files;
        files.add("m", format.id, {2, cols}).add("whole", format.id, {2, format.block_elements});
        WeightSet set(files);
        EXPECT_EQ(set.matrix("m", 2, cols).error().code, ErrorCode::kUnsupported) << format.name;
        EXPECT_TRUE(set.matrix("whole", 2, format.block_elements).ok()) << format.name;
    }
}

TEST(WeightSet, fp8_scales_follow_rows_even_when_a_slice_starts_inside_a_tile) {
    const std::vector<float> scales = {1, 2, 3, 4, 5, 6};  // [3 row tiles, 2 column tiles]
    FakeCheckpoint files;
    files.add("m", FormatId::kFp8Block128, {300, 129}, scales.data());
    WeightSet set(files);
    const Weight weight = set.matrix("m", 300, 129).value();
    EXPECT_EQ(weight.scale_stride, 2);
    for (const int64_t begin : {0, 1, 127, 128, 129, 200, 256, 299}) {
        const Weight part = weight.slice_rows(begin, 300 - begin);
        for (int64_t r = 0; r < part.rows; r += 7) {
            ASSERT_EQ(part.row(r).scales, scales.data() + (begin + r) / 128 * 2)
                << begin << " " << r;
            ASSERT_EQ(part.row(r).data, weight.data + (begin + r) * 129);
        }
    }
    EXPECT_EQ(weight.n_bytes(), 300 * 129 + 6 * 4);
}

TEST(WeightSet, vectors_become_floats_and_stay_when_more_are_bound) {
    FakeCheckpoint files;
    files.add("v", FormatId::kF16, {3});
    for (int i = 0; i < 3; ++i) {
        const uint16_t one = 0x3c00;
        std::memcpy(files.bytes(0).data() + 2 * i, &one, 2);
    }
    WeightSet set(files);
    const float* first = set.vector("v", 3).value();
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(set.vector("v", 3).ok());
    }
    EXPECT_EQ(std::vector<float>(first, first + 3), (std::vector<float>{1, 1, 1}));
    EXPECT_EQ(set.n_bytes(), 0) << "only matrices are counted";
}

TEST(WeightSet, vectors_of_wrong_size_or_in_blocks_are_corrupt) {
    FakeCheckpoint files;
    files.add("v", FormatId::kF32, {32})
        .add("q", FormatId::kQ8_0, {32})
        .add("i", FormatId::kI32, {32});
    WeightSet set(files);
    EXPECT_THAT(set.vector("v", 31).error().message,
                HasSubstr("expected 31 plain numbers, found f32 [32]"));
    EXPECT_EQ(set.vector("q", 32).error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(set.vector("i", 32).error().message, HasSubstr("found i32"));
}

TEST(RamBank, hands_out_all_experts_asked_for_at_once_in_their_order) {
    ExpertTable experts(2);
    experts[1].resize(4);
    for (int64_t e = 0; e < 4; ++e) {
        experts[1][static_cast<size_t>(e)].gate.rows = 100 + e;
    }
    const auto bank = create_ram_bank(std::move(experts));
    const std::vector<int32_t> ids = {3, 0, 2};
    bank->request(1, ids);
    const std::span<const ReadyExpert> ready = bank->next().value();
    ASSERT_EQ(ready.size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(ready[i].index, i);
        EXPECT_EQ(ready[i].weights.gate.rows, 100 + ids[i]);
    }
    EXPECT_TRUE(bank->next().value().empty());
    EXPECT_EQ(bank->stats().n_hits, 3);
    EXPECT_DEATH(bank->request(1, std::vector<int32_t>{4}), "check failed");
    EXPECT_DEATH(bank->request(1, std::vector<int32_t>{-1}), "check failed");
}

}  // namespace
}  // namespace nereus
