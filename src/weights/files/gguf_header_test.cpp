#include "weights/files/gguf_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "weights/files/testing.h"

namespace nereus {
namespace {

using testing::bytes_of;
using ::testing::ElementsAre;
using testing::GgufBuilder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ8_0 = 8;
constexpr uint32_t kQ4K = 12;

TEST(Gguf, gives_tensors_with_the_slowest_dimension_first) {
    const std::string file = GgufBuilder()
                                 .tensor("experts", {32, 3, 2}, kQ8_0, 32)
                                 .tensor("norm", {4}, kF32, 0)
                                 .build(32 + 6 * 34);
    const auto gguf = read_gguf(bytes_of(file), "x.gguf");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    ASSERT_EQ(gguf->tensors.size(), 2U);
    EXPECT_EQ(gguf->tensors[0].name, "norm");  // by offset
    const StoredTensor& experts = gguf->tensors[1];
    EXPECT_EQ(experts.shape, (Shape{{2, 3, 32}}));
    EXPECT_EQ(experts.format, FormatId::kQ8_0);
    EXPECT_EQ(experts.data.size(), 6U * 34U);
    EXPECT_EQ(experts.data[0], std::byte{32});
    EXPECT_EQ(experts.offset, file.size() - 6 * 34);
}

TEST(Gguf, keeps_the_alignment_the_file_asks_for) {
    const std::string file =
        GgufBuilder().u32("general.alignment", 128).tensor("x", {4}, kF32, 128).build(144, 128);
    const auto gguf = read_gguf(bytes_of(file), "x.gguf");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    EXPECT_EQ(gguf->tensors[0].data[0], std::byte{128});
}

TEST(Gguf, reads_version_2) {
    GgufBuilder builder;
    builder.version = 2;
    EXPECT_TRUE(read_gguf(bytes_of(builder.tensor("x", {4}, kF32, 0).build(16)), "x.gguf").ok());
}

TEST(GgufValues, integers_of_every_type_are_integers) {
    const std::string file = GgufBuilder()
                                 .scalar("u8", 0, uint8_t{200})
                                 .scalar("i8", 1, int8_t{-3})
                                 .scalar("u16", 2, uint16_t{60000})
                                 .scalar("i16", 3, int16_t{-30000})
                                 .scalar("u32", 4, uint32_t{4000000000})
                                 .scalar("i32", 5, int32_t{-5})
                                 .scalar("bool", 7, uint8_t{1})
                                 .scalar("u64", 10, uint64_t{1} << 40)
                                 .scalar("i64", 11, int64_t{-7})
                                 .scalar("f32", 6, 1.5F)
                                 .scalar("huge", 10, ~uint64_t{0})
                                 .build();
    const auto gguf = read_gguf(bytes_of(file), "x.gguf");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    const GgufMetadata& values = *gguf->metadata;
    EXPECT_EQ(values.integer("u8"), 200);
    EXPECT_EQ(values.integer("i8"), -3);
    EXPECT_EQ(values.integer("u16"), 60000);
    EXPECT_EQ(values.integer("i16"), -30000);
    EXPECT_EQ(values.integer("u32"), 4000000000);
    EXPECT_EQ(values.integer("i32"), -5);
    EXPECT_EQ(values.integer("bool"), 1);
    EXPECT_EQ(values.integer("u64"), int64_t{1} << 40);
    EXPECT_EQ(values.integer("i64"), -7);
    EXPECT_EQ(values.integer("f32"), std::nullopt);
    EXPECT_EQ(values.integer("huge"), std::nullopt);
    EXPECT_EQ(values.integer("absent"), std::nullopt);
    EXPECT_EQ(values.number("i8"), -3.0);
    EXPECT_EQ(values.number("f32"), 1.5);
}

TEST(GgufValues, strings_and_arrays_are_given_only_as_what_they_are) {
    const std::string file = GgufBuilder()
                                 .text("name", "tiny")
                                 .text("empty", "")
                                 .texts("tokens", {"a", "", "\xff"})
                                 .array("numbers", 6, 2, std::string("\0\0\x80\x3f\0\0\0\xc0", 8))
                                 .scalar("f64", 12, 0.25)
                                 .build();
    const auto gguf = read_gguf(bytes_of(file), "x.gguf");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    const GgufMetadata& values = *gguf->metadata;
    EXPECT_EQ(values.string("name"), "tiny");
    EXPECT_EQ(values.string("empty"), "");
    EXPECT_EQ(values.string("tokens"), std::nullopt);
    EXPECT_EQ(values.string("f64"), std::nullopt);
    EXPECT_THAT(values.strings("tokens"), ElementsAre("a", "", "\xff"));
    EXPECT_THAT(values.strings("numbers"), IsEmpty());
    EXPECT_THAT(values.numbers("numbers"), ElementsAre(1.0, -2.0));
    EXPECT_THAT(values.numbers("tokens"), IsEmpty());
    EXPECT_THAT(values.numbers("f64"), IsEmpty());
    EXPECT_EQ(values.number("f64"), 0.25);
    EXPECT_TRUE(values.contains("tokens"));
    EXPECT_FALSE(values.contains("token"));
}

TEST(GgufValues, a_large_vocabulary_stays_in_the_mapping) {
    std::vector<std::string> tokens(128'000);
    for (size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = std::to_string(i);
    }
    const std::string file = GgufBuilder().texts("tokens", tokens).build();
    const auto gguf = read_gguf(bytes_of(file), "x.gguf");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    const auto views = gguf->metadata->strings("tokens");
    ASSERT_EQ(views.size(), tokens.size());
    EXPECT_EQ(views[127'999], "127999");
    EXPECT_GE(views[5].data(), file.data());
    EXPECT_LT(views[5].data(), file.data() + file.size());
}

struct Wrong {
    const char* name;
    std::function<std::string()> file;
    const char* message;
    ErrorCode code = ErrorCode::kCorrupt;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongGgufTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongGgufTest, is_refused_with_a_reason) {
    const Wrong& wrong = GetParam();
    const std::string file = wrong.file();
    const auto gguf = read_gguf(bytes_of(file), "x.gguf");
    ASSERT_FALSE(gguf.ok());
    EXPECT_EQ(gguf.error().code, wrong.code) << gguf.error().message;
    EXPECT_THAT(gguf.error().message, HasSubstr("x.gguf"));
    EXPECT_THAT(gguf.error().message, HasSubstr(wrong.message));
    EXPECT_EQ(gguf.error().message.find('\n'), std::string::npos);
}

std::string with_version(uint32_t version) {
    GgufBuilder builder;
    builder.version = version;
    return builder.build();
}

std::string with_counts(uint64_t n_tensors, uint64_t n_values) {
    GgufBuilder builder;
    builder.n_tensors = n_tensors;
    builder.n_values = n_values;
    return builder.u32("a", 1).build(64);
}

INSTANTIATE_TEST_SUITE_P(
    Header, WrongGgufTest,
    ::testing::Values(
        Wrong{"wrong_magic", [] { return "GGML" + GgufBuilder().build().substr(4); }, "magic"},
        Wrong{"version_1", [] { return with_version(1); }, "version 1 at byte 4",
              ErrorCode::kUnsupported},
        Wrong{"version_4", [] { return with_version(4); }, "expected 2 or 3",
              ErrorCode::kUnsupported},
        Wrong{"big_endian", [] { return with_version(0x03000000); }, "big-endian",
              ErrorCode::kUnsupported},
        Wrong{"cut_in_the_header", [] { return GgufBuilder().build().substr(0, 20); },
              "24 bytes of the header"},
        Wrong{"huge_tensor_count", [] { return with_counts(1ULL << 60, 1); },
              "1152921504606846976 tensors cannot"},
        Wrong{"huge_value_count", [] { return with_counts(0, ~0ULL); }, "metadata keys cannot fit"},
        Wrong{"one_tensor_too_many", [] { return with_counts(2, 1).substr(0, 80); }, "tensor"}),
    [](const auto& wrong) { return wrong.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, WrongGgufTest,
    ::testing::Values(
        Wrong{"key_twice", [] { return GgufBuilder().u32("a", 1).u32("a", 1).build(); },
              "key a at byte 41 is there twice"},
        Wrong{"empty_key", [] { return GgufBuilder().u32("", 1).build(); }, "an empty one"},
        Wrong{"key_beyond_the_end",
              [] {
                  std::string file = GgufBuilder().u32("a", 1).build();
                  file[24] = '\x7f';
                  return file;
              },
              "a length beyond the end"},
        Wrong{"unknown_type", [] { return GgufBuilder().raw("a", 13, "12345678").build(); },
              "value type 13", ErrorCode::kUnsupported},
        Wrong{"nested_array", [] { return GgufBuilder().array("a", 9, 1, "").build(64); },
              "array of arrays", ErrorCode::kUnsupported},
        Wrong{"huge_array", [] { return GgufBuilder().array("a", 0, ~0ULL, "").build(); },
              "18446744073709551615 values"},
        Wrong{"huge_string_array",
              [] { return GgufBuilder().array("a", 8, 1ULL << 61, "").build(); }, "cannot fit"},
        Wrong{"string_beyond_the_end",
              [] { return GgufBuilder().raw("a", 8, std::string(8, '\x7f')).build(); },
              "string 0 of 1"},
        Wrong{"second_string_beyond_the_end",
              [] {
                  return GgufBuilder()
                      .array("a", 8, 2, std::string(8, '\0') + std::string(8, '\x7f'))
                      .build();
              },
              "string 1 of 2"},
        Wrong{"bool_of_two", [] { return GgufBuilder().scalar("a", 7, uint8_t{2}).build(); },
              "expected a bool of 0 or 1, found 2"},
        Wrong{"cut_in_a_value",
              [] { return GgufBuilder().scalar("abc", 10, 1ULL).build().substr(0, 43); },
              "key abc"},
        Wrong{"alignment_of_three",
              [] { return GgufBuilder().u32("general.alignment", 3).build(); }, "power of two"},
        Wrong{"alignment_of_zero", [] { return GgufBuilder().u32("general.alignment", 0).build(); },
              "power of two"},
        Wrong{"alignment_is_text",
              [] { return GgufBuilder().text("general.alignment", "32").build(); },
              "power of two"}),
    [](const auto& wrong) { return wrong.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tensors, WrongGgufTest,
    ::testing::Values(
        Wrong{"rank_5", [] { return GgufBuilder().tensor("x", {1, 1, 1, 1, 1}, kF32, 0).build(4); },
              "5 dimensions"},
        Wrong{"no_name", [] { return GgufBuilder().tensor("", {1}, kF32, 0).build(4); },
              "expected a name"},
        Wrong{
            "product_overflow",
            [] { return GgufBuilder().tensor("x", {1ULL << 32, 1ULL << 32, 4}, kF32, 0).build(4); },
            "larger than any file"},
        Wrong{"unknown_type", [] { return GgufBuilder().tensor("x", {4}, 99, 0).build(16); },
              "tensor x: number type 99 (unknown)", ErrorCode::kUnsupported},
        Wrong{"unsupported_type", [] { return GgufBuilder().tensor("x", {256}, 23, 0).build(136); },
              "number type 23 (IQ4_XS)", ErrorCode::kUnsupported},
        Wrong{"part_of_a_block",
              [] { return GgufBuilder().tensor("x", {100}, kQ4K, 0).build(144); },
              "not whole blocks of 256"},
        Wrong{"blocks_across_rows",
              [] { return GgufBuilder().tensor("x", {16, 2}, kQ8_0, 0).build(34); },
              "rows of 16 numbers"},
        Wrong{"offset_not_aligned",
              [] { return GgufBuilder().tensor("x", {4}, kF32, 4).build(32); },
              "not a multiple of the alignment 32"},
        Wrong{"name_with_newline",
              [] { return GgufBuilder().tensor("a\n\x1b[31m", {4}, kF32, 4).build(32); },
              "tensor a??[31m: offset 4"},
        Wrong{"offset_beyond_the_end",
              [] { return GgufBuilder().tensor("x", {4}, kF32, 1ULL << 40).build(16); },
              "truncated; download it again"},
        Wrong{"offset_overflow",
              [] { return GgufBuilder().tensor("x", {4}, kF32, ~0ULL - 31).build(16); },
              "truncated; download it again"},
        Wrong{"data_cut", [] { return GgufBuilder().tensor("x", {8}, kF32, 0).build(31); },
              "needs 32 bytes at byte"},
        Wrong{"overlap",
              [] {
                  return GgufBuilder()
                      .tensor("x", {16}, kF32, 0)
                      .tensor("y", {4}, kF32, 32)
                      .build(64);
              },
              "tensor y at byte 128 overlaps x, which ends at byte 160"},
        Wrong{"cut_in_the_table",
              [] { return GgufBuilder().tensor("x", {4, 4, 4}, kF32, 0).build().substr(0, 60); },
              "entry 0 of the tensor table"}),
    [](const auto& wrong) { return wrong.param.name; });

}  // namespace
}  // namespace nereus
