#include "weights/files/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "weights/files/testing.h"

namespace nereus {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::safetensors_file;

Result<std::vector<StoredTensor>> read(const std::string& file) {
    return read_safetensors_header(bytes_of(file), "x.safetensors");
}

TEST(SafetensorsHeader, gives_each_tensor_its_bytes) {
    const std::string file = safetensors_file(
        R"({"__metadata__":{"format":"pt"},
            "b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},
            "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  )",
        16);
    const auto tensors = read(file);
    ASSERT_TRUE(tensors.ok()) << tensors.error().message;
    ASSERT_EQ(tensors->size(), 2U);
    const StoredTensor& a = (*tensors)[0];  // by offset, not by place in the header
    const StoredTensor& b = (*tensors)[1];
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.shape, Shape{});
    EXPECT_EQ(a.data.size(), 4U);
    EXPECT_EQ(b.format, FormatId::kBf16);
    EXPECT_EQ(b.shape, (Shape{{2, 3}}));
    EXPECT_EQ(b.data.data(), bytes_of(file).data() + file.size() - 12);
    EXPECT_EQ(b.offset, file.size() - 12);
    EXPECT_EQ(b.file, "x.safetensors");
}

TEST(SafetensorsHeader, knows_every_dtype_of_the_format) {
    const std::vector<std::pair<std::string, size_t>> dtypes = {
        {"F64", 8},  {"F32", 4},     {"F16", 2},     {"BF16", 2},   {"I64", 8}, {"I32", 4},
        {"I16", 2},  {"I8", 1},      {"U8", 1},      {"U16", 2},    {"U32", 4}, {"U64", 8},
        {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};
    for (const auto& [dtype, size] : dtypes) {
        const auto header = fmt::format(
            R"({{"x":{{"dtype":"{}","shape":[3],"data_offsets":[0,{}]}}}})", dtype, 3 * size);
        const auto tensors = read(safetensors_file(header, 3 * size));
        ASSERT_TRUE(tensors.ok()) << tensors.error().message;
        EXPECT_EQ((*tensors)[0].data.size(), 3 * size);
    }
}

TEST(SafetensorsHeader, accepts_empty_tensors_and_no_tensors) {
    EXPECT_TRUE(read(safetensors_file("{}")).ok());
    EXPECT_TRUE(read(safetensors_file(R"({"x":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},
                                          "y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                                      2))
                    .ok());
}

TEST(SafetensorsHeader, reads_as_many_tensors_as_v3_has) {
    std::string header = "{";
    for (int i = 0; i < 92'000; ++i) {
        header += fmt::format(
            R"({}"model.layers.{}.mlp.experts.{}.gate_proj.weight":
               {{"dtype":"U8","shape":[1,1],"data_offsets":[{},{}]}})",
            i == 0 ? "" : ",", i / 1000, i % 1000, i, i + 1);
    }
    const auto tensors = read(safetensors_file(header + "}", 92'000));
    ASSERT_TRUE(tensors.ok()) << tensors.error().message;
    EXPECT_EQ(tensors->size(), 92'000U);
}

struct Wrong {
    const char* name;
    std::string header;
    size_t n_data;
    ErrorCode code;
    const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongHeaderTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongHeaderTest, is_refused_with_a_reason) {
    const Wrong& wrong = GetParam();
    const auto tensors = read(safetensors_file(wrong.header, wrong.n_data));
    ASSERT_FALSE(tensors.ok());
    EXPECT_EQ(tensors.error().code, wrong.code) << tensors.error().message;
    EXPECT_THAT(tensors.error().message, HasSubstr("x.safetensors"));
    EXPECT_THAT(tensors.error().message, HasSubstr(wrong.message));
    EXPECT_EQ(tensors.error().message.find('\n'), std::string::npos);
}

constexpr ErrorCode kCorrupt = ErrorCode::kCorrupt;

/// One tensor "x" of these fields over 4 bytes of data.
Wrong field(const char* name, const char* fields, const char* message, ErrorCode code = kCorrupt) {
    return {name, std::string(R"({"x":{)") + fields + "}}", 4, code, message};
}

INSTANTIATE_TEST_SUITE_P(
    Fields, WrongHeaderTest,
    ::testing::Values(
        field("rank_9", R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])",
              "tensor x: shape: expected at most 8"),
        field("negative_dim", R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", "found [-1]"),
        field("float_dim", R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])", "found [1.0]"),
        field("huge_dim", R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4])",
              "found [18446744073709551616]"),
        field("dim_overflow",
              R"("dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4])",
              "larger than any file"),
        field("zero_times_huge",
              R"("dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,0])",
              "larger than any file"),
        field("shape_is_a_string", R"("dtype":"F32","shape":"1","data_offsets":[0,4])",
              "found \"1\""),
        field("shape_nan", R"("dtype":"F32","shape":[NaN],"data_offsets":[0,4])", "NaN"),
        field("trailing_comma", R"("dtype":"F32","shape":[1,],"data_offsets":[0,4])", "[1,]"),
        field("unknown_dtype", R"("dtype":"F4","shape":[1],"data_offsets":[0,4])",
              "dtype \"F4\" is not known", ErrorCode::kUnsupported),
        field("dtype_number", R"("dtype":7,"shape":[1],"data_offsets":[0,4])", "dtype 7",
              ErrorCode::kUnsupported),
        field("no_dtype", R"("shape":[1],"data_offsets":[0,4])", "is missing"),
        field("no_shape", R"("dtype":"F32","data_offsets":[0,4])", "is missing"),
        field("no_offsets", R"("dtype":"F32","shape":[1])", "is missing"),
        field("dtype_twice", R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])",
              "tensor x"),
        field("size_too_small", R"("dtype":"F32","shape":[2],"data_offsets":[0,4])",
              "hold 4 bytes; f32 [2] needs 8"),
        field("size_too_large", R"("dtype":"U8","shape":[2],"data_offsets":[0,4])", "needs 2"),
        field("offsets_backwards", R"("dtype":"F32","shape":[1],"data_offsets":[4,0])",
              "expected [begin, end]"),
        field("offsets_three", R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])",
              "expected [begin, end]"),
        field("offsets_one", R"("dtype":"F32","shape":[1],"data_offsets":[4])",
              "expected [begin, end]"),
        field("offsets_negative", R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])",
              "expected [begin, end]"),
        field("beyond_the_end", R"("dtype":"F32","shape":[2],"data_offsets":[0,8])",
              "truncated; download it again"),
        field("gap_at_the_end", R"("dtype":"U8","shape":[2],"data_offsets":[0,2])",
              "expected no bytes after the tensors"),
        field("gap_at_the_start", R"("dtype":"U8","shape":[2],"data_offsets":[2,4])",
              "belong to no tensor")),
    [](const auto& wrong) { return wrong.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Text, WrongHeaderTest,
    ::testing::Values(Wrong{"overlap",
                            R"({"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},
                  "y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                            4, kCorrupt, "tensor y at byte"},
                      Wrong{"not_an_object", "[]", 0, kCorrupt, "header"},
                      Wrong{"empty", "", 0, kCorrupt, "header"},
                      Wrong{"unclosed", R"({"x":{"dtype":"F32")", 0, kCorrupt, "header"},
                      Wrong{"text_after", "{} x", 0, kCorrupt, "header"},
                      Wrong{"entry_is_a_number", R"({"x":1})", 0, kCorrupt, "tensor x: expected {"},
                      Wrong{"invalid_utf8", "{\"\xff\":1}", 0, kCorrupt, "header"},
                      Wrong{"name_with_newline", "{\"a\\nb\\u001b[31m\":1}", 0, kCorrupt,
                            "tensor a?b?[31m:"}),
    [](const auto& wrong) { return wrong.param.name; });

TEST(SafetensorsHeader, refuses_a_length_beyond_the_file) {
    std::string file;
    testing::append(file, uint64_t{1000});
    const auto tensors = read(file + "{}");
    ASSERT_FALSE(tensors.ok());
    EXPECT_THAT(tensors.error().message,
                HasSubstr("header length 1000 at byte 0, but only 2 bytes"));
}

TEST(SafetensorsHeader, refuses_an_absurd_length_before_looking_further) {
    std::string file;
    testing::append(file, ~uint64_t{0});
    const auto tensors = read(file + "{}");
    ASSERT_FALSE(tensors.ok());
    EXPECT_THAT(tensors.error().message, HasSubstr("over the limit of 100000000"));
}

TEST(SafetensorsHeader, refuses_a_file_shorter_than_its_length_field) {
    const auto tensors = read("1234567");
    ASSERT_FALSE(tensors.ok());
    EXPECT_THAT(tensors.error().message, HasSubstr("7 bytes"));
}

TEST(SafetensorsHeader, recognises_a_git_lfs_pointer) {
    const auto tensors =
        read("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    ASSERT_FALSE(tensors.ok());
    EXPECT_THAT(tensors.error().message, HasSubstr("git lfs pull"));
}

}  // namespace
}  // namespace nereus
