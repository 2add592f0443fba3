// Results on disk appear whole or not at all; inputs are checked before they are used.

#include "apps/row_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

#include "apps/input.h"
#include "tests/support/scratch.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

fs::path fresh(const std::string& name) {
    const fs::path path = scratch_folder() / name;
    fs::remove_all(path);
    return path;
}

std::vector<float> floats_in(const fs::path& path) {
    const std::string bytes = file_text(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

size_t files_in(const fs::path& folder) {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(RowFile, rows_lie_back_to_back_whatever_their_stride) {
    const fs::path path = fresh("rows.f32");
    const float rows[] = {1, 2, -1, 3, 4, -1};
    auto file = RowFile::create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->append({rows, 2, 2, 3}).ok());
    ASSERT_TRUE(file->append({rows, 0, 2, 3}).ok());
    ASSERT_TRUE(file->append({rows + 2, 1, 1, 1}).ok());
    ASSERT_TRUE(file->finish().ok());
    EXPECT_EQ(floats_in(path), (std::vector<float>{1, 2, 3, 4, -1}));
}

TEST(RowFile, nothing_has_its_name_before_it_is_complete) {
    const fs::path folder = fresh("rows");
    fs::create_directory(folder);
    const fs::path path = folder / "out";
    std::ofstream(path) << "older result";
    const float row[] = {1, 2};
    {
        auto file = RowFile::create(path);
        ASSERT_TRUE(file.ok());
        ASSERT_TRUE(file->append({row, 1, 2, 2}).ok());
        EXPECT_EQ(file_text(path), "older result");
        EXPECT_EQ(files_in(folder), 2U);
    }  // given up: an error came in between
    EXPECT_EQ(file_text(path), "older result");
    EXPECT_EQ(files_in(folder), 1U) << "the unfinished neighbour is left behind";
    auto again = RowFile::create(path);
    ASSERT_TRUE(again->append({row, 1, 2, 2}).ok());
    ASSERT_TRUE(again->finish().ok());
    EXPECT_EQ(floats_in(path), (std::vector<float>{1, 2}));
    EXPECT_EQ(files_in(folder), 1U);
}

TEST(RowFile, moving_it_moves_the_duty_to_clean_up) {
    const fs::path folder = fresh("moved");
    fs::create_directory(folder);
    {
        auto file = RowFile::create(folder / "out");
        ASSERT_TRUE(file.ok());
        const RowFile taken = std::move(*file);
        EXPECT_EQ(files_in(folder), 1U);
    }
    EXPECT_EQ(files_in(folder), 0U);
}

TEST(RowFile, a_place_that_cannot_be_written_is_an_error_with_its_reason) {
    for (const auto& [path, reason] : std::initializer_list<std::pair<fs::path, const char*>>{
             {scratch_folder() / "no" / "such" / "out", "No such file"},
             {scratch_folder(), "directory"}}) {
        const auto file = RowFile::create(path);
        ASSERT_FALSE(file.ok()) << path;
        EXPECT_THAT(file.error().message, AllOf(HasSubstr(path.string()), HasSubstr(reason)));
    }
}

TEST(RowFile, a_device_is_written_as_it_is) {
    auto file = RowFile::create("/dev/null");
    ASSERT_TRUE(file.ok());
    const float row[] = {1};
    EXPECT_TRUE(file->append({row, 1, 1, 1}).ok());
    EXPECT_TRUE(file->finish().ok());
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(RowFile, a_full_device_is_an_error_at_the_latest_in_finish) {
    auto file = RowFile::create("/dev/full");
    ASSERT_TRUE(file.ok());
    const float row[] = {1};
    const Status appended = file->append({row, 1, 1, 1});
    const Status finished = appended.ok() ? file->finish() : appended;
    ASSERT_FALSE(finished.ok());
    EXPECT_THAT(finished.error().message, AllOf(HasSubstr("/dev/full"), HasSubstr("No space")));
}

TEST(ReadInput, a_file_comes_back_byte_for_byte) {
    const std::string bytes("\0a\r\n\xff", 5);
    const auto text = read_input(scratch_file("bytes", bytes));
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(*text, bytes);
}

TEST(ReadInput, what_is_no_regular_file_is_refused_at_once) {
    const fs::path fifo = fresh("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_FALSE(read_input(fifo.string()).ok());
    EXPECT_FALSE(read_input(scratch_folder().string()).ok());
    EXPECT_FALSE(read_input((scratch_folder() / "absent").string()).ok());
    EXPECT_FALSE(read_input("").ok());
}

TEST(ReadJsonArray, says_what_it_wanted_and_what_was_there) {
    const auto message = [](const std::string& text) {
        const auto json = read_json_array(scratch_file("array.json", text), "strings");
        return json.ok() ? std::string("read") : json.error().message;
    };
    EXPECT_EQ(message("[]"), "read");
    EXPECT_EQ(message(R"(["a", 1, {}])"), "read");
    EXPECT_THAT(message("{}"), HasSubstr("expected a JSON array of strings, found object"));
    EXPECT_THAT(message("null"), HasSubstr("found null"));
    EXPECT_THAT(message("[1,"), HasSubstr("array.json"));
    EXPECT_THAT(message(""), HasSubstr("array.json"));
    EXPECT_THAT(message("[\"\xff\"]"), HasSubstr("array.json"));
}

TEST(TokenIds, are_whole_numbers_below_the_limit) {
    const auto ids = token_ids(Json::array({0, 5, 9}), 10, "x");
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(*ids, (std::vector<int32_t>{0, 5, 9}));
    EXPECT_TRUE(token_ids(Json::array(), 10, "x")->empty());
    const auto message = [](const char* text) {
        const auto wrong = token_ids(parse_json(text, "t").value(), 10, "f.json");
        return wrong.ok() ? std::string() : wrong.error().message;
    };
    EXPECT_EQ(message("[1, 10]"), "f.json: id 1 is 10, expected an integer in [0, 10)");
    EXPECT_EQ(message("[-1]"), "f.json: id 0 is -1, expected an integer in [0, 10)");
    EXPECT_THAT(message("[18446744073709551615]"), HasSubstr("id 0 is 18446744073709551615"));
    EXPECT_THAT(message("[9223372036854775808]"), HasSubstr("expected an integer"));
    EXPECT_THAT(message("[1.0]"), HasSubstr("id 0 is 1.0"));
    EXPECT_THAT(message("[\"1\"]"), HasSubstr("id 0 is \"1\""));
    EXPECT_THAT(message("[[1]]"), HasSubstr("id 0 is [1]"));
    EXPECT_THAT(message("[null]"), HasSubstr("id 0 is null"));
    EXPECT_EQ(message("{\"a\": 1}"), "f.json: expected an array of ids, found object");
}

}  // namespace
}  // namespace nereus
