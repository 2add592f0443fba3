// Broken folders and files, as open_checkpoint meets them. Each is a working model with one thing
// done to it; each must give one line that names the file and what is wrong with it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "weights/checkpoint.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using testing::GgufBuilder;
using ::testing::HasSubstr;
using testing::safetensors_file;
using testing::slurp;
using testing::spill;
using testing::TempFolder;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kShard1 = "model-00001-of-00002.safetensors";
constexpr const char* kShard2 = "model-00002-of-00002.safetensors";

constexpr const char* kConfigText =
    R"({"model_type":"deepseek_v3","quantization_config":{"quant_method":"fp8","fmt":"e4m3",
        "weight_block_size":[128,128]}})";

/// Two shards; w is FP8 [130, 3], so its scales are [2, 1].
void make_folder(const fs::path& folder) {
    spill(folder / "config.json", kConfigText);
    spill(folder / kIndex, fmt::format(R"({{"metadata":{{}},"weight_map":{{"w.weight":"{0}",
        "norm.weight":"{0}","w.weight_scale_inv":"{1}"}}}})",
                                       kShard1, kShard2));
    spill(folder / kShard1,
          safetensors_file(
              R"({"w.weight":{"dtype":"F8_E4M3","shape":[130,3],"data_offsets":[0,390]},
                    "norm.weight":{"dtype":"BF16","shape":[3],"data_offsets":[390,396]}})",
              396));
    spill(folder / kShard2,
          safetensors_file(
              R"({"w.weight_scale_inv":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", 8));
}

void replace_in(const fs::path& path, std::string_view from, std::string_view to) {
    std::string text = slurp(path);
    const size_t place = text.find(from);
    ASSERT_NE(place, std::string::npos) << from << " is not in " << path;
    spill(path, text.replace(place, from.size(), to));
}

/// Writes the second shard anew.
void scales(const fs::path& folder, const std::string& header, size_t n_data) {
    spill(folder / kShard2, safetensors_file(header, n_data));
}

struct Broken {
    const char* name;
    std::function<void(const fs::path& folder)> mutate;
    ErrorCode code;
    const char* message;
    const char* open = "";  ///< what is opened, in the folder
};

void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

class BrokenTest : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenTest, gives_one_clear_line) {
    const Broken& broken = GetParam();
    const TempFolder folder;
    make_folder(folder.path());
    ASSERT_TRUE(open_checkpoint(folder.path()).ok());
    broken.mutate(folder.path());
    const auto checkpoint = open_checkpoint(folder.path() / broken.open);
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_EQ(checkpoint.error().code, broken.code) << checkpoint.error().message;
    EXPECT_THAT(checkpoint.error().message, HasSubstr(folder.path().string()));
    EXPECT_THAT(checkpoint.error().message, HasSubstr(broken.message));
    EXPECT_EQ(checkpoint.error().message.find('\n'), std::string::npos);
}

std::string param_name(const ::testing::TestParamInfo<Broken>& broken) { return broken.param.name; }

constexpr ErrorCode kCorrupt = ErrorCode::kCorrupt;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Config, BrokenTest,
    ::testing::Values(
        Broken{"config_is_empty", [](auto& f) { spill(f / "config.json", ""); }, kCorrupt,
               "config.json"},
        Broken{"config_is_cut", [](auto& f) { spill(f / "config.json", "{\"a\":"); }, kCorrupt,
               "config.json"},
        Broken{"config_holds_nan", [](auto& f) { spill(f / "config.json", "{\"a\":NaN}"); },
               kCorrupt, "config.json"},
        Broken{"config_holds_infinity",
               [](auto& f) { spill(f / "config.json", "{\"a\":Infinity}"); }, kCorrupt,
               "config.json"},
        Broken{"config_is_an_array", [](auto& f) { spill(f / "config.json", "[1]"); }, kCorrupt,
               "expected a JSON object"},
        Broken{"config_has_a_key_twice",
               [](auto& f) { spill(f / "config.json", R"({"a":1,"a":2})"); }, kCorrupt,
               "config.json"},
        Broken{"config_is_deep",
               [](auto& f) { spill(f / "config.json", std::string(100000, '[')); }, kUnsupported,
               "config.json"},
        Broken{"config_is_a_folder",
               [](auto& f) {
                   fs::remove(f / "config.json");
                   fs::create_directory(f / "config.json");
               },
               ErrorCode::kInvalidArgument, "expected a file, found a directory"},
        Broken{"config_dangles",
               [](auto& f) {
                   fs::remove(f / "config.json");
                   fs::create_symlink("nowhere", f / "config.json");
               },
               ErrorCode::kNotFound, "config.json"},
        Broken{"generation_config_is_cut",
               [](auto& f) { spill(f / "generation_config.json", "{"); }, kCorrupt,
               "generation_config.json"},
        Broken{"quantised_by_something_else",
               [](auto& f) { replace_in(f / "config.json", "\"fp8\"", "\"awq\""); }, kUnsupported,
               "expected \"fp8\", found \"awq\""},
        Broken{"quant_method_missing",
               [](auto& f) { replace_in(f / "config.json", "quant_method", "other"); },
               kUnsupported, "found none"},
        Broken{"quantization_is_a_number",
               [](auto& f) { spill(f / "config.json", R"({"quantization_config":8})"); }, kCorrupt,
               "expected an object, found 8"},
        Broken{"quantised_as_e5m2", [](auto& f) { replace_in(f / "config.json", "e4m3", "e5m2"); },
               kUnsupported, "expected \"e4m3\""},
        Broken{"blocks_of_64",
               [](auto& f) { replace_in(f / "config.json", "[128,128]", "[64,64]"); }, kUnsupported,
               "expected [128, 128], found [64,64]"},
        Broken{"block_size_of_nulls",
               [](auto& f) { replace_in(f / "config.json", "[128,128]", "[null,1.5]"); },
               kUnsupported, "found [null,1.5]"}),
    param_name);

INSTANTIATE_TEST_SUITE_P(
    Index, BrokenTest,
    ::testing::Values(
        Broken{"index_is_cut", [](auto& f) { spill(f / kIndex, R"({"weight_map":{"a":)"); },
               kCorrupt, kIndex},
        Broken{"index_has_no_map", [](auto& f) { spill(f / kIndex, R"({"metadata":{}})"); },
               kCorrupt, "weight_map"},
        Broken{"map_is_empty", [](auto& f) { spill(f / kIndex, R"({"weight_map":{}})"); }, kCorrupt,
               "weight_map is empty"},
        Broken{"map_is_an_array", [](auto& f) { spill(f / kIndex, R"({"weight_map":[1]})"); },
               kCorrupt, kIndex},
        Broken{"shard_is_a_number", [](auto& f) { spill(f / kIndex, R"({"weight_map":{"a":1}})"); },
               kCorrupt, "tensor a: expected the name of a file"},
        Broken{"shard_outside_the_folder",
               [](auto& f) { replace_in(f / kIndex, kShard2, "../../etc/passwd"); }, kCorrupt,
               "expected the name of a file in this folder"},
        Broken{"shard_is_dot_dot", [](auto& f) { replace_in(f / kIndex, kShard2, ".."); }, kCorrupt,
               "expected the name of a file in this folder"},
        Broken{"shard_is_absolute", [](auto& f) { replace_in(f / kIndex, kShard2, "/dev/zero"); },
               kCorrupt, "expected the name of a file in this folder"},
        Broken{"shard_with_a_nul_byte",
               [](auto& f) { replace_in(f / kIndex, kShard2, "a\\u0000b"); }, kCorrupt,
               "expected the name of a file in this folder"},
        Broken{"shard_with_a_newline", [](auto& f) { replace_in(f / kIndex, kShard2, "a\\nb"); },
               kCorrupt, "expected the name of a file in this folder"},
        Broken{"shard_missing", [](auto& f) { fs::remove(f / kShard2); }, ErrorCode::kNotFound,
               kShard2},
        Broken{"shard_dangles",
               [](auto& f) {
                   fs::remove(f / kShard2);
                   fs::create_symlink("nowhere", f / kShard2);
               },
               ErrorCode::kNotFound, kShard2},
        Broken{"tensor_not_in_its_shard",
               [](auto& f) { replace_in(f / kIndex, "norm.weight\"", "other.weight\""); }, kCorrupt,
               "tensor other.weight should be in"},
        Broken{"tensor_twice_in_the_index",
               [](auto& f) { replace_in(f / kIndex, "\"norm.weight", "\"w.weight"); }, kCorrupt,
               "is there twice"},
        Broken{"tensor_in_two_shards",
               [](auto& f) {
                   fs::copy(f / kShard1, f / "model-3.safetensors");
                   replace_in(f / kIndex, fmt::format("\"norm.weight\":\"{}\"", kShard1),
                              "\"norm.weight\":\"model-3.safetensors\"");
               },
               kCorrupt, "is there twice"},
        Broken{"too_many_shards",
               [](auto& f) {
                   std::string map;
                   for (int i = 0; i < 5000; ++i) {
                       map += fmt::format("{}\"{}\":\"{}\"", i == 0 ? "" : ",", i, i);
                   }
                   spill(f / kIndex, fmt::format(R"({{"weight_map":{{{}}}}})", map));
               },
               kUnsupported, "more than 4096 shards"},
        Broken{"neither_weights_nor_index",
               [](auto& f) {
                   fs::remove(f / kIndex);
                   spill(f / "pytorch_model.bin", "x");
               },
               ErrorCode::kNotFound, "expected model.safetensors or model.safetensors.index.json"}),
    param_name);

INSTANTIATE_TEST_SUITE_P(
    Shards, BrokenTest,
    ::testing::Values(
        Broken{"shard_is_empty", [](auto& f) { spill(f / kShard1, ""); }, kCorrupt, "0 bytes"},
        Broken{"shard_is_cut", [](auto& f) { fs::resize_file(f / kShard1, 500); }, kCorrupt,
               "truncated"},
        Broken{"header_is_cut", [](auto& f) { fs::resize_file(f / kShard1, 50); }, kCorrupt,
               "header length"},
        Broken{"shard_is_longer", [](auto& f) { spill(f / kShard1, slurp(f / kShard1) + "x"); },
               kCorrupt, "expected no bytes after the tensors"},
        Broken{"shard_is_a_folder",
               [](auto& f) {
                   fs::remove(f / kShard1);
                   fs::create_directory(f / kShard1);
               },
               ErrorCode::kInvalidArgument, "expected a file, found a directory"},
        Broken{"shard_is_a_fifo",
               [](auto& f) {
                   fs::remove(f / kShard1);
                   ASSERT_EQ(::mkfifo((f / kShard1).c_str(), 0600), 0);
               },
               ErrorCode::kInvalidArgument, "found a FIFO"}),
    param_name);

INSTANTIATE_TEST_SUITE_P(
    Scales, BrokenTest,
    ::testing::Values(
        Broken{
            "scales_of_the_wrong_shape",
            [](auto& f) {
                scales(
                    f,
                    R"({"w.weight_scale_inv":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
                    8);
            },
            kCorrupt,
            "expected shape [2, 1] for 128 x 128 blocks of w.weight [130, 3], found [1, 2]"},
        Broken{"scales_of_rank_1",
               [](auto& f) {
                   scales(
                       f,
                       R"({"w.weight_scale_inv":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                       8);
               },
               kCorrupt, "found [2]"},
        Broken{
            "scales_in_f16",
            [](auto& f) {
                scales(
                    f,
                    R"({"w.weight_scale_inv":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}})",
                    4);
            },
            kUnsupported, "expected F32 or BF16, found f16"},
        Broken{"scales_without_weight",
               [](auto& f) {
                   replace_in(f / kShard1, "\"w.weight\"", "\"v.weight\"");
                   replace_in(f / kIndex, "\"w.weight\"", "\"v.weight\"");
               },
               kCorrupt, "there is no weight beside these scales"},
        Broken{"scales_missing",
               [](auto& f) {
                   scales(f, R"({"other":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", 8);
                   replace_in(f / kIndex, "w.weight_scale_inv", "other");
               },
               kCorrupt, "w.weight_scale_inv is missing"},
        Broken{"scales_of_a_bf16_weight",
               [](auto& f) {
                   scales(f,
                          R"({"norm.weight_scale_inv":
                              {"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})",
                          8);
                   replace_in(f / kIndex, "w.weight_scale_inv", "norm.weight_scale_inv");
               },
               kUnsupported, "norm.weight is bf16"},
        Broken{"scaled_weight_of_rank_1",
               [](auto& f) { replace_in(f / kShard1, "[130,3]", "[390]  "); }, kUnsupported,
               "expected a matrix"}),
    param_name);

/// The first of two parts; `mutate` may spoil either.
void make_split(const fs::path& folder, uint16_t first_no = 0, uint16_t second_count = 2,
                uint32_t n_tensors = 2) {
    const auto part = [&](const char* name, uint16_t no, uint16_t count, const char* tensor) {
        spill(folder / name, GgufBuilder()
                                 .scalar("split.no", 2, no)
                                 .scalar("split.count", 2, count)
                                 .scalar("split.tensors.count", 5, n_tensors)
                                 .tensor(tensor, {4}, 0, 0)
                                 .build(16));
    };
    part("m-00001-of-00002.gguf", first_no, 2, "a");
    part("m-00002-of-00002.gguf", 1, second_count, "b");
}

INSTANTIATE_TEST_SUITE_P(
    Paths, BrokenTest,
    ::testing::Values(
        Broken{"nothing_there", [](auto&) {}, ErrorCode::kNotFound, "No such file", "nothing"},
        Broken{"path_through_a_file", [](auto&) {}, ErrorCode::kNotFound, "Not a directory",
               "config.json/x"},
        Broken{"dangling_link", [](auto& f) { fs::create_symlink("nowhere", f / "link"); },
               ErrorCode::kNotFound, "No such file", "link"},
        Broken{"link_to_itself", [](auto& f) { fs::create_symlink("loop", f / "loop"); },
               ErrorCode::kIo, "symbolic links", "loop"},
        Broken{"fifo", [](auto& f) { ASSERT_EQ(::mkfifo((f / "x.gguf").c_str(), 0600), 0); },
               ErrorCode::kInvalidArgument, "found a FIFO", "x.gguf"},
        Broken{"empty_file", [](auto& f) { spill(f / "x.gguf", ""); }, kCorrupt, "is empty",
               "x.gguf"},
        Broken{"folder_named_gguf", [](auto& f) { fs::create_directory(f / "x.gguf"); },
               ErrorCode::kNotFound, "neither config.json nor a .gguf file", "x.gguf"},
        Broken{"gguf_by_name_only", [](auto& f) { spill(f / "x.gguf", "hello"); }, kCorrupt,
               "expected the magic \"GGUF\"", "x.gguf"},
        Broken{"some_other_file", [](auto& f) { spill(f / "x.bin", "PK\3\4"); }, kUnsupported,
               "not a model", "x.bin"},
        Broken{"gguf_lfs_pointer",
               [](auto& f) { spill(f / "x.gguf", "version https://git-lfs.github.com/spec/v1\n"); },
               kCorrupt, "git lfs pull", "x.gguf"},
        Broken{"safetensors_without_config", [](auto& f) { fs::remove(f / "config.json"); },
               ErrorCode::kNotFound, "config.json", kShard1},
        Broken{"folder_without_config", [](auto& f) { fs::remove(f / "config.json"); },
               ErrorCode::kNotFound, "neither config.json nor a .gguf file"},
        Broken{"two_ggufs",
               [](auto& f) {
                   fs::remove(f / "config.json");
                   spill(f / "a.gguf", GgufBuilder().build());
                   spill(f / "b.gguf", GgufBuilder().build());
               },
               ErrorCode::kInvalidArgument, "2 .gguf files (a.gguf, b.gguf, ...)"}),
    param_name);

INSTANTIATE_TEST_SUITE_P(
    Splits, BrokenTest,
    ::testing::Values(Broken{"part_missing",
                             [](auto& f) {
                                 make_split(f);
                                 fs::remove(f / "m-00002-of-00002.gguf");
                             },
                             ErrorCode::kNotFound, "part 2 of 2", "m-00001-of-00002.gguf"},
                      Broken{"part_renamed",
                             [](auto& f) {
                                 make_split(f);
                                 fs::rename(f / "m-00001-of-00002.gguf", f / "m.gguf");
                             },
                             kCorrupt, "should end in -00001-of-00002.gguf", "m.gguf"},
                      Broken{"part_of_the_wrong_number", [](auto& f) { make_split(f, 1); },
                             kCorrupt, "expected split.no 0", "m-00001-of-00002.gguf"},
                      Broken{"part_of_another_split", [](auto& f) { make_split(f, 0, 3); },
                             kCorrupt, "found 1 and 3", "m-00001-of-00002.gguf"},
                      Broken{"tensors_missing_in_the_split",
                             [](auto& f) { make_split(f, 0, 2, 7); }, kCorrupt,
                             "split.tensors.count is 7", "m-00001-of-00002.gguf"},
                      Broken{"part_repeated",
                             [](auto& f) {
                                 make_split(f);
                                 replace_in(f / "m-00002-of-00002.gguf", "b", "a");
                             },
                             kCorrupt, "tensor a at byte", "m-00001-of-00002.gguf"}),
    param_name);

/// Root may read everything: as root, the test becomes nobody for a while.
class Unprivileged {
  public:
    Unprivileged() : was_(::geteuid()) { changed_ = was_ == 0 && ::seteuid(65534) == 0; }
    Unprivileged(const Unprivileged&) = delete;
    Unprivileged& operator=(const Unprivileged&) = delete;
    ~Unprivileged() { EXPECT_TRUE(!changed_ || ::seteuid(was_) == 0); }

  private:
    uid_t was_;
    bool changed_ = false;
};

TEST(Permission, denied_is_one_line) {
    const TempFolder folder;
    make_folder(folder.path());
    fs::permissions(folder.path(), fs::perms(0755));
    fs::permissions(folder / kShard1, fs::perms::none);
    const Unprivileged nobody;
    const auto checkpoint = open_checkpoint(folder.path());
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_EQ(checkpoint.error().code, ErrorCode::kIo);
    EXPECT_THAT(checkpoint.error().message, HasSubstr(kShard1));
    EXPECT_THAT(checkpoint.error().message, HasSubstr("Permission denied"));
}

TEST(Permission, denied_on_the_folder_is_one_line) {
    const TempFolder folder;
    make_folder(folder.path());
    fs::permissions(folder.path(), fs::perms::none);
    const Unprivileged nobody;
    const auto checkpoint = open_checkpoint(folder.path());
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_EQ(checkpoint.error().code, ErrorCode::kIo);
    EXPECT_THAT(checkpoint.error().message, HasSubstr("Permission denied"));
}

TEST(Split, opens_from_any_part_and_from_its_folder) {
    const TempFolder folder;
    make_split(folder.path());
    for (const char* path : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", ""}) {
        const auto checkpoint = open_checkpoint(folder.path() / path);
        ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
        EXPECT_EQ((*checkpoint)->tensors().size(), 2U);
        EXPECT_EQ((*checkpoint)->gguf()->integer("split.no"), 0);
        EXPECT_EQ((*checkpoint)->find("b")->file, (folder / "m-00002-of-00002.gguf").string());
    }
}

}  // namespace
}  // namespace nereus
