// doctor as a command: what it prints, what it keeps for plan, and what happens where nothing can
// be measured or kept. The figures themselves are the machine's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "apps/doctor_figures.h"
#include "base/system_facts.h"
#include "compute/backend.h"
#include "tests/support/golden.h"
#include "tests/support/in_process.h"
#include "tests/support/scratch.h"

namespace nereus::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The second fastest table: the fastest is what is measured without --isa, and portable code takes
/// minutes.
std::string slow_isa() {
    const std::vector<std::string> isas = available_isas();
    return isas.size() > 2 ? isas[1] : isas[0];
}

/// A private cache and a folder with a model file of holes, large enough to be read as it is.
class DoctorCommand : public testing::Test {
  protected:
    DoctorCommand() {
        fs::create_directories(models());
        {
            std::ofstream(models() / "model.gguf") << "GGUF";
        }
        fs::resize_file(models() / "model.gguf", uint64_t{300} << 20);
        ::setenv("XDG_CACHE_HOME", cache().c_str(), 1);
    }
    ~DoctorCommand() override {
        ::unsetenv("XDG_CACHE_HOME");
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }
    fs::path models() const { return root_ / "models"; }
    fs::path cache() const { return root_ / "cache"; }

    CommandResult doctor(std::vector<std::string> words) const {
        words.insert(words.begin(), {"doctor", models().string(), "--seconds", "0.001"});
        return run_command(words);
    }
    static Json json_of(const CommandResult& result) {
        EXPECT_EQ(result.exit_code, kExitOk) << result.err;
        return must(parse_json(result.out, "stdout"));
    }
    static std::vector<std::string> names(const Json& report) {
        std::vector<std::string> names;
        for (const Json& finding : report["findings"]) {
            names.push_back(finding["name"]);
        }
        return names;
    }
    /// The finding of this name.
    static Json finding(const Json& report, const std::string& name) {
        for (const Json& finding : report["findings"]) {
            if (finding["name"] == name) {
                return finding;
            }
        }
        ADD_FAILURE() << "no finding " << name;
        return Json::object();
    }

  private:
    fs::path root_ = fs::temp_directory_path() / fmt::format("nereus_doctor_{}", ::getpid());
};

TEST_F(DoctorCommand, json_has_findings_and_the_figures_that_it_kept_for_plan) {
    const std::string isa = slow_isa();
    const Json report = json_of(doctor({"--json", "--isa", isa, "--threads", "1"}));
    EXPECT_EQ(report["kept_in"], (cache() / "nereus" / "doctor.json").string());
    const Json kept =
        must(parse_json(file_text(report["kept_in"].get<std::string>()), "doctor.json"));
    EXPECT_EQ(kept, report["figures"]) << "plan reads what was printed";
    EXPECT_EQ(kept["machine"]["isa"], isa);
    EXPECT_EQ(kept["machine"]["threads"], 1);
    EXPECT_EQ(kept["cpu"], SystemFacts().cpu_name());
    ASSERT_EQ(kept["drives"].size(), 1U);
    EXPECT_EQ(kept["drives"][0]["folder"], models().string());
    EXPECT_GE(kept["drives"][0]["reads"].size(), 9U) << "three sizes at three depths";
    for (const Json& finding : report["findings"]) {
        EXPECT_NE(finding["found"], "") << finding["name"];
        EXPECT_THAT((std::vector<std::string>{"good", "note", "bad"}),
                    testing::Contains(finding["verdict"].get<std::string>()));
    }
    EXPECT_THAT(names(report), testing::Contains("drive of " + models().string()));
    struct stat status{};
    ASSERT_EQ(::stat(report["kept_in"].get<std::string>().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    const Json plan = json_result({"plan", "v2-lite", "--memory", "8G", "--json"})["machine"];
    EXPECT_EQ(plan["threads"], 1);
    EXPECT_EQ(plan["read_bytes_per_second"].get<double>(),
              kept["machine"]["read_gb_per_second"].get<double>() * 1e9);
}

TEST_F(DoctorCommand, the_text_has_a_line_a_finding_and_says_where_figures_are) {
    const CommandResult result = doctor({});
    EXPECT_EQ(result.exit_code, kExitOk);
    EXPECT_EQ(result.err, "") << "no bar where nobody watches";
    EXPECT_THAT(result.out, HasSubstr(SystemFacts().cpu_name()));
    EXPECT_THAT(result.out, HasSubstr("drive of " + models().string()));
    EXPECT_THAT(result.out, HasSubstr("random blocks of"));
    EXPECT_THAT(result.out, HasSubstr("% of the reads"));
    EXPECT_THAT(result.out,
                HasSubstr("Kept in " + (cache() / "nereus" / "doctor.json").string() + " for"));
    EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << "no styles in a pipe";
    std::vector<std::string> left;
    for (const auto& entry : fs::directory_iterator(models())) {
        left.push_back(entry.path().filename().string());
    }
    EXPECT_EQ(left, (std::vector<std::string>{"model.gguf"})) << "a large file is read as it is";
}

TEST_F(DoctorCommand, a_cache_that_cannot_be_written_is_a_note_and_not_a_failure) {
    {
        std::ofstream(cache().string()) << "a file where a folder should be";
    }
    const Json report = json_of(doctor({"--json"}));
    EXPECT_EQ(report["kept_in"], "");
    const Json note = finding(report, "figures");
    EXPECT_EQ(note["verdict"], "note");
    EXPECT_THAT(note["found"].get<std::string>(), HasSubstr(cache().string()));
    EXPECT_THAT(note["advice"].get<std::string>(), HasSubstr("measure again"));
}

TEST_F(DoctorCommand, without_a_home_it_measures_and_says_that_nothing_is_kept) {
    const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    ::unsetenv("XDG_CACHE_HOME");
    ::unsetenv("HOME");
    const CommandResult result = doctor({"--json"});
    ::setenv("HOME", home.c_str(), 1);
    EXPECT_THAT(finding(json_of(result), "figures")["found"].get<std::string>(),
                HasSubstr("neither XDG_CACHE_HOME nor HOME"));
}

TEST_F(DoctorCommand, a_missing_folder_is_a_bad_finding_and_the_rest_is_looked_at) {
    const std::string pack = (models() / "pack").string();
    const CommandResult packed =
        run_command({"pack", source_path("tests/golden/qwen2"), "--format", "q8", "--out", pack});
    ASSERT_EQ(packed.exit_code, kExitOk) << packed.err;
    const fs::path missing = models() / "none";
    const Json report = json_of(doctor({missing.string(), "--pack", pack, "--json"}));
    const Json bad = finding(report, "drive of " + missing.string());
    EXPECT_EQ(bad["verdict"], "bad");
    EXPECT_EQ(bad["advice"], "not measured");
    EXPECT_EQ(report["figures"]["drives"].size(), 1U);
    EXPECT_EQ(finding(report, "pack")["verdict"], "good");
    EXPECT_EQ(finding(report, "pack")["found"], pack + ": every checksum is right");
}

TEST_F(DoctorCommand, a_pack_with_a_flipped_bit_is_bad_and_names_the_file) {
    const std::string pack = (models() / "pack").string();
    ASSERT_EQ(
        run_command({"pack", source_path("tests/golden/qwen2"), "--format", "q8", "--out", pack})
            .exit_code,
        kExitOk);
    const fs::path dense = fs::path(pack) / "dense.bin";
    std::string bytes = file_text(dense);
    bytes[100] ^= 1;
    std::ofstream(dense, std::ios::binary) << bytes;
    const Json bad = finding(json_of(doctor({"--pack", pack, "--json"})), "pack");
    EXPECT_EQ(bad["verdict"], "bad");
    EXPECT_THAT(bad["found"].get<std::string>(), HasSubstr("dense.bin"));
    EXPECT_EQ(bad["advice"], "pack the model again");
}

TEST(DoctorFlags, are_refused_before_anything_is_measured) {
    expect_error({"doctor", "--seconds", "0"}, "--seconds");
    expect_error({"doctor", "--seconds", "11"}, "--seconds");
    expect_error({"doctor", "--seconds", "soon"}, "--seconds");
    expect_error({"doctor", "--quick"}, "--quick");
    expect_error({"doctor", "--isa", "mmx"}, "portable");
}

}  // namespace
}  // namespace nereus::test
