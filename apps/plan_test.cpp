// plan as a command, with figures that doctor might have kept: nothing is measured here.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "apps/doctor_figures.h"
#include "base/system_facts.h"
#include "tests/support/golden.h"
#include "tests/support/in_process.h"

namespace nereus::test {
namespace {

namespace fs = std::filesystem;

/// Every format at the same speed; the drive of the working folder at 2 GB/s.
DoctorFigures figures_of_this_machine() {
    DoctorFigures figures;
    figures.cpu = SystemFacts().cpu_name();
    figures.speed.threads = 2;
    figures.speed.isa = "avx2";
    figures.speed.read_bytes_per_second = 40e9;
    figures.speed.verb_seconds = 1e-6;
    for (const Format& format : all_formats()) {
        figures.speed.products.push_back({format.id, 1, 2e-11});
        figures.speed.products.push_back({format.id, 256, 1e-9});
    }
    for (const bool latent : {true, false}) {
        for (const int64_t n : {1, 64}) {
            for (const KvFormat cache : {KvFormat::kF32, KvFormat::kInt8}) {
                figures.speed.attention.push_back({latent, cache, n, 5e10});
            }
        }
    }
    DriveFigures drive;
    drive.folder = ".";
    drive.mount_point = must(SystemFacts().mount_of(".")).mount_point;
    drive.speed.reads = {{8 << 20, 4, false, 3e9}, {24 << 20, 8, true, 2e9}};
    figures.drives = {drive};
    return figures;
}

class PlanCommand : public testing::Test {
  protected:
    PlanCommand() {
        cache_ = fs::temp_directory_path() / fmt::format("nereus_plan_{}", ::getpid());
        ::setenv("XDG_CACHE_HOME", cache_.c_str(), 1);
        EXPECT_TRUE(keep_figures(must(doctor_figures_path()), figures_of_this_machine()).ok());
    }
    ~PlanCommand() override {
        ::unsetenv("XDG_CACHE_HOME");
        std::error_code ignored;
        fs::remove_all(cache_, ignored);
    }
    fs::path cache_;
};

TEST_F(PlanCommand, r1_by_name_has_every_format_at_several_budgets_and_this_machines) {
    const Json plan = json_result({"plan", "r1", "--json"});
    EXPECT_EQ(plan["machine"]["drive_bytes_per_second"], 2e9);
    std::vector<std::string> formats;
    for (const Json& format : plan["formats"]) {
        formats.push_back(format["format"]);
        EXPECT_GE(format["rows"].size(), 7U);
    }
    EXPECT_EQ(formats, (std::vector<std::string>{"bf16", "q8", "as published (fp8)", "q4", "q2"}));
}

TEST_F(PlanCommand, one_budget_and_one_format_give_one_row) {
    const Json plan = json_result({"plan", "r1", "--memory", "64GB", "--format", "q4", "--json"});
    ASSERT_EQ(plan["formats"].size(), 1U);
    ASSERT_EQ(plan["formats"][0]["rows"].size(), 1U);
    const Json& row = plan["formats"][0]["rows"][0];
    EXPECT_EQ(row["memory_bytes"], 64e9);
    EXPECT_TRUE(row["fits"].get<bool>());
    EXPECT_EQ(row["limit"], "disk");
}

TEST_F(PlanCommand, a_model_on_disk_is_planned_as_it_is_stored) {
    const Json plan =
        json_result({"plan", source_path("models/nereus-seed"), "--memory", "4G", "--json"});
    ASSERT_EQ(plan["formats"].size(), 1U);
    EXPECT_EQ(plan["formats"][0]["format"], "as stored");
    EXPECT_FALSE(plan["formats"][0]["rows"][0]["placement"]["streams_experts"].get<bool>());
}

TEST_F(PlanCommand, the_text_begins_with_the_machine_and_the_answer) {
    const CommandResult result = run_command({"plan", "v2-lite", "--memory", "8G"});
    EXPECT_EQ(result.exit_code, kExitOk);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.out.find("v2-lite on this machine: "), 0U) << result.out;
    EXPECT_NE(result.out.find("\nWith 8.59 GB:\n"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("q4: yes, "), std::string::npos) << result.out;
}

TEST_F(PlanCommand, an_unknown_name_is_refused_with_the_names_there_are) {
    expect_error({"plan", "r2"}, "r1-distill-qwen-7b");
    expect_error({"plan", "r1", "--format", "q5", "--memory", "8G"}, "q4-mixed");
    expect_error({"plan", "r1", "--memory", "lots"}, "12G");
}

}  // namespace
}  // namespace nereus::test
