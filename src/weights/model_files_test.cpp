// Folders and GGUF files of made-up models: what is written is what open_checkpoint reads.

#include "weights/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "weights/checkpoint.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace nereus::testing;

constexpr const char* kConfig = R"({"model_type": "qwen2"})";

uint64_t n_bytes_of(const FileTensor& tensor) {
    return static_cast<uint64_t>(
        format_of(tensor.format).matrix_bytes(tensor.shape.rows(), tensor.shape.cols()));
}

/// Bytes of a tensor that no other has.
std::string bytes_for(const FileTensor& tensor) {
    std::string bytes;
    for (uint64_t i = 0; i < n_bytes_of(tensor); ++i) {
        bytes += static_cast<char>(i * 37 + tensor.name.size() * 11 +
                                   static_cast<unsigned char>(tensor.name.back()));
    }
    return bytes;
}

std::vector<FileTensor> folder_tensors() {
    return {{"a.weight", FormatId::kF32, {{3, 5}}},
            {"b.bias", FormatId::kF32, {{7}}},
            {"c.weight", FormatId::kBf16, {{2, 9}}},
            {"d", FormatId::kBf16, {{1, 1}}},
            {"e.weight", FormatId::kF32, {{4, 2, 3}}}};
}

/// Writes all tensors in pieces of n bytes, across tensors.
void append_in_pieces(TensorFileWriter& writer, const std::vector<FileTensor>& tensors, size_t n) {
    std::string all;
    for (const FileTensor& tensor : tensors) {
        all += bytes_for(tensor);
    }
    for (size_t at = 0; at < all.size(); at += n) {
        ASSERT_TRUE(writer.append(bytes_of(std::string_view(all).substr(at, n))).ok());
    }
    const Status finished = writer.finish();
    ASSERT_TRUE(finished.ok()) << finished.error().message;
}

void expect_all(const fs::path& path, const std::vector<FileTensor>& tensors) {
    const auto opened = open_checkpoint(path);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ((*opened)->tensors().size(), tensors.size());
    for (const FileTensor& tensor : tensors) {
        const StoredTensor* found = (*opened)->find(tensor.name);
        ASSERT_NE(found, nullptr) << tensor.name;
        EXPECT_EQ(found->format, tensor.format) << tensor.name;
        EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
        EXPECT_EQ(
            std::string(reinterpret_cast<const char*>(found->data.data()), found->data.size()),
            bytes_for(tensor))
            << tensor.name;
    }
}

TEST(SafetensorsFolder, every_tensor_comes_back_however_its_bytes_were_cut) {
    for (const size_t piece : {1U, 7U, 60U, 1000U}) {
        TempFolder folder;
        const auto tensors = folder_tensors();
        const auto writer = create_safetensors_folder(folder / "m", tensors, kConfig);
        ASSERT_TRUE(writer.ok()) << writer.error().message;
        append_in_pieces(**writer, tensors, piece);
        expect_all(folder / "m", tensors);
        EXPECT_EQ(slurp(folder / "m/config.json"), kConfig);
        EXPECT_FALSE(fs::exists(folder / "m/model.safetensors.index.json"));
    }
}

TEST(SafetensorsFolder, the_data_begins_at_a_multiple_of_eight) {
    for (size_t length = 1; length < 12; ++length) {
        TempFolder folder;
        const std::vector<FileTensor> tensors = {
            {std::string(length, 'x'), FormatId::kF32, {{2, 2}}}};
        const auto writer = create_safetensors_folder(folder / "m", tensors, kConfig);
        ASSERT_TRUE(writer.ok());
        append_in_pieces(**writer, tensors, 64);
        const auto opened = open_checkpoint(folder / "m");
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        EXPECT_EQ((*opened)->tensors()[0].offset % 8, 0U);
    }
}

TEST(SafetensorsFolder, shards_hold_at_most_their_bytes_and_at_least_one_tensor) {
    const auto tensors = folder_tensors();
    for (const uint64_t limit : {1U, 40U, 90U, 130U, 5000U}) {
        TempFolder folder;
        const auto writer = create_safetensors_folder(folder / "m", tensors, kConfig, limit);
        ASSERT_TRUE(writer.ok()) << writer.error().message;
        append_in_pieces(**writer, tensors, 33);
        expect_all(folder / "m", tensors);
        std::map<std::string, uint64_t> in_file;
        std::map<std::string, int> n_in_file;
        const auto opened = open_checkpoint(folder / "m");
        for (const StoredTensor& tensor : (*opened)->tensors()) {
            in_file[tensor.file] += tensor.data.size();
            ++n_in_file[tensor.file];
        }
        for (const auto& [file, n_bytes] : in_file) {
            EXPECT_TRUE(n_bytes <= limit || n_in_file[file] == 1) << file << " of " << limit;
        }
        EXPECT_EQ(fs::exists(folder / "m/model.safetensors.index.json"), in_file.size() > 1);
    }
}

TEST(SafetensorsFolder, fp8_goes_with_its_scales) {
    TempFolder folder;
    const std::vector<FileTensor> tensors = {
        {"w", FormatId::kFp8Block128, {{130, 200}}},
        {"w_scale_inv", FormatId::kF32, {{2, 2}}},
    };
    const auto writer =
        create_safetensors_folder(folder / "m", tensors,
                                  R"({"model_type": "deepseek_v3", "quantization_config":
            {"quant_method": "fp8", "weight_block_size": [128, 128]}})");
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    std::string bytes(size_t{130} * 200, '\x38');  // 1.0
    for (const float scale : {1.0F, 2.0F, 3.0F, 4.0F}) {
        append(bytes, scale);
    }
    ASSERT_TRUE((*writer)->append(bytes_of(bytes)).ok());
    ASSERT_TRUE((*writer)->finish().ok());
    const auto opened = open_checkpoint(folder / "m");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const StoredTensor* tensor = (*opened)->find("w");
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->format, FormatId::kFp8Block128);
    ASSERT_NE(tensor->scales, nullptr);
    EXPECT_EQ(tensor->scales[3], 4.0F);
}

TEST(SafetensorsFolder, what_is_in_a_folder_is_never_overwritten) {
    TempFolder folder;
    fs::create_directory(folder / "full");
    spill(folder / "full/notes.txt", "mine");
    spill(folder / "file", "mine too");
    for (const char* name : {"full", "file"}) {
        const auto writer = create_safetensors_folder(folder / name, folder_tensors(), kConfig);
        ASSERT_FALSE(writer.ok()) << name;
        EXPECT_THAT(writer.error().message, AllOf(HasSubstr(name), HasSubstr("empty folder")));
    }
    EXPECT_EQ(slurp(folder / "full/notes.txt"), "mine");
    EXPECT_EQ(slurp(folder / "file"), "mine too");
    fs::create_directory(folder / "empty");
    EXPECT_TRUE(create_safetensors_folder(folder / "empty", folder_tensors(), kConfig).ok());
}

std::vector<FileTensor> gguf_tensors() {
    return {{"token_embd.weight", FormatId::kQ8_0, {{6, 64}}},
            {"output_norm.weight", FormatId::kF32, {{5}}},
            {"blk.0.ffn_down_exps.weight", FormatId::kQ4K, {{3, 2, 256}}},
            {"blk.0.attn_q.weight", FormatId::kQ5_0, {{3, 32}}},
            {"blk.0.attn_k.weight", FormatId::kF16, {{3, 3}}},
            {"output.weight", FormatId::kQ6K, {{2, 512}}}};
}

TEST(GgufFile, tensors_and_values_of_every_kind_come_back) {
    for (const size_t piece : {13U, 100'000U}) {
        TempFolder folder;
        GgufPairs pairs;
        pairs.text("general.architecture", "llama");
        pairs.integer("llama.block_count", 4'000'000'000U);
        pairs.number("llama.rope.freq_base", 0.1F);
        pairs.boolean("yes", true);
        pairs.boolean("no", false);
        pairs.text("empty", "");
        EXPECT_EQ(pairs.count(), 6U);
        const auto tensors = gguf_tensors();
        const auto writer = create_gguf(folder / "m.gguf", pairs, tensors);
        ASSERT_TRUE(writer.ok()) << writer.error().message;
        append_in_pieces(**writer, tensors, piece);
        expect_all(folder / "m.gguf", tensors);
        const auto opened = open_checkpoint(folder / "m.gguf");
        const GgufMetadata& values = *(*opened)->gguf();
        EXPECT_EQ(values.string("general.architecture"), "llama");
        EXPECT_EQ(values.integer("llama.block_count"), 4'000'000'000);
        EXPECT_EQ(values.number("llama.rope.freq_base"), static_cast<double>(0.1F));
        EXPECT_EQ(values.integer("yes"), 1);
        EXPECT_EQ(values.integer("no"), 0);
        EXPECT_EQ(values.string("empty"), "");
    }
}

TEST(GgufFile, every_tensor_is_aligned_and_the_gaps_are_zero) {
    TempFolder folder;
    const auto tensors = gguf_tensors();
    const auto writer = create_gguf(folder / "m.gguf", GgufPairs(), tensors);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    append_in_pieces(**writer, tensors, 100);
    const auto opened = open_checkpoint(folder / "m.gguf");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const std::string file = slurp(folder / "m.gguf");
    uint64_t end = (*opened)->tensors()[0].offset;
    for (const StoredTensor& tensor : (*opened)->tensors()) {
        EXPECT_EQ(tensor.offset % 32, 0U) << tensor.name;
        for (uint64_t at = end; at < tensor.offset; ++at) {
            ASSERT_EQ(file[at], '\0') << "before " << tensor.name;
        }
        end = tensor.offset + tensor.data.size();
    }
    EXPECT_EQ(file.size() % 32, 0U);
}

TEST(GgufFile, an_existing_file_is_not_touched) {
    TempFolder folder;
    spill(folder / "m.gguf", "mine");
    const auto writer = create_gguf(folder / "m.gguf", GgufPairs(), gguf_tensors());
    ASSERT_FALSE(writer.ok());
    EXPECT_THAT(writer.error().message, AllOf(HasSubstr("m.gguf"), HasSubstr("exists already")));
    EXPECT_EQ(slurp(folder / "m.gguf"), "mine");
}

TEST(GgufFile, a_place_that_cannot_be_written_is_named) {
    const auto writer = create_gguf("/proc/nothing/m.gguf", GgufPairs(), gguf_tensors());
    ASSERT_FALSE(writer.ok());
    EXPECT_THAT(writer.error().message, HasSubstr("/proc/nothing/m.gguf"));
}

}  // namespace
}  // namespace nereus
