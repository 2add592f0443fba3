#include "compute/machine_speed.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/thread_pool.h"

namespace nereus {
namespace {

MachineSpeed some_speed() {
    MachineSpeed speed;
    speed.threads = 2;
    speed.isa = "avx2";
    speed.read_bytes_per_second = 50e9;
    speed.verb_seconds = 1e-6;
    speed.products = {{FormatId::kQ4, 1, 2e-11},
                      {FormatId::kQ4, 4, 4e-11},
                      {FormatId::kQ4, 256, 1e-9},
                      {FormatId::kQ8, 1, 4e-11},
                      {FormatId::kQ8, 256, 3e-9}};
    const KvFormat f32 = KvFormat::kF32;
    const KvFormat int8 = KvFormat::kInt8;
    speed.attention = {{true, f32, 1, 1e10},   {true, f32, 64, 4e10}, {true, int8, 1, 5e10},
                       {true, int8, 64, 9e10}, {false, f32, 1, 2e10}, {false, f32, 64, 3e10}};
    return speed;
}

TEST(MachineSpeed, measured_numbers_of_rows_are_given_back) {
    const MachineSpeed speed = some_speed();
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kQ4, 1), 2e-11);
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kQ4, 4), 4e-11);
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kQ4, 256), 1e-9);
}

TEST(MachineSpeed, between_them_a_line_of_logarithms_and_beyond_in_proportion) {
    const MachineSpeed speed = some_speed();
    EXPECT_NEAR(speed.weight_seconds(FormatId::kQ4, 2) / 2.828427e-11, 1, 1e-6);
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kQ4, 512), 2e-9);
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kQ4, 0.5), 2e-11) << "not less than one row";
    double last = 0;
    for (int n = 1; n < 600; ++n) {
        EXPECT_GE(speed.weight_seconds(FormatId::kQ4, n), last) << n;
        last = speed.weight_seconds(FormatId::kQ4, n);
    }
}

TEST(MachineSpeed, an_unmeasured_format_is_taken_for_the_slowest) {
    const MachineSpeed speed = some_speed();
    EXPECT_FALSE(speed.knows(FormatId::kBf16));
    EXPECT_TRUE(speed.knows(FormatId::kQ8));
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kBf16, 1), 4e-11);
    EXPECT_DOUBLE_EQ(speed.weight_seconds(FormatId::kBf16, 256), 3e-9);
}

TEST(MachineSpeed, attention_takes_the_nearest_number_of_queries_of_its_kind) {
    const MachineSpeed speed = some_speed();
    EXPECT_DOUBLE_EQ(speed.attention_seconds(true, KvFormat::kF32, 1, 1e10), 1);
    EXPECT_DOUBLE_EQ(speed.attention_seconds(true, KvFormat::kF32, 7, 1e10), 1);
    EXPECT_DOUBLE_EQ(speed.attention_seconds(true, KvFormat::kF32, 9, 4e10), 1);
    EXPECT_DOUBLE_EQ(speed.attention_seconds(true, KvFormat::kInt8, 9, 9e10), 1);
    EXPECT_DOUBLE_EQ(speed.attention_seconds(false, KvFormat::kF32, 512, 3e10), 1);
    EXPECT_DOUBLE_EQ(speed.attention_seconds(false, KvFormat::kBf16, 512, 3e10), 1)
        << "unmeasured: as another format of its kind";
}

TEST(MachineSpeed, json_keeps_every_figure) {
    const Json json = machine_speed_json(some_speed());
    const MachineSpeed back = machine_speed_from_json(json, "t").value();
    EXPECT_EQ(machine_speed_json(back), json);
}

TEST(MachineSpeed, a_damaged_figure_is_refused_by_its_name) {
    for (const char* key : {"threads", "read_gb_per_second", "verb_microseconds"}) {
        Json json = machine_speed_json(some_speed());
        json[key] = 0;
        const auto speed = machine_speed_from_json(json, "file");
        ASSERT_FALSE(speed.ok());
        EXPECT_NE(speed.error().message.find(key), std::string::npos) << speed.error().message;
        json.erase(key);
        EXPECT_FALSE(machine_speed_from_json(json, "file").ok());
    }
    Json json = machine_speed_json(some_speed());
    json["products"][2]["rows"] = "many";
    EXPECT_FALSE(machine_speed_from_json(json, "file").ok());
    json = machine_speed_json(some_speed());
    json["attention"].erase(0);
    EXPECT_FALSE(machine_speed_from_json(json, "file").ok());
}

TEST(MachineSpeed, measuring_fills_every_figure_of_the_formats_asked) {
    ThreadPool pool(1);
    const auto backend = create_cpu_backend(pool, "").value();
    // q6_k is not among the formats that random models are made of.
    const FormatId formats[] = {FormatId::kQ4, FormatId::kFp8Block128, FormatId::kQ6K};
    double last = 0;
    const MachineSpeed speed = measure_machine(*backend, formats, 0, [&](double fraction) {
        EXPECT_GT(fraction, last);
        last = fraction;
    });
    EXPECT_EQ(last, 1);
    EXPECT_EQ(speed.threads, 1);
    EXPECT_EQ(speed.isa, backend->isa());
    EXPECT_TRUE(speed.knows(FormatId::kQ4));
    EXPECT_TRUE(speed.knows(FormatId::kFp8Block128));
    EXPECT_EQ(speed.products.size(), 15U);
    for (const FormatId id : common_formats()) {
        EXPECT_NE(format_of(id).decode_row, nullptr) << "what is measured can be multiplied";
    }
    const Json json = machine_speed_json(speed);
    EXPECT_TRUE(machine_speed_from_json(json, "t").ok()) << json.dump();
}

}  // namespace
}  // namespace nereus
