#include "weights/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "weights/files/pack_manifest.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace nereus::testing;

/// Two dense tensors and two experts.
PackContent small_content() {
    PackContent content;
    content.recipe = "q4";
    content.source = "test";
    content.copies = {{"config.json", R"({"model_type": "qwen2"})"}};
    content.blobs = {
        {false, {{"norm.weight", FormatId::kF32, {{100}}}}},
        {false, {{"head.weight", FormatId::kQ8, {{40, 200}}}}},
    };
    for (int e = 0; e < 2; ++e) {
        content.blobs.push_back({true,
                                 {{fmt::format("{}.gate", e), FormatId::kQ4, {{32, 130}}},
                                  {fmt::format("{}.down", e), FormatId::kBf16, {{3, 5}}}}});
    }
    return content;
}

/// Bytes of a tensor that nothing else has.
std::string bytes_for(const PackTensor& tensor) {
    const uint64_t n = *pack_tensor_bytes(tensor, "test");
    std::string bytes;
    for (uint64_t i = 0; i < n; ++i) {
        bytes += static_cast<char>(i * 31 + tensor.name.size() * 7 +
                                   static_cast<unsigned char>(tensor.name[0]));
    }
    return bytes;
}

void write_all(const fs::path& folder, const PackContent& content, const PackLimits& limits = {}) {
    const auto writer = create_pack(folder, content, limits);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    while ((*writer)->next_blob() < content.blobs.size()) {
        for (const PackTensor& tensor : content.blobs[(*writer)->next_blob()].tensors) {
            const std::string bytes = bytes_for(tensor);
            const size_t half = bytes.size() / 2;
            ASSERT_TRUE((*writer)->append(bytes_of(std::string_view(bytes).substr(0, half))).ok());
            ASSERT_TRUE((*writer)->append(bytes_of(std::string_view(bytes).substr(half))).ok());
        }
    }
    EXPECT_EQ((*writer)->n_bytes_done(), (*writer)->n_bytes());
    ASSERT_TRUE((*writer)->finish().ok());
}

class Pack : public ::testing::Test {
  protected:
    void SetUp() override { write_all(pack_, small_content()); }

    /// The one line of the error, after `change` of the parsed pack.json.
    std::string error_after(const std::function<void(Json&)>& change) {
        const std::string text = slurp(pack_ / "pack.json");
        Json json = *parse_json(text, "test");
        change(json);
        spill(pack_ / "pack.json", dump_json(json));
        const std::string error = open_error();
        spill(pack_ / "pack.json", text);
        return error;
    }

    std::string open_error() {
        const auto opened = open_checkpoint(pack_);
        EXPECT_TRUE(opened.ok() || opened.error().message.find('\n') == std::string::npos);
        return opened.ok() ? "opened" : opened.error().message;
    }

    TempFolder folder_;
    const fs::path pack_ = folder_ / "pack";
};

TEST_F(Pack, every_tensor_comes_back_with_its_bytes_shape_and_format) {
    const auto opened = open_checkpoint(pack_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    for (const PackBlob& blob : small_content().blobs) {
        for (const PackTensor& tensor : blob.tensors) {
            const StoredTensor* found = (*opened)->find(tensor.name);
            ASSERT_NE(found, nullptr) << tensor.name;
            EXPECT_EQ(found->shape, tensor.shape);
            EXPECT_EQ(found->format, tensor.format);
            const std::string bytes(reinterpret_cast<const char*>(found->data.data()),
                                    found->data.size());
            EXPECT_EQ(bytes, bytes_for(tensor));
            EXPECT_EQ(found->offset % kPackTensorAlignment, 0U);
        }
    }
    EXPECT_TRUE(verify_pack(pack_, [](double) {}).ok());
}

TEST_F(Pack, an_experts_file_starts_anew_when_it_is_full) {
    const fs::path other = folder_ / "other";
    write_all(other, small_content(), {.file_bytes = 5000});
    EXPECT_TRUE(fs::exists(other / "experts-00001.bin"));
    EXPECT_TRUE(open_checkpoint(other).ok());
}

TEST_F(Pack, padding_between_tensors_is_zero_whatever_was_there_before) {
    const fs::path other = folder_ / "other";
    fs::create_directories(other);
    spill(other / "pack.partial", "");
    spill(other / "experts-00000.bin", std::string(100'000, 'x'));
    write_all(other, small_content());
    EXPECT_TRUE(slurp(other / "experts-00000.bin") == slurp(pack_ / "experts-00000.bin"));
}

struct Broken {
    const char* name;
    std::function<void(Json&)> change;
    std::vector<const char*> says;
};

Json& tensor_of(Json& pack, size_t blob, size_t tensor = 0) {
    return pack["blobs"][blob]["tensors"][tensor];
}

/// Wrong tensors.
std::vector<Broken> broken_tensors() {
    return {
        {"version", [](Json& p) { p["nereus_pack"] = 1; }, {"version 1", "pack the model again"}},
        {"no version", [](Json& p) { p.erase("nereus_pack"); }, {"nereus_pack", "nothing"}},
        {"source", [](Json& p) { p["source"] = "onnx"; }, {"source", "onnx"}},
        {"format", [](Json& p) { tensor_of(p, 2)["format"] = "q5"; }, {"0.gate", "q5"}},
        {"format without weights",
         [](Json& p) { tensor_of(p, 2)["format"] = "i64"; },
         {"0.gate", "i64"}},
        {"fp8 without scales",
         [](Json& p) { tensor_of(p, 2)["format"] = "fp8_block128"; },
         {"0.gate", "fp8_block128"}},
        {"shape", [](Json& p) { tensor_of(p, 1)["shape"] = {48, 300}; }, {"head.weight", "needs"}},
        {"rank 0", [](Json& p) { tensor_of(p, 1)["shape"] = Json::array(); }, {"shape"}},
        {"empty panel", [](Json& p) { tensor_of(p, 1)["shape"] = {0, 200}; }, {"shape [0, 200]"}},
        {"negative", [](Json& p) { tensor_of(p, 1)["shape"] = {-1, 200}; }, {"shape"}},
        {"huge shape",
         [](Json& p) { tensor_of(p, 1)["shape"] = {1LL << 40, 1LL << 40}; },
         {"head.weight", "larger than any file"}},
        {"huge panel",
         [](Json& p) { tensor_of(p, 1)["shape"] = {1LL << 50, 1}; },
         {"head.weight", "cannot be q8"}},
        {"bytes", [](Json& p) { tensor_of(p, 0)["bytes"] = 401; }, {"400 bytes", "401"}},
        {"tensor overlap",
         [](Json& p) { tensor_of(p, 2, 1)["offset"] = 64; },
         {"0.down", "overlaps"}},
        {"tensor outside",
         [](Json& p) { tensor_of(p, 2, 1)["offset"] = 1 << 20; },
         {"0.down", "inside"}},
        {"tensor wraps",
         [](Json& p) { tensor_of(p, 2, 1)["offset"] = UINT64_MAX - 63; },
         {"0.down", "inside"}},
        {"alignment",
         [](Json& p) {
             tensor_of(p, 2, 1)["offset"] = tensor_of(p, 2, 1)["offset"].get<int>() - 1;
         },
         {"0.down", "multiple of 64"}},
    };
}

/// Wrong blobs and files.
std::vector<Broken> broken_blobs() {
    return {
        {"blob overlap", [](Json& p) { p["blobs"][3]["offset"] = 0; }, {"blob 3", "overlaps"}},
        {"blob outside", [](Json& p) { p["blobs"][3]["offset"] = 1 << 30; }, {"blob 3", "inside"}},
        {"blob wraps",
         [](Json& p) { p["blobs"][3]["offset"] = UINT64_MAX - 4095; },
         {"blob 3", "inside"}},
        {"blob alignment", [](Json& p) { p["blobs"][3]["offset"] = 8256; }, {"multiple of 4096"}},
        {"file number", [](Json& p) { p["blobs"][3]["file"] = 2; }, {"file is 2, there are 2"}},
        {"checksum", [](Json& p) { p["blobs"][3]["xxh3"] = "zz"; }, {"16 hexadecimal digits"}},
        {"blobs", [](Json& p) { p["blobs"] = 5; }, {"blobs", "expected a list"}},
        {"blob", [](Json& p) { p["blobs"][0] = Json::array(); }, {"blob 0", "file"}},
        {"tensor", [](Json& p) { p["blobs"][0]["tensors"][0] = "a"; }, {"blob 0", "name"}},
        {"name twice",
         [](Json& p) { tensor_of(p, 3)["name"] = "0.gate"; },
         {"0.gate", "there twice"}},
        {"file twice",
         [](Json& p) { p["files"][1]["name"] = "dense.bin"; },
         {"dense.bin is there twice"}},
        {"path", [](Json& p) { p["files"][1]["name"] = "../secret"; }, {"in this folder"}},
        {"control characters",
         [](Json& p) {
             tensor_of(p, 2)["name"] = "a\nb\x1b";
             tensor_of(p, 2)["format"] = "q5";
         },
         {"a?b?"}},
        {"file size", [](Json& p) { p["files"][1]["bytes"] = 1 << 30; }, {"1073741824", "copy"}},
        {"not an object", [](Json& p) { p = Json::array(); }, {"nereus_pack"}},
    };
}

TEST_F(Pack, a_wrong_pack_json_is_refused_with_a_line_that_says_what_is_wrong) {
    std::vector<Broken> cases = broken_tensors();
    for (Broken& broken : broken_blobs()) {
        cases.push_back(std::move(broken));
    }
    for (const Broken& broken : cases) {
        const std::string error = error_after(broken.change);
        EXPECT_THAT(error, AllOf(HasSubstr("pack"), Not(HasSubstr("\n")))) << broken.name;
        for (const char* part : broken.says) {
            EXPECT_THAT(error, HasSubstr(part)) << broken.name;
        }
    }
    EXPECT_EQ(open_error(), "opened");
}

TEST_F(Pack, missing_short_unreadable_and_odd_files_are_named) {
    fs::resize_file(pack_ / "experts-00000.bin", 1000);
    EXPECT_THAT(open_error(), AllOf(HasSubstr("experts-00000.bin"), HasSubstr("found 1000")));
    fs::remove(pack_ / "experts-00000.bin");
    EXPECT_THAT(open_error(), HasSubstr("experts-00000.bin"));
    fs::create_directory(pack_ / "experts-00000.bin");
    EXPECT_THAT(open_error(), HasSubstr("a directory"));
    fs::remove(pack_ / "experts-00000.bin");
    ASSERT_EQ(::mkfifo((pack_ / "experts-00000.bin").c_str(), 0600), 0);
    EXPECT_THAT(open_error(), HasSubstr("a FIFO"));
    spill(pack_ / "pack.json", "{\"nereus_pack\": 1");
    EXPECT_THAT(open_error(), HasSubstr("pack.json"));
    spill(pack_ / "pack.json", "");
    EXPECT_THAT(open_error(), HasSubstr("pack.json"));
    fs::remove(pack_ / "pack.json");
    fs::create_directory(pack_ / "pack.json");
    EXPECT_THAT(open_error(), AllOf(HasSubstr("pack.json"), HasSubstr("a directory")));
}

TEST_F(Pack, without_config_json_it_cannot_be_opened) {
    fs::remove(pack_ / "config.json");
    EXPECT_THAT(open_error(), HasSubstr("config.json"));
}

TEST_F(Pack, an_unfinished_pack_says_how_to_go_on) {
    fs::rename(pack_ / "pack.json", pack_ / "pack.partial");
    EXPECT_THAT(open_error(), AllOf(HasSubstr("not finished"), HasSubstr("nereus pack")));
}

TEST_F(Pack, verify_finds_one_changed_bit_anywhere_and_names_its_tensor) {
    for (const auto& [file, at, tensor] : {std::tuple{"dense.bin", 5000, "head.weight"},
                                           {"experts-00000.bin", 4096 * 3 + 77, "1.gate"}}) {
        const std::string whole = slurp(pack_ / file);
        std::string changed = whole;
        changed[static_cast<size_t>(at)] = static_cast<char>(changed[static_cast<size_t>(at)] ^ 4);
        spill(pack_ / file, changed);
        EXPECT_EQ(open_error(), "opened") << "checksums are read when asked for only";
        const Status verified = verify_pack(pack_, [](double) {});
        ASSERT_FALSE(verified.ok()) << file;
        EXPECT_THAT(verified.error().message,
                    AllOf(HasSubstr(file), HasSubstr(tensor), HasSubstr("checksum")));
        spill(pack_ / file, whole);
    }
    spill(pack_ / "config.json", R"({"model_type": "qwen3"})");
    const Status verified = verify_pack(pack_, [](double) {});
    ASSERT_FALSE(verified.ok());
    EXPECT_THAT(verified.error().message, HasSubstr("config.json"));
}

TEST(PackLayout, a_tensor_that_packs_cannot_hold_is_refused_before_anything_is_written) {
    TempFolder folder;
    PackContent content = small_content();
    content.blobs[0].tensors[0].format = FormatId::kI64;
    EXPECT_FALSE(create_pack(folder / "pack", content).ok());
    EXPECT_FALSE(fs::exists(folder / "pack"));
}

}  // namespace
}  // namespace nereus
