// What plan says, on a machine of fixed figures: R1 at three budgets, pinned.

#include "apps/plan_report.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace nereus {
namespace {

ModelSize sized(const std::string& name, std::string_view recipe) {
    const std::string path = std::string(NEREUS_SOURCE_DIR) + "/models/configs/" + name + ".json";
    const Json json = parse_json(read_file(path, 1 << 20).value(), path).value();
    const ModelConfig config = config_from_json(json, path).value();
    return recipe == "published" ? size_as_published(config, json)
                                 : size_in_recipe(config, *find_recipe(recipe).value());
}

/// A desktop of 2026: 8 cores, 60 GB/s, an NVMe drive of 6 GB/s.
PlanMachine desktop() {
    PlanMachine machine;
    machine.cpu = "Desktop";
    machine.free_bytes = 60e9;
    machine.total_bytes = 64e9;
    machine.drive = "/models";
    MachineSpeed& speed = machine.figures.speed;
    speed.threads = 8;
    speed.isa = "avx512_vnni";
    speed.read_bytes_per_second = 60e9;
    speed.verb_seconds = 2e-6;
    struct Row {
        FormatId format;
        double one, many;  // seconds of a weight: 80 % of the reads; 256 rows
    };
    for (const Row& row :
         {Row{FormatId::kBf16, 4.2e-11, 1.5e-9}, Row{FormatId::kFp8Block128, 2.1e-11, 1.5e-9},
          Row{FormatId::kQ8, 2.1e-11, 2.5e-10}, Row{FormatId::kQ4, 1.2e-11, 2.5e-10},
          Row{FormatId::kQ2, 0.8e-11, 3e-10}, Row{FormatId::kF32, 8.3e-11, 1.5e-9}}) {
        speed.products.push_back({row.format, 1, row.one});
        speed.products.push_back({row.format, 256, row.many});
    }
    speed.attention = {{true, KvFormat::kF32, 1, 5e10},  {true, KvFormat::kInt8, 1, 5e10},
                       {true, KvFormat::kF32, 64, 2e11}, {true, KvFormat::kInt8, 64, 2e11},
                       {false, KvFormat::kF32, 1, 3e10}, {false, KvFormat::kF32, 64, 1e11}};
    machine.figures.disk_random_bytes_per_second = 6e9;
    machine.figures.disk_sequential_bytes_per_second = 7e9;
    return machine;
}

PlanReport r1_plan() {
    ForecastRequest request;
    request.memory_bytes = 54e9;
    return make_plan("r1", {sized("r1", "published"), sized("r1", "q4"), sized("r1", "q2")},
                     desktop(), request, {128e9, 24e9, 64e9});
}

TEST(PlanReport, budgets_are_sorted_and_the_machines_own_is_among_them_once) {
    const PlanReport plan = r1_plan();
    ASSERT_EQ(plan.formats.size(), 3U);
    for (const PlanFormat& format : plan.formats) {
        std::vector<double> budgets;
        for (const PlanRow& row : format.rows) {
            budgets.push_back(row.budget_bytes);
        }
        EXPECT_EQ(budgets, (std::vector<double>{24e9, 54e9, 64e9, 128e9}));
    }
    ForecastRequest request;
    request.memory_bytes = 24e9;
    EXPECT_EQ(
        make_plan("m", {sized("r1", "q4")}, desktop(), request, {24e9}).formats[0].rows.size(), 1U);
}

// PINS
bool has(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

TEST(PlanReport, the_text_answers_whether_it_runs_how_fast_and_what_it_needs) {
    const std::string text = plan_text(r1_plan());
    EXPECT_TRUE(has(text, "r1 on this machine: Desktop, 8 threads, 60.0 GB free of 64.0 GB"))
        << text;
    EXPECT_TRUE(has(text, "With 54.0 GB:\n  as published (fp8): yes, ")) << text;
    EXPECT_TRUE(has(text, "Limited by the drive. Needs 673 GB of disk.")) << text;
    EXPECT_TRUE(has(text, "routed_experts")) << text;
    EXPECT_TRUE(has(text, "% of the experts in memory, ")) << text;
    EXPECT_TRUE(has(text, "with a drive twice as fast (12.0 GB/s): ")) << text;
    EXPECT_TRUE(has(text, "with fewer bits (q2): ")) << text;
    EXPECT_TRUE(has(text, "recorded with on four kinds of text")) << text;
}

TEST(PlanReport, a_budget_too_small_says_the_least) {
    ForecastRequest request;
    request.memory_bytes = 1e9;
    const std::string text =
        plan_text(make_plan("r1", {sized("r1", "q4")}, desktop(), request, {}));
    EXPECT_TRUE(has(text, "  q4: no; it needs at least ")) << text;
    EXPECT_TRUE(has(text, "1.00 GB  does not fit; the least is ")) << text;
}

TEST(PlanReport, without_a_drive_the_text_says_how_to_measure_one) {
    PlanMachine machine = desktop();
    machine.figures.disk_random_bytes_per_second = 0;
    ForecastRequest request;
    request.memory_bytes = 54e9;
    EXPECT_TRUE(has(plan_text(make_plan("r1", {sized("r1", "q4")}, machine, request, {})),
                    "(nereus doctor DIR)"));
}

TEST(PlanReport, a_dense_model_makes_no_assumption_about_experts) {
    ForecastRequest request;
    request.memory_bytes = 54e9;
    const std::string text =
        plan_text(make_plan("llama", {sized("r1-distill-llama-8b", "q4")}, desktop(), request, {}));
    EXPECT_TRUE(has(text, "all in memory")) << text;
    EXPECT_FALSE(has(text, "routing")) << text;
    EXPECT_TRUE(has(text, "faster than reading")) << text;
}

TEST(PlanReport, json_has_every_row_with_placement_and_the_reasons) {
    const Json json = plan_json(r1_plan());
    EXPECT_EQ(json["model"], "r1");
    const Json& q4 = json["formats"][1];
    EXPECT_EQ(q4["format"], "q4");
    ASSERT_EQ(q4["rows"].size(), 4U);
    const Json& row = q4["rows"][0];
    EXPECT_EQ(row["limit"], "disk");
    double placed = 0;
    for (const char* part : {"dense", "expert", "cache", "activation", "process"}) {
        placed += row["placement"][std::string(part) + "_bytes"].get<double>();
    }
    EXPECT_LE(placed, 24e9);
    EXPECT_GT(placed, 23.9e9);
    EXPECT_NEAR(
        row["decode"]["seconds"].get<double>() * row["decode_tokens_per_second"].get<double>(), 1,
        1e-9);
    EXPECT_FALSE(q4["remedies"].empty());
}

}  // namespace
}  // namespace nereus
