#include "apps/doctor_figures.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/system_facts.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

DoctorFigures some_figures() {
    DoctorFigures figures;
    figures.cpu = "Test CPU";
    figures.speed.threads = 4;
    figures.speed.isa = "avx2";
    figures.speed.read_bytes_per_second = 40e9;
    figures.speed.verb_seconds = 2e-6;
    figures.speed.products = {{FormatId::kQ4, 1, 2e-11}, {FormatId::kQ4, 256, 1e-9}};
    figures.speed.attention = {{true, KvFormat::kF32, 1, 1e10},  {true, KvFormat::kInt8, 1, 1e10},
                               {true, KvFormat::kF32, 64, 5e10}, {true, KvFormat::kInt8, 64, 5e10},
                               {false, KvFormat::kF32, 1, 1e10}, {false, KvFormat::kF32, 64, 2e10}};
    DriveFigures drive;
    drive.folder = "/models";
    drive.mount_point = "/";
    drive.speed.engine = "io_uring";
    drive.speed.is_direct = true;
    drive.speed.reads = {
        {8 << 20, 4, false, 3e9}, {5 << 20, 1, true, 1e9}, {5 << 20, 8, true, 2e9}};
    figures.drives = {drive};
    return figures;
}

class FiguresFile : public testing::Test {
  protected:
    FiguresFile() {
        folder_ = fs::temp_directory_path() / fmt::format("nereus_figures_{}", ::getpid());
        path_ = folder_ / "a" / "doctor.json";
    }
    ~FiguresFile() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    std::string error_of(const std::string& text) const {
        const auto figures = figures_from_json(parse_json(text, "t").value(), "doctor.json");
        return figures.ok() ? "accepted" : figures.error().message;
    }
    fs::path folder_, path_;
};

TEST_F(FiguresFile, what_is_kept_comes_back_and_only_its_owner_may_read_it) {
    ASSERT_TRUE(keep_figures(path_, some_figures()).ok());
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    const DoctorFigures figures = read_figures(path_).value();
    EXPECT_EQ(figures_json(figures), figures_json(some_figures()));
    EXPECT_EQ(figures.cpu, "Test CPU");
    EXPECT_EQ(figures.speed.products[1].n_rows, 256);
    ASSERT_NE(figures.drive_at("/"), nullptr);
    EXPECT_EQ(figures.drive_at("/")->speed.reads[2].depth, 8);
    EXPECT_EQ(figures.drive_at("/mnt"), nullptr);
}

TEST_F(FiguresFile, figures_that_cannot_be_are_refused_and_say_what_to_do) {
    Json json = figures_json(some_figures());
    json["version"] = 2;
    EXPECT_NE(error_of(json.dump()).find("run nereus doctor"), std::string::npos);
    EXPECT_NE(error_of("[1]").find("version"), std::string::npos);
    json = figures_json(some_figures());
    json["machine"]["read_gb_per_second"] = -1;
    EXPECT_NE(error_of(json.dump()).find("read_gb_per_second"), std::string::npos);
    json = figures_json(some_figures());
    json["machine"]["products"] = 3;
    EXPECT_NE(error_of(json.dump()).find("products"), std::string::npos);
    json = figures_json(some_figures());
    json["drives"][0]["reads"][1]["depth"] = 0;
    EXPECT_NE(error_of(json.dump()).find("0 at once"), std::string::npos);
    json = figures_json(some_figures());
    json["drives"] = {{"folder", 3}};
    EXPECT_NE(error_of(json.dump()), "accepted") << "a member of another type is an error";
}

TEST_F(FiguresFile, the_drive_of_a_path_is_the_one_kept_for_its_mount_and_else_nothing) {
    ::setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
    const fs::path here = fs::current_path();
    EXPECT_EQ(kept_drive_speed(here), 0) << "doctor did not run yet";
    DoctorFigures figures = some_figures();
    figures.drives[0].mount_point = "/no/such/mount";
    ASSERT_TRUE(keep_figures(doctor_figures_path().value(), figures).ok());
    EXPECT_EQ(kept_drive_speed(here), 0) << "another drive";
    figures.drives[0].mount_point = SystemFacts().mount_of(here).value().mount_point;
    ASSERT_TRUE(keep_figures(doctor_figures_path().value(), figures).ok());
    EXPECT_EQ(kept_drive_speed(here), figures.drives[0].speed.random_bytes_per_second(5 << 20));
    ASSERT_TRUE(write_file_atomic(doctor_figures_path().value(), "{broken").ok());
    EXPECT_EQ(kept_drive_speed(here), 0) << "a damaged file is as good as none";
    ::unsetenv("XDG_CACHE_HOME");
}

TEST_F(FiguresFile, a_format_of_another_build_is_left_out) {
    Json json = figures_json(some_figures());
    json["machine"]["products"][0]["format"] = "q99";
    const DoctorFigures figures = figures_from_json(json, "t").value();
    EXPECT_EQ(figures.speed.products.size(), 1U);
}

TEST_F(FiguresFile, a_file_that_is_not_there_is_not_found) {
    const auto figures = read_figures(path_);
    ASSERT_FALSE(figures.ok());
    EXPECT_EQ(figures.error().code, ErrorCode::kNotFound);
}

TEST_F(FiguresFile, the_place_follows_the_persons_cache) {
    ::setenv("XDG_CACHE_HOME", "/x/cache", 1);
    EXPECT_EQ(doctor_figures_path().value(), "/x/cache/nereus/doctor.json");
    ::setenv("XDG_CACHE_HOME", "relative", 1);
    ::setenv("HOME", "/home/me", 1);
    EXPECT_EQ(doctor_figures_path().value(), "/home/me/.cache/nereus/doctor.json");
    ::unsetenv("XDG_CACHE_HOME");
    ::unsetenv("HOME");
    EXPECT_FALSE(doctor_figures_path().ok());
}

}  // namespace
}  // namespace nereus
