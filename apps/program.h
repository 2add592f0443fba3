#pragma once
// The program: a table of subcommands, one place that prints errors, one table of exit codes.

#include <string>
#include <vector>

#include "apps/command.h"

namespace nereus {

/// Runs `nereus ARGUMENTS` (without the program's own name) and prints its result or its error.
ExitCode run_program(std::vector<std::string> arguments);

}  // namespace nereus
