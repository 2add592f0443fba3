// pack as a command inside the process: what --importance, --windows and --turned make of a pack,
// what is refused before anything is written, and what the summary counts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kSeed = source_path("models/nereus-seed");

/// A folder below the scratch folder that nothing is in.
std::string fresh(const std::string& name) {
    const fs::path path = scratch_folder() / ("out-" + name);
    fs::remove_all(path);
    return path.string();
}

/// Some 3,000 tokens.
std::string text_file(const std::string& name, const std::string& word) {
    std::string text;
    for (int i = 0; i < 300; ++i) {
        text += fmt::format("The {} number {} is not the last of them. ", word, i);
    }
    return scratch_file(name, text);
}

/// The bytes of the weights of a pack that was made just now.
std::string packed(const std::string& name, const std::vector<std::string>& flags) {
    const std::string folder = fresh(name);
    std::vector<std::string> words = {"pack", kSeed, "--format", "q4", "--out", folder};
    words.insert(words.end(), flags.begin(), flags.end());
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.exit_code, kExitOk) << result.err;
    std::string bytes;
    std::set<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().extension() == ".bin") {
            files.insert(entry.path());
        }
    }
    for (const fs::path& file : files) {
        bytes += file_text(file);
    }
    EXPECT_GT(bytes.size(), 1000U);
    fs::remove_all(folder);
    return bytes;
}

TEST(PackImportance, another_text_or_number_of_windows_gives_other_bytes_and_threads_do_not) {
    const std::string river = text_file("river.txt", "river");
    const std::string star = text_file("star.txt", "star");
    const std::string one = packed("one", {"--importance", river, "--windows", "1"});
    EXPECT_TRUE(one == packed("one", {"--importance", river, "--windows", "1", "--threads", "1"}));
    EXPECT_TRUE(one == packed("one", {"--importance", river, "--windows", "1", "--isa",
                                      available_isas().back()}));
    EXPECT_FALSE(one == packed("two", {"--importance", river, "--windows", "2"}));
    EXPECT_FALSE(one == packed("star", {"--importance", star, "--windows", "1"}));
    const std::string even = packed("even", {});
    EXPECT_FALSE(one == even);
    EXPECT_EQ(one.size(), even.size()) << "what counts more takes no more room";
}

TEST(PackImportance, zero_windows_are_all_of_the_text) {
    const std::string text = text_file("river.txt", "river");
    EXPECT_TRUE(packed("all", {"--importance", text, "--windows", "0"}) ==
                packed("many", {"--importance", text, "--windows", "1000"}));
}

TEST(PackImportance, a_text_that_cannot_be_read_is_refused_before_anything_is_written) {
    const std::string out = fresh("refused");
    const auto refused = [&](const std::string& text, const std::string& words) {
        expect_error({"pack", kSeed, "--format", "q4", "--out", out, "--importance", text}, words);
        EXPECT_FALSE(fs::exists(out)) << text;
    };
    refused("/no/such/text", "/no/such/text");
    refused(scratch_folder().string(), scratch_folder().string());
    refused(scratch_file("empty.txt", ""), "one window needs 512");
    refused("/dev/null", "/dev/null");
}

TEST(PackImportance, bytes_that_are_no_utf8_are_text_all_the_same) {
    std::string text;
    for (int i = 0; i < 4000; ++i) {
        text += static_cast<char>(128 + i % 128);
    }
    const std::string path = scratch_file("bytes.txt", text);
    EXPECT_TRUE(packed("bytes", {"--importance", path, "--windows", "1"}) ==
                packed("bytes", {"--importance", path, "--windows", "1", "--threads", "1"}));
}

TEST(PackFlags, numbers_out_of_range_and_half_a_request_are_refused) {
    const std::string out = fresh("flags");
    expect_error({"pack", kSeed, "--format", "q4", "--out", out, "--windows", "-1"}, "--windows");
    expect_error({"pack", kSeed, "--format", "q4", "--out", out, "--windows", "few"}, "--windows");
    expect_error({"pack", kSeed, "--format", "q4"}, "--format and --out");
    expect_error({"pack", kSeed, "--out", out}, "--format and --out");
    expect_error({"pack", kSeed, "--out", out, "--verify"}, "--verify alone");
    expect_error({"pack", kSeed, "--verify"}, kSeed);
    expect_error({"pack", "/no/model", "--format", "q4", "--out", out}, "/no/model");
    expect_error({"pack"}, "MODEL");
    EXPECT_FALSE(fs::exists(out));
}

TEST(PackFlags, a_place_that_cannot_be_written_is_named) {
    const std::string file = scratch_file("a-file", "x");
    expect_error({"pack", kSeed, "--format", "q4", "--out", file + "/pack"}, file);
    expect_error({"pack", kSeed, "--format", "q4", "--out", file}, file);
    EXPECT_EQ(file_text(file), "x");
}

TEST(PackTurned, turns_what_is_rounded_and_nothing_else) {
    EXPECT_FALSE(packed("turned", {"--turned"}) == packed("plain", {}));
    const auto f32 = [](const std::vector<std::string>& flags) {
        const std::string folder = fresh("f32");
        std::vector<std::string> words = {
            "pack", source_path("tests/golden/v3"), "--format", "f32", "--out", folder};
        words.insert(words.end(), flags.begin(), flags.end());
        EXPECT_EQ(run_command(words).exit_code, kExitOk);
        return file_text(fs::path(folder) / "dense.bin");
    };
    EXPECT_TRUE(f32({}) == f32({"--turned"})) << "f32 rounds nothing";
}

TEST(PackSummary, says_bytes_and_bits_by_format_and_stderr_what_was_left_out) {
    const std::string folder = fresh("summary");
    const CommandResult result =
        run_command({"pack", kSeed, "--format", "q4", "--out", folder, "--verify"});
    ASSERT_EQ(result.exit_code, kExitOk) << result.err;
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1);
    EXPECT_THAT(result.out, AllOf(testing::StartsWith(folder + ": "), HasSubstr(" bits a weight:"),
                                  HasSubstr(" q4 at 4.5"), HasSubstr(" f32 at 32.00")));
    EXPECT_THAT(result.err, HasSubstr("(multi-token prediction) are left out"));
    const CommandResult dense = run_command(
        {"pack", source_path("tests/golden/qwen2"), "--format", "q8", "--out", fresh("dense")});
    EXPECT_THAT(dense.err, Not(HasSubstr("left out"))) << "it has no such tensors";
}

TEST(PackVerify, a_sound_pack_is_right_in_every_checksum_and_a_flipped_bit_is_named) {
    const std::string folder = fresh("verify");
    ASSERT_EQ(run_command({"pack", kSeed, "--format", "q8", "--out", folder}).exit_code, kExitOk);
    const CommandResult right = run_command({"pack", folder, "--verify"});
    EXPECT_EQ(right.exit_code, kExitOk) << right.err;
    EXPECT_EQ(right.out, folder + ": every checksum is right\n");
    const fs::path file = fs::path(folder) / "dense.bin";
    std::string bytes = file_text(file);
    bytes[bytes.size() / 2] ^= 4;
    std::ofstream(file, std::ios::binary) << bytes;
    expect_error({"pack", folder, "--verify"}, "dense.bin");
}

}  // namespace
}  // namespace nereus::test
