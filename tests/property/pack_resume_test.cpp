// A pack that was interrupted, anywhere and any number of times, ends as if it had not been.

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/support/packing.h"

namespace nereus::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr PackLimits kSmallSteps = {.file_bytes = 200'000, .sync_bytes = 20'000};

std::string source() { return source_path("tests/golden/v3"); }

/// Packs in a process of its own. The exit code is 0, 1 for an error.
pid_t start_packing(const fs::path& folder, uint64_t file_size_limit = 0) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (file_size_limit > 0) {
            const rlimit limit = {file_size_limit, file_size_limit};
            ::setrlimit(RLIMIT_FSIZE, &limit);
            ::signal(SIGXFSZ, SIG_IGN);
        }
        const Status packed = try_pack(source(), "q4", folder, 2, kSmallSteps);
        ::_exit(packed.ok() ? 0 : 1);
    }
    return pid;
}

/// Waits; true when the process was killed by a signal.
bool was_killed(pid_t pid, int* exit_code = nullptr) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (exit_code != nullptr) {
        *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    return WIFSIGNALED(status);
}

TEST(PackResume, twenty_five_kills_at_random_moments_leave_the_same_bytes) {
    TemporaryFolder folder;
    pack_into(source(), "q4", folder.path() / "undisturbed", 2, kSmallSteps);
    const auto expected = files_of(folder.path() / "undisturbed");
    ASSERT_GT(expected.size(), 4U);  // several experts files
    const fs::path pack = folder.path() / "pack";
    std::chrono::duration<double> reach = std::chrono::milliseconds(50);
    int n_kills = 0;
    int n_resumed = 0;  // kills that left finished blobs behind
    for (uint64_t round = 0; n_kills < 25; ++round) {
        ASSERT_LT(round, 300U);
        const pid_t pid = start_packing(pack);
        std::this_thread::sleep_for(reach * random_unit(7, 0, round));
        ::kill(pid, SIGKILL);
        if (was_killed(pid)) {
            ++n_kills;
            std::error_code ignored;
            const bool some = fs::file_size(pack / "pack.partial", ignored) > 100 && !ignored;
            n_resumed += some ? 1 : 0;
            reach *= some ? 1.0 : 1.3;  // finds what a run takes on this machine
        } else {
            ASSERT_TRUE(files_of(pack) == expected) << "after " << n_kills << " kills";
            fs::remove_all(pack);
            reach *= 0.8;
        }
    }
    pack_into(source(), "q4", pack, 2, kSmallSteps);
    EXPECT_TRUE(files_of(pack) == expected);
    EXPECT_GT(n_resumed, 5);
}

TEST(PackResume, a_full_disk_is_an_error_and_the_rest_follows_when_there_is_room) {
    TemporaryFolder folder;
    pack_into(source(), "q4", folder.path() / "undisturbed", 2, kSmallSteps);
    const fs::path pack = folder.path() / "pack";
    int exit_code = -1;
    EXPECT_FALSE(was_killed(start_packing(pack, 100'000), &exit_code));
    EXPECT_EQ(exit_code, 1);
    const auto opened = open_checkpoint(pack);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().message, HasSubstr("not finished"));
    pack_into(source(), "q4", pack, 1, kSmallSteps);
    EXPECT_TRUE(files_of(pack) == files_of(folder.path() / "undisturbed"));
}

TEST(PackResume, a_part_of_another_pack_is_not_continued) {
    TemporaryFolder folder;
    const fs::path pack = folder.path() / "pack";
    EXPECT_FALSE(was_killed(start_packing(pack, 100'000)));
    for (const auto& [model, recipe] :
         {std::pair{"tests/golden/v3", "q8"}, {"tests/golden/v3_norope", "q4"}}) {
        const Status packed = try_pack(source_path(model), recipe, pack, 2, kSmallSteps);
        ASSERT_FALSE(packed.ok()) << model << recipe;
        EXPECT_THAT(packed.error().message, HasSubstr("another pack"));
    }
    pack_into(source(), "q4", pack, 2, kSmallSteps);  // it did no harm
}

TEST(PackResume, a_finished_pack_is_left_alone_and_another_is_not_written_over_it) {
    TemporaryFolder folder;
    const fs::path pack = folder.path() / "pack";
    pack_into(source(), "q4", pack);
    const auto written = fs::last_write_time(pack / "dense.bin");
    pack_into(source(), "q4", pack);
    EXPECT_EQ(fs::last_write_time(pack / "dense.bin"), written);
    const Status other = try_pack(source(), "q8", pack);
    ASSERT_FALSE(other.ok());
    EXPECT_THAT(other.error().message, HasSubstr("another pack"));
}

TEST(PackResume, a_folder_with_other_files_is_not_touched) {
    TemporaryFolder folder;
    ASSERT_TRUE(write_file_atomic(folder.path() / "letter.txt", "dear").ok());
    const Status packed = try_pack(source(), "q4", folder.path());
    ASSERT_FALSE(packed.ok());
    EXPECT_THAT(packed.error().message, HasSubstr("not empty"));
    EXPECT_EQ(files_of(folder.path()).size(), 1U);
}

TEST(PackResume, a_torn_line_at_the_end_of_the_journal_costs_one_blob_only) {
    TemporaryFolder folder;
    const fs::path pack = folder.path() / "pack";
    EXPECT_FALSE(was_killed(start_packing(pack, 100'000)));
    const auto size = fs::file_size(pack / "pack.partial");
    fs::resize_file(pack / "pack.partial", size - 5);
    pack_into(source(), "q4", pack, 2, kSmallSteps);
    pack_into(source(), "q4", folder.path() / "undisturbed", 2, kSmallSteps);
    EXPECT_TRUE(files_of(pack) == files_of(folder.path() / "undisturbed"));
}

TEST(PackResume, a_file_that_lost_bytes_which_the_journal_vouches_for_is_refused) {
    TemporaryFolder folder;
    const fs::path pack = folder.path() / "pack";
    EXPECT_FALSE(was_killed(start_packing(pack, 100'000)));
    fs::resize_file(pack / "dense.bin", 100);
    const Status packed = try_pack(source(), "q4", pack, 2, kSmallSteps);
    ASSERT_FALSE(packed.ok());
    EXPECT_THAT(packed.error().message, HasSubstr("dense.bin"));
}

}  // namespace
}  // namespace nereus::test
