#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

namespace nereus {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
  protected:
    FileTest() : folder_(fs::temp_directory_path() / fmt::format("nereus_file_{}", ::getpid())) {
        fs::remove_all(folder_);
        fs::create_directories(folder_);
    }
    ~FileTest() override {
        fs::permissions(folder_, fs::perms::owner_all);
        fs::remove_all(folder_);
    }
    size_t n_entries() const {
        return static_cast<size_t>(
            std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
    }
    fs::path folder_;
};

TEST_F(FileTest, an_empty_file_is_read_and_mapped_as_nothing) {
    const fs::path path = folder_ / "empty";
    ASSERT_TRUE(write_file_atomic(path, "").ok());
    EXPECT_EQ(read_file(path, 0).value(), "");
    EXPECT_TRUE(MappedFile::open(path).value().bytes().empty());
}

TEST_F(FileTest, the_size_limit_is_inclusive_and_named_with_the_size) {
    const fs::path path = folder_ / "five";
    ASSERT_TRUE(write_file_atomic(path, "12345").ok());
    EXPECT_EQ(read_file(path, 5).value(), "12345");
    const Error error = read_file(path, 4).error();
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_THAT(error.message, HasSubstr("5 bytes, at most 4"));
    EXPECT_THAT(error.message, HasSubstr(path.string()));
}

TEST_F(FileTest, links_are_followed_and_broken_or_circular_ones_are_errors) {
    ASSERT_TRUE(write_file_atomic(folder_ / "real", "x").ok());
    fs::create_symlink("real", folder_ / "link");
    fs::create_symlink("nowhere", folder_ / "broken");
    fs::create_symlink("circle", folder_ / "circle");
    EXPECT_EQ(read_file(folder_ / "link", 10).value(), "x");
    EXPECT_EQ(read_file(folder_ / "broken", 10).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(read_file(folder_ / "circle", 10).error().code, ErrorCode::kIo);
    EXPECT_EQ(read_file(folder_ / "real" / "below", 10).error().code, ErrorCode::kNotFound);
}

TEST_F(FileTest, what_is_no_regular_file_is_refused_by_kind_without_waiting) {
    ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
    const std::pair<fs::path, const char*> cases[] = {
        {folder_ / "fifo", "a FIFO"}, {folder_, "a directory"}, {"/dev/zero", "a device"}};
    for (const auto& [path, kind] : cases) {
        for (const Error& error : {read_file(path, 10).error(), MappedFile::open(path).error()}) {
            EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
            EXPECT_THAT(error.message, HasSubstr(kind));
        }
    }
}

TEST_F(FileTest, a_move_takes_the_mapping_along) {
    ASSERT_TRUE(write_file_atomic(folder_ / "a", "aaa").ok());
    ASSERT_TRUE(write_file_atomic(folder_ / "b", "bb").ok());
    MappedFile a = MappedFile::open(folder_ / "a").value();
    MappedFile b = MappedFile::open(folder_ / "b").value();
    const std::byte* data = a.bytes().data();
    b = std::move(a);
    EXPECT_EQ(b.text(), "aaa");
    EXPECT_EQ(b.bytes().data(), data);
    EXPECT_EQ(b.path(), folder_ / "a");
    const MappedFile c(std::move(b));
    EXPECT_EQ(c.text(), "aaa");
}

TEST_F(FileTest, a_mapping_outlives_the_name_of_its_file) {
    const fs::path path = folder_ / "gone";
    ASSERT_TRUE(write_file_atomic(path, "still here").ok());
    const MappedFile mapped = MappedFile::open(path).value();
    ASSERT_TRUE(write_file_atomic(path, "replaced").ok());
    EXPECT_EQ(mapped.text(), "still here") << "an atomic write changed the old file in place";
    fs::remove(path);
    EXPECT_EQ(mapped.text(), "still here");
}

TEST_F(FileTest, a_new_file_gets_the_mode_and_no_neighbour_is_left) {
    const fs::path path = folder_ / "private";
    ASSERT_TRUE(write_file_atomic(path, "x", 0600).ok());
    struct stat info = {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_EQ(n_entries(), 1U);
}

TEST_F(FileTest, writing_into_a_missing_folder_or_over_a_directory_fails_and_leaves_nothing) {
    EXPECT_EQ(write_file_atomic(folder_ / "no" / "file", "x").error().code, ErrorCode::kNotFound);
    fs::create_directory(folder_ / "dir");
    const Status over = write_file_atomic(folder_ / "dir", "x");
    ASSERT_FALSE(over.ok());
    EXPECT_THAT(over.error().message, HasSubstr("cannot rename"));
    EXPECT_EQ(n_entries(), 1U) << "the temporary file stayed";
}

/// Runs in a child, whose limits and user may be changed. Exits 0 when `holds`.
#define NEREUS_EXPECT_IN_CHILD(holds) \
    EXPECT_EXIT(std::_Exit((holds) ? 0 : 1), ::testing::ExitedWithCode(0), "")

bool keeps_the_old_file_when_the_disk_is_full(const fs::path& path) {
    ::signal(SIGXFSZ, SIG_IGN);  // then write() fails with EFBIG instead
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = write_file_atomic(path, std::string(100000, 'x'));
    return !status.ok() && status.error().code == ErrorCode::kIo &&
           status.error().message.find("cannot write") != std::string::npos &&
           read_file(path, 100).value() == "old";
}

TEST_F(FileTest, a_write_that_does_not_fit_keeps_the_old_file_and_removes_its_own) {
    ASSERT_TRUE(write_file_atomic(folder_ / "file", "old").ok());
    NEREUS_EXPECT_IN_CHILD(keeps_the_old_file_when_the_disk_is_full(folder_ / "file"));
    EXPECT_EQ(n_entries(), 1U);
}

bool is_refused_without_permission(const fs::path& path) {
    if (::getuid() == 0 && ::setuid(65534) != 0) {  // root may read anything
        return false;
    }
    const auto read = read_file(path, 100);
    return !read.ok() && read.error().code == ErrorCode::kIo &&
           read.error().message.find("Permission denied") != std::string::npos &&
           MappedFile::open(path).error().code == ErrorCode::kIo;
}

TEST_F(FileTest, a_file_one_may_not_read_is_an_io_error_with_the_systems_words) {
    ASSERT_TRUE(write_file_atomic(folder_ / "secret", "x", 0000).ok());
    NEREUS_EXPECT_IN_CHILD(is_refused_without_permission(folder_ / "secret"));
}

}  // namespace
}  // namespace nereus
