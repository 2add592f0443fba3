// Log lines: to stderr, one a message with its level, and only from the chosen level on.

#include "base/log.h"

#include <gtest/gtest.h>

namespace nereus {
namespace {

/// What a function writes to stderr; nothing may come to stdout.
template <typename Body>
std::string logged(const Body& body) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    body();
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "") << "results go to stdout, nothing else";
    return testing::internal::GetCapturedStderr();
}

TEST(Log, warnings_are_shown_and_information_is_not_unless_asked_for) {
    const auto both = [] {
        log_info("{} of {}", 1, 2);
        log_warning("slow: {}", "disk");
    };
    EXPECT_EQ(logged(both), "nereus: warning: slow: disk\n") << "the level nobody chose";
    set_log_level(LogLevel::kInfo);
    EXPECT_EQ(logged(both), "nereus: info: 1 of 2\nnereus: warning: slow: disk\n");
    set_log_level(LogLevel::kError);
    EXPECT_EQ(logged(both), "");
    EXPECT_EQ(logged([] { log_message(LogLevel::kError, "bad"); }), "nereus: error: bad\n");
    set_log_level(LogLevel::kOff);
    EXPECT_EQ(logged([] { log_message(LogLevel::kError, "bad"); }), "");
    set_log_level(LogLevel::kWarning);
}

TEST(Log, braces_in_a_message_are_not_a_format) {
    EXPECT_EQ(logged([] { log_message(LogLevel::kWarning, "{} {x} %d"); }),
              "nereus: warning: {} {x} %d\n");
    EXPECT_EQ(logged([] { log_warning("{}", "{}"); }), "nereus: warning: {}\n");
}

}  // namespace
}  // namespace nereus
