// Edges of both file kinds that are legal and rare, or illegal and close to legal: tensors of no
// dimension or no element, alignments, lengths at the end of 64 bits, files cut at every byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "weights/checkpoint.h"
#include "weights/files/gguf_header.h"
#include "weights/files/safetensors_header.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

using testing::append;
using testing::append_text;
using testing::bytes_of;
using testing::GgufBuilder;
using ::testing::HasSubstr;
using testing::safetensors_file;
using testing::spill;
using testing::TempFolder;

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ4K = 12;
constexpr uint32_t kI8 = 24;

Result<GgufFile> gguf(const std::string& file) { return read_gguf(bytes_of(file), "x.gguf"); }

TEST(GgufEdges, a_tensor_without_dimensions_is_one_number) {
    const auto file = gguf(GgufBuilder().tensor("scalar", {}, kF32, 0).build(4));
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->tensors[0].shape.rank(), 0);
    EXPECT_EQ(file->tensors[0].data.size(), 4U);
}

TEST(GgufEdges, a_tensor_without_elements_has_no_bytes_even_at_the_end_of_the_file) {
    const auto file =
        gguf(GgufBuilder().tensor("a", {4}, kF32, 0).tensor("none", {4, 0}, kF32, 32).build(32));
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_TRUE(file->tensors[1].data.empty());
    EXPECT_FALSE(gguf(GgufBuilder().tensor("none", {4, 0}, kF32, 64).build(32)).ok())
        << "an offset beyond the end, though nothing is there";
}

TEST(GgufEdges, empty_tensors_may_share_an_offset_and_full_ones_may_not) {
    EXPECT_TRUE(gguf(GgufBuilder()
                         .tensor("none", {0}, kF32, 0)
                         .tensor("nothing", {0, 3}, kF32, 0)
                         .tensor("some", {4}, kF32, 0)
                         .build(16))
                    .ok());
    const auto both =
        gguf(GgufBuilder().tensor("a", {4}, kF32, 0).tensor("b", {1}, kF32, 0).build(16));
    ASSERT_FALSE(both.ok());
    EXPECT_THAT(both.error().message, HasSubstr("overlaps"));
}

TEST(GgufEdges, every_power_of_two_up_to_65536_aligns_and_nothing_else) {
    for (uint32_t alignment = 1; alignment <= 65536; alignment *= 2) {
        const std::string file = GgufBuilder()
                                     .u32("general.alignment", alignment)
                                     .tensor("a", {1}, kI8, 0)
                                     .tensor("b", {1}, kI8, alignment)
                                     .build(alignment + 1, alignment);
        const auto read = gguf(file);
        ASSERT_TRUE(read.ok()) << alignment << read.error().message;
        EXPECT_EQ(read->tensors[1].offset - read->tensors[0].offset, alignment);
        EXPECT_EQ(read->tensors[0].offset % alignment, 0U);
    }
    for (const uint32_t alignment : {0U, 3U, 24U, 33U, 65535U, 65537U, 131072U, ~0U}) {
        const auto read = gguf(GgufBuilder().u32("general.alignment", alignment).build());
        ASSERT_FALSE(read.ok()) << alignment;
        EXPECT_THAT(read.error().message, HasSubstr("general.alignment"));
    }
}

TEST(GgufEdges, an_alignment_of_another_integer_type_counts_and_of_text_does_not) {
    EXPECT_TRUE(gguf(GgufBuilder().scalar("general.alignment", 10, uint64_t{64}).build()).ok());
    EXPECT_FALSE(gguf(GgufBuilder().scalar("general.alignment", 11, int64_t{-64}).build()).ok());
    EXPECT_FALSE(gguf(GgufBuilder().scalar("general.alignment", 6, 32.0F).build()).ok());
    EXPECT_FALSE(gguf(GgufBuilder().texts("general.alignment", {"32"}).build()).ok());
}

TEST(GgufEdges, the_data_area_may_begin_at_the_very_end) {
    std::string file = GgufBuilder().build();
    file.resize(24);  // header only, not even padded
    EXPECT_TRUE(gguf(file).ok()) << "no tensors need no data";
}

std::string one_pair(std::string_view value_after_key, uint32_t type) {
    return GgufBuilder().raw("key", type, value_after_key).build();
}

TEST(GgufEdges, string_lengths_at_the_end_of_64_bits_are_refused_where_they_stand) {
    for (const uint64_t length :
         {~uint64_t{0}, ~uint64_t{0} - 7, uint64_t{1} << 63, uint64_t{1} << 40, uint64_t{1000}}) {
        std::string value;
        append(value, length);
        value += "short";
        const auto read = gguf(one_pair(value, 8));
        ASSERT_FALSE(read.ok()) << length;
        EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
        EXPECT_THAT(read.error().message, HasSubstr("x.gguf: key key"));
    }
}

TEST(GgufEdges, array_counts_whose_bytes_overflow_are_refused) {
    for (const uint32_t type : {0U, 4U, 8U, 10U, 12U}) {
        for (const uint64_t count :
             {~uint64_t{0}, uint64_t{1} << 61, (uint64_t{1} << 61) + 1, uint64_t{1} << 62}) {
            const auto read = gguf(GgufBuilder().array("key", type, count, "12345678").build());
            ASSERT_FALSE(read.ok()) << type << " " << count;
            EXPECT_THAT(read.error().message, HasSubstr("cannot fit"));
        }
    }
}

TEST(GgufEdges, arrays_of_arrays_are_named_as_unsupported) {
    std::string inner;
    append(inner, uint32_t{4});
    append(inner, uint64_t{1});
    append(inner, uint32_t{7});
    const auto read = gguf(GgufBuilder().array("nested", 9, 1, inner).build());
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(read.error().message, HasSubstr("nested"));
}

TEST(GgufEdges, dimensions_at_the_end_of_64_bits_never_wrap) {
    const uint64_t top = ~uint64_t{0};
    for (const std::vector<uint64_t>& dims : {std::vector<uint64_t>{top},
                                              {top, top},
                                              {uint64_t{1} << 32, uint64_t{1} << 32},
                                              {uint64_t{1} << 63, 2},
                                              {256, uint64_t{1} << 56},
                                              {0, top, top},
                                              {top, 0}}) {
        const auto read = gguf(GgufBuilder().tensor("big", dims, kQ4K, 0).build(144));
        ASSERT_FALSE(read.ok()) << dims[0];
        EXPECT_THAT(read.error().message, HasSubstr("big"));
    }
}

/// A whole little file of every kind of value, for cutting and for changing.
std::string rich_gguf() {
    return GgufBuilder()
        .text("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .scalar("flag", 7, uint8_t{1})
        .scalar("real", 12, 2.5)
        .texts("tokens", {"a", "bc", ""})
        .array("scores", 6, 2, std::string(8, '\1'))
        .tensor("w", {256, 2}, kQ4K, 0)
        .tensor("v", {3}, kF32, 288)
        .build(300);
}

TEST(GgufEdges, a_file_cut_at_any_byte_is_corrupt_and_never_read_beyond) {
    const std::string whole = rich_gguf();
    ASSERT_TRUE(gguf(whole).ok());
    for (size_t n = 0; n < whole.size(); ++n) {
        // A copy of exactly n bytes, so that a read beyond it is one that sanitizers see.
        const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
        const auto read = read_gguf(bytes_of({cut.data(), n}), "x.gguf");
        ASSERT_FALSE(read.ok()) << n;
        EXPECT_EQ(read.error().code, ErrorCode::kCorrupt) << n << read.error().message;
    }
}

TEST(GgufEdges, a_file_with_any_byte_changed_is_read_or_refused_in_one_line) {
    const std::string whole = rich_gguf();
    for (size_t at = 0; at < whole.size() - 300; ++at) {
        for (const int change : {0x01, 0x80, 0xff}) {
            std::string file = whole;
            file[at] = static_cast<char>(file[at] ^ change);
            const auto read = gguf(file);
            if (!read.ok()) {
                EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
                EXPECT_THAT(read.error().message, HasSubstr("x.gguf"));
                continue;
            }
            for (const StoredTensor& tensor : read->tensors) {
                EXPECT_LE(tensor.offset + tensor.data.size(), file.size());
            }
        }
    }
}

constexpr const char* kTwo = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
    "b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";

TEST(SafetensorsEdges, a_file_cut_at_any_byte_is_corrupt_and_never_read_beyond) {
    const std::string whole = safetensors_file(kTwo, 11);
    ASSERT_TRUE(read_safetensors_header(bytes_of(whole), "x").ok());
    for (size_t n = 0; n < whole.size(); ++n) {
        const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
        const auto read = read_safetensors_header(bytes_of({cut.data(), n}), "x");
        ASSERT_FALSE(read.ok()) << n;
        EXPECT_EQ(read.error().code, ErrorCode::kCorrupt) << n;
    }
}

TEST(SafetensorsEdges, a_file_with_any_byte_of_its_header_changed_is_read_or_refused) {
    const std::string whole = safetensors_file(kTwo, 11);
    for (size_t at = 0; at < whole.size() - 11; ++at) {
        for (int change = 1; change < 256; change += at < 8 ? 1 : 13) {
            std::string file = whole;
            file[at] = static_cast<char>(file[at] ^ change);
            const auto read = read_safetensors_header(bytes_of(file), "x.safetensors");
            if (!read.ok()) {
                EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
                EXPECT_THAT(read.error().message, HasSubstr("x.safetensors"));
                continue;
            }
            for (const StoredTensor& tensor : *read) {
                EXPECT_LE(tensor.offset + tensor.data.size(), file.size());
            }
        }
    }
}

TEST(SafetensorsEdges, tensors_need_no_alignment_of_their_own) {
    const auto read = read_safetensors_header(
        bytes_of(safetensors_file(R"({"byte":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
            "real":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                  5)),
        "x");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ((*read)[1].offset - (*read)[0].offset, 1U);
}

TEST(SafetensorsEdges, metadata_of_any_kind_is_passed_over) {
    for (const char* metadata :
         {"{}", R"({"format":"pt","deep":"{\"a\":[1]}"})", "null", "[[[]]]"}) {
        const std::string header = std::string(R"({"__metadata__":)") + metadata + "}";
        EXPECT_TRUE(read_safetensors_header(bytes_of(safetensors_file(header)), "x").ok())
            << metadata;
    }
}

/// A split of three whose parts say what they like of their number.
void make_parts(const TempFolder& folder, const std::vector<uint16_t>& counts) {
    for (size_t i = 0; i < 3; ++i) {
        GgufBuilder part;
        part.scalar("split.no", 2, static_cast<uint16_t>(i)).scalar("split.count", 2, counts[i]);
        part.tensor(std::string(1, static_cast<char>('a' + i)), {4}, kF32, 0);
        spill(folder / fmt::format("m-{:05}-of-00003.gguf", i + 1), part.build(16));
    }
}

TEST(SplitEdges, each_part_must_state_the_count_of_the_names) {
    for (const auto& [counts, opens] : {std::pair<std::vector<uint16_t>, bool>{{3, 3, 3}, true},
                                        {{3, 2, 3}, false},
                                        {{3, 3, 4}, false},
                                        {{2, 3, 3}, false},
                                        {{4, 4, 4}, false},
                                        {{3, 3, 0}, false}}) {
        const TempFolder folder;
        make_parts(folder, counts);
        const auto checkpoint = open_checkpoint(folder / "m-00001-of-00003.gguf");
        EXPECT_EQ(checkpoint.ok(), opens) << counts[0] << counts[1] << counts[2];
        if (!opens) {
            EXPECT_EQ(checkpoint.error().code, ErrorCode::kCorrupt);
            EXPECT_THAT(checkpoint.error().message, HasSubstr("split.count"));
        } else {
            EXPECT_EQ((*checkpoint)->tensors().size(), 3U);
        }
    }
}

TEST(SplitEdges, a_tensor_that_runs_past_its_part_is_not_continued_in_the_next) {
    const TempFolder folder;
    make_parts(folder, {3, 3, 3});
    GgufBuilder part;
    part.scalar("split.no", 2, uint16_t{1}).scalar("split.count", 2, uint16_t{3});
    spill(folder / "m-00002-of-00003.gguf", part.tensor("b", {8}, kF32, 0).build(16));
    const auto checkpoint = open_checkpoint(folder / "m-00001-of-00003.gguf");
    ASSERT_FALSE(checkpoint.ok());
    EXPECT_THAT(checkpoint.error().message, HasSubstr("m-00002-of-00003.gguf: tensor b"));
    EXPECT_THAT(checkpoint.error().message, HasSubstr("needs 32 bytes"));
}

}  // namespace
}  // namespace nereus
