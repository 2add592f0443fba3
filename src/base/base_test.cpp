#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/file.h"
#include "base/floats.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "base/unicode.h"
#include "base/units.h"

namespace nereus {
namespace {

TEST(Result, try_returns_the_error_of_the_first_failing_step) {
    const auto step = [](int n) -> Result<int> {
        if (n > 1) {
            return make_error(ErrorCode::kCorrupt, "step {}", n);
        }
        return n;
    };
    const auto both = [&](int a, int b) -> Result<int> {
        return NEREUS_TRY(step(a)) + NEREUS_TRY(step(b));
    };
    EXPECT_EQ(both(0, 1).value(), 1);
    EXPECT_EQ(both(1, 2).error().message, "step 2");
    EXPECT_EQ(both(3, 2).error().message, "step 3");
}

TEST(Units, checked_arithmetic_notices_overflow) {
    EXPECT_EQ(checked_mul(1ULL << 32, 1ULL << 31), 1ULL << 63);
    EXPECT_FALSE(checked_mul(1ULL << 32, 1ULL << 32).has_value());
    EXPECT_FALSE(checked_add(~0ULL, 1).has_value());
}

TEST(Units, human_bytes_has_three_digits) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(20'837'856), "20.8 MB");
    EXPECT_EQ(human_bytes(999'600), "1.00 MB");
    EXPECT_EQ(human_bytes(688'600'000'000), "689 GB");
}

TEST(Floats, narrow_after_widen_is_the_identity_for_every_f16_and_bf16) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        if ((bits & 0x7fffU) <= 0x7c00U) {
            EXPECT_EQ(f32_to_f16(f16_to_f32(half)), half);
        }
        if ((bits & 0x7fffU) <= 0x7f80U) {
            EXPECT_EQ(f32_to_bf16(bf16_to_f32(half)), half);
        }
    }
}

TEST(Floats, f16_rounds_to_nearest_even) {
    EXPECT_EQ(f32_to_f16(1.0F + 0x1p-11F), 0x3c00);      // tie to even
    EXPECT_EQ(f32_to_f16(1.0F + 3 * 0x1p-11F), 0x3c02);  // tie to even, up
    EXPECT_EQ(f32_to_f16(65519.0F), 0x7bff);
    EXPECT_EQ(f32_to_f16(65520.0F), 0x7c00);
    EXPECT_EQ(f32_to_f16(0x1p-25F), 0x0000);
}

TEST(Floats, small_formats_have_their_published_values) {
    EXPECT_EQ(e4m3_to_f32(0x7e), 448.0F);
    EXPECT_EQ(e4m3_to_f32(0x01), 0x1p-9F);
    EXPECT_EQ(e4m3_to_f32(0xb8), -1.0F);
    EXPECT_TRUE(std::isnan(e4m3_to_f32(0x7f)));
    EXPECT_EQ(e8m0_to_f32(127), 1.0F);
    EXPECT_EQ(e8m0_to_f32(0), 0x1p-127F);
    EXPECT_EQ(e2m1_to_f32(0xf), -6.0F);
}

TEST(Json, keeps_key_order_and_names_what_is_wrong) {
    EXPECT_EQ(dump_json(parse_json(R"({"b": 1, "a": [2]})", "x").value()), R"({"b":1,"a":[2]})");
    EXPECT_EQ(parse_json(R"({"a":1,"a":2})", "x").error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(parse_json(std::string(100, '['), "x").error().code, ErrorCode::kUnsupported);
    EXPECT_FALSE(parse_json("{\"a\":", "x").ok());
    EXPECT_FALSE(parse_json("\"\xff\"", "x").ok());
    EXPECT_FALSE(parse_json("[NaN]", "x").ok());
    EXPECT_FALSE(parse_json("", "x").ok());
    EXPECT_FALSE(parse_json("[1] 2", "x").ok());
}

TEST(JsonScan, hands_over_raw_values_in_order) {
    std::vector<std::string> seen;
    const auto status = scan_object(R"( {"a\u0041": [1, {"x": 2}] , "b":"t\n" , "c": 3 } )", "x",
                                    [&](std::string_view key, std::string_view raw) -> Status {
                                        seen.push_back(std::string(key) + "=" + std::string(raw));
                                        return {};
                                    });
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(seen, (std::vector<std::string>{"aA=[1, {\"x\": 2}]", "b=\"t\\n\"", "c=3"}));
    EXPECT_EQ(unescape_json("\"t\\n\"", "x").value(), "t\n");
}

TEST(JsonScan, refuses_what_is_not_one_container) {
    const auto ignore = [](std::string_view) -> Status { return {}; };
    EXPECT_FALSE(scan_array("[1,", "x", ignore).ok());
    EXPECT_FALSE(scan_array("{}", "x", ignore).ok());
    EXPECT_FALSE(scan_array("", "x", ignore).ok());
    EXPECT_FALSE(scan_array("[] []", "x", ignore).ok());
    EXPECT_TRUE(scan_array("[]", "x", ignore).ok());
}

TEST(File, opening_a_directory_a_fifo_or_nothing_is_an_error_at_once) {
    const auto dir = std::filesystem::temp_directory_path();
    EXPECT_EQ(MappedFile::open(dir).error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(MappedFile::open(dir / "no such file").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(read_file("/dev/null", 10).error().code, ErrorCode::kInvalidArgument);
}

TEST(File, an_atomic_write_is_read_back) {
    const auto path = std::filesystem::temp_directory_path() / "nereus_base_test_file";
    ASSERT_TRUE(write_file_atomic(path, "hello", 0600).ok());
    EXPECT_EQ(read_file(path, 100).value(), "hello");
    EXPECT_EQ(read_file(path, 4).error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(MappedFile::open(path).value().text(), "hello");
    std::filesystem::remove(path);
}

TEST(ThreadPool, every_index_is_visited_once_for_any_thread_count) {
    for (const int n_threads : {1, 2, 5}) {
        ThreadPool pool(n_threads);
        for (int round = 0; round < 200; ++round) {
            std::vector<std::atomic<int>> visits(101);
            pool.parallel_for(101, 7, [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                    visits[static_cast<size_t>(i)].fetch_add(1);
                }
            });
            for (const auto& count : visits) {
                ASSERT_EQ(count.load(), 1);
            }
        }
    }
}

TEST(Rng, bits_differ_in_every_argument) {
    EXPECT_NE(random_bits(1, 0, 0), random_bits(0, 1, 0));
    EXPECT_NE(random_bits(0, 1, 0), random_bits(0, 0, 1));
    double sum = 0;
    for (uint64_t i = 0; i < 10000; ++i) {
        sum += random_unit(7, 3, i);
    }
    EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(Unicode, invalid_forms_are_found_and_replaced) {
    EXPECT_TRUE(is_valid_utf8("aé中🦙"));
    for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe4\xb8"}) {
        EXPECT_FALSE(is_valid_utf8(bad));
    }
    EXPECT_EQ(replace_invalid_utf8("a\xff"
                                   "b"),
              "a\xef\xbf\xbd"
              "b");
}

TEST(Unicode, an_unfinished_character_is_recognised) {
    EXPECT_EQ(incomplete_utf8_suffix("a\xe4\xb8"), 2U);
    EXPECT_EQ(incomplete_utf8_suffix("a\xf0\x9f\xa6"), 3U);
    EXPECT_EQ(incomplete_utf8_suffix("中"), 0U);
    EXPECT_EQ(incomplete_utf8_suffix("\xff"), 0U);
    EXPECT_EQ(incomplete_utf8_suffix("\xed\xa0"), 0U);
}

TEST(Unicode, nfc_composes_and_widths_are_known) {
    EXPECT_EQ(to_nfc("e\xcc\x81").value(), "é");
    EXPECT_EQ(column_width(U'中'), 2);
    EXPECT_EQ(column_width(U'a'), 1);
}

}  // namespace
}  // namespace nereus
