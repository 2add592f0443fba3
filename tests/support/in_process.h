#pragma once
// Runs a command inside the test process: the whole program but main, with its output captured.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apps/program.h"
#include "base/json.h"

namespace nereus::test {

struct CommandResult {
    ExitCode exit_code = kExitOk;
    std::string out, err;
};

inline CommandResult run_command(const std::vector<std::string>& arguments) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    CommandResult result;
    result.exit_code = run_program(arguments);
    result.out = testing::internal::GetCapturedStdout();
    result.err = testing::internal::GetCapturedStderr();
    return result;
}

/// The one JSON value a successful command printed, in one line and with nothing on stderr.
inline Json json_result(const std::vector<std::string>& arguments) {
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, kExitOk) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1) << result.out;
    auto json = parse_json(result.out, "stdout");
    EXPECT_TRUE(json.ok()) << result.out;
    return json.ok() ? *json : Json();
}

/// The command must fail with this code, nothing on stdout and one line on stderr that has `words`.
inline void expect_error(const std::vector<std::string>& arguments, const std::string& words,
                         ExitCode exit_code = kExitBadInput) {
    const CommandResult result = run_command(arguments);
    std::string shown;
    for (const std::string& argument : arguments) {
        shown += argument + " ";
    }
    SCOPED_TRACE(shown + "\n" + result.err);
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err.substr(0, 15), "nereus: error: ");
    EXPECT_NE(result.err.find(words), std::string::npos) << "expected: " << words;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

}  // namespace nereus::test
