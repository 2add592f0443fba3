// Files written and read at any place: what lies where, what is zeros, and what an error names.

#include "base/input_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "base/file.h"
#include "base/rng.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A folder below the working folder: its file system has direct reads where the machine has any.
class PlacedFile : public testing::Test {
  protected:
    PlacedFile() { fs::create_directories(folder_); }
    ~PlacedFile() override { fs::remove_all(folder_); }

    static std::vector<std::byte> random_bytes(size_t n, uint64_t seed) {
        std::vector<std::byte> bytes(n);
        for (size_t i = 0; i < n; ++i) {
            bytes[i] = static_cast<std::byte>(random_bits(seed, 0, i));
        }
        return bytes;
    }
    std::vector<std::byte> content() const {
        const std::string text = read_file(path_, 1 << 24).value();
        std::vector<std::byte> bytes(text.size());
        std::memcpy(bytes.data(), text.data(), text.size());
        return bytes;
    }

    fs::path folder_ = fs::current_path() / fmt::format("input_file_test.{}", ::getpid());
    fs::path path_ = folder_ / "file";
};

TEST_F(PlacedFile, writes_in_any_order_leave_what_a_vector_would_have) {
    OutputFile file = OutputFile::open(path_).value();
    std::vector<std::byte> expected;
    for (uint64_t step = 0; step < 60; ++step) {
        const uint64_t offset = random_bits(1, 1, step) % 50'000;
        const auto piece = random_bytes(random_bits(1, 2, step) % 9000, step);
        ASSERT_TRUE(file.write_at(offset, piece).ok());
        if (!piece.empty()) {
            expected.resize(std::max(expected.size(), offset + piece.size()));
            std::copy(piece.begin(), piece.end(),
                      expected.begin() + static_cast<std::ptrdiff_t>(offset));
        }
    }
    ASSERT_TRUE(file.sync().ok());
    EXPECT_EQ(file.size().value(), expected.size());
    EXPECT_EQ(content(), expected) << "gaps read as zeros";
}

TEST_F(PlacedFile, opening_keeps_what_is_there_and_resizing_cuts_or_adds_zeros) {
    const auto bytes = random_bytes(10'000, 3);
    {
        ASSERT_TRUE(OutputFile::open(path_).value().write_at(0, bytes).ok());
    }
    OutputFile file = OutputFile::open(path_).value();
    EXPECT_EQ(content(), bytes);
    ASSERT_TRUE(file.resize(4000).ok());
    ASSERT_TRUE(file.resize(6000).ok());
    auto expected = bytes;
    expected.resize(4000);
    expected.resize(6000);
    EXPECT_EQ(content(), expected);
    OutputFile moved = std::move(file);
    ASSERT_TRUE(moved.write_at(5999, std::span(bytes).first(1)).ok());
    EXPECT_EQ(moved.path(), path_);
    EXPECT_EQ(content().back(), bytes[0]);
}

TEST_F(PlacedFile, what_cannot_be_opened_for_writing_is_an_error_that_names_it) {
    for (const auto& [path, code] :
         {std::pair{folder_, ErrorCode::kIo}, {folder_ / "none" / "file", ErrorCode::kNotFound}}) {
        const auto file = OutputFile::open(path);
        ASSERT_FALSE(file.ok()) << path;
        EXPECT_EQ(file.error().code, code) << path;
        EXPECT_THAT(file.error().message, HasSubstr(path.string()));
    }
}

TEST_F(PlacedFile, reads_of_any_range_give_its_bytes_with_and_without_the_page_cache) {
    const auto bytes = random_bytes(70'001, 5);
    {
        ASSERT_TRUE(OutputFile::open(path_).value().write_at(0, bytes).ok());
    }
    for (const PageCache cache : {PageCache::kUse, PageCache::kAvoid}) {
        const InputFile file = InputFile::open(path_, cache).value();
        EXPECT_EQ(file.n_bytes(), bytes.size());
        for (const auto& [offset, n] : std::vector<std::pair<size_t, size_t>>{{0, 0},
                                                                              {0, 1},
                                                                              {0, 4096},
                                                                              {1, 4096},
                                                                              {4095, 2},
                                                                              {8192, 8192},
                                                                              {70'000, 1},
                                                                              {70'001, 0},
                                                                              {65'536, 4465},
                                                                              {0, 70'001},
                                                                              {12'345, 50'000}}) {
            std::vector<std::byte> out(n);
            const Status read = file.read_at(offset, out);
            ASSERT_TRUE(read.ok()) << read.error().message;
            EXPECT_TRUE(std::equal(out.begin(), out.end(),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(offset)))
                << n << " at " << offset << ", direct " << file.is_direct();
        }
        file.leave_page_cache();  // and the bytes are still there
        std::vector<std::byte> again(bytes.size());
        ASSERT_TRUE(file.read_at(0, again).ok());
        EXPECT_EQ(again, bytes);
    }
}

TEST_F(PlacedFile, a_read_beyond_the_end_names_offset_expected_and_found) {
    {
        ASSERT_TRUE(OutputFile::open(path_).value().write_at(0, random_bytes(5000, 6)).ok());
    }
    for (const PageCache cache : {PageCache::kUse, PageCache::kAvoid}) {
        const InputFile file = InputFile::open(path_, cache).value();
        std::vector<std::byte> out(2000);
        const Status read = file.read_at(4000, out);
        ASSERT_FALSE(read.ok());
        EXPECT_EQ(read.error().code, ErrorCode::kIo);
        EXPECT_THAT(read.error().message, HasSubstr(path_.string()));
        EXPECT_THAT(read.error().message, HasSubstr("5000 bytes long"));
    }
}

TEST_F(PlacedFile, a_failed_read_is_worded_with_the_systems_reason) {
    {
        ASSERT_TRUE(OutputFile::open(path_).value().write_at(0, random_bytes(10, 7)).ok());
    }
    const InputFile file = InputFile::open(path_, PageCache::kUse).value();
    const Error failed = read_error(file, 4096, 512, -EIO);
    EXPECT_EQ(failed.code, ErrorCode::kIo);
    EXPECT_THAT(failed.message, HasSubstr("512 bytes at offset 4096: Input/output error"));
    EXPECT_THAT(read_error(file, 4096, 512, 3).message,
                HasSubstr("expected 512 bytes at offset 4096, found 3"));
}

TEST(AlignedAround, is_the_smallest_aligned_stretch_that_holds_the_range) {
    for (const auto& [offset, n, begin, end] :
         std::vector<std::array<uint64_t, 4>>{{0, 0, 0, 0},
                                              {0, 1, 0, 4096},
                                              {4095, 1, 0, 4096},
                                              {4095, 2, 0, 8192},
                                              {4096, 4096, 4096, 8192},
                                              {5000, 4000, 4096, 12288}}) {
        const AlignedRange range = aligned_around(offset, n);
        EXPECT_EQ(range.begin, begin) << offset << ", " << n;
        EXPECT_EQ(range.end, end) << offset << ", " << n;
        EXPECT_EQ(range.n_bytes(), end - begin);
    }
}

TEST_F(PlacedFile, a_mapping_that_was_touched_is_in_the_page_cache_and_dropped_pages_come_again) {
    const auto bytes = random_bytes(100'000, 8);
    {
        ASSERT_TRUE(OutputFile::open(path_).value().write_at(0, bytes).ok());
    }
    const MappedFile mapped = MappedFile::open(path_).value();
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), mapped.bytes().begin()));
    EXPECT_TRUE(is_in_page_cache(mapped.bytes()));
    EXPECT_TRUE(is_in_page_cache({})) << "nothing is always there";
    for (const size_t begin : {0U, 1U, 4096U, 99'999U}) {
        drop_pages(mapped.bytes().subspan(begin));
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), mapped.bytes().begin()));
    }
    drop_pages({});
}

}  // namespace
}  // namespace nereus
