#include "apps/stream_use.h"

#include <gtest/gtest.h>

namespace nereus {
namespace {

constexpr ExpertBankStats kUse = {.n_hits = 710,
                                  .n_misses = 290,
                                  .n_bytes_needed = 4'100'000'000,
                                  .n_bytes_read = 4'300'000'000,
                                  .wait_seconds = 1.4};
constexpr StreamSpan kSpan = {2.0, 10, 2.5e9};

TEST(StreamUse, one_line_says_hits_bytes_rate_limit_and_where_the_time_went) {
    EXPECT_EQ(describe_stream(kUse, kSpan),
              "experts: 71 % in memory, 430 MB a token from disk at 2.15 GB/s (86 % of the drive's "
              "2.50); 30 % of the time computing, 70 % waiting");
}

TEST(StreamUse, guesses_are_told_where_there_were_any) {
    ExpertBankStats use = kUse;
    use.n_guesses = 500;
    use.n_guesses_right = 87;
    EXPECT_NE(describe_stream(use, kSpan).find("; 30 % of the missing ones guessed in time"),
              std::string::npos);
    EXPECT_EQ(stream_to_json(use, kSpan)["guesses"], 500);
    EXPECT_EQ(stream_to_json(use, kSpan)["guesses_right"], 87);
    EXPECT_EQ(stream_to_json(use, kSpan)["bytes_needed"], 4'100'000'000);
}

TEST(StreamUse, without_a_measured_drive_there_is_no_share_of_it) {
    StreamSpan span = kSpan;
    span.drive_limit_bytes_per_second = 0;
    EXPECT_EQ(describe_stream(kUse, span).find("drive's"), std::string::npos);
    EXPECT_FALSE(stream_to_json(kUse, span).contains("share_of_drive"));
    EXPECT_NEAR(stream_to_json(kUse, kSpan)["share_of_drive"].get<double>(), 0.86, 1e-9);
}

TEST(StreamUse, a_model_in_memory_has_nothing_to_say) {
    EXPECT_EQ(describe_stream({.n_hits = 1000}, kSpan), "");
    EXPECT_TRUE(stream_to_json({.n_hits = 1000}, kSpan).is_null());
}

TEST(StreamUse, an_answer_of_no_time_or_tokens_divides_by_nothing) {
    const Json json = stream_to_json(kUse, {0, 0, 0});
    EXPECT_EQ(json["bytes_per_second"], 0.0);
    EXPECT_EQ(json["waiting_share"], 0.0);
    EXPECT_EQ(json["bytes_per_token"], 4.3e9);
}

}  // namespace
}  // namespace nereus
