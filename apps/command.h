#pragma once
// What a subcommand is: a name, a line of help, and a function that declares its flags and returns
// what to run. apps/nereus.cpp holds the table, prints errors and turns them into exit codes.

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace nereus {

/// What the process says to its caller; --help prints this table.
enum ExitCode : int {
    kExitOk = 0,
    kExitFailure = 1,   ///< our failure, or a result that could not be written
    kExitBadInput = 2,  ///< bad usage, a bad request, a bad or missing file or model
    kExitLimit = 3,     ///< the context, a cache or another limit is too small; numbers are given
    kExitInterrupted = 130  ///< Ctrl+C
};

struct ExitCodeRow {
    ExitCode code;
    std::string_view meaning;
};
std::span<const ExitCodeRow> exit_codes();

/// The exit code an error of the world leads to: out_of_memory and overloaded are limits, cancelled
/// is an interruption, everything else is bad input.
ExitCode exit_code_of(const Error& error);

/// Writes the one line `nereus: error: ...` to stderr.
void print_error(const Error& error);

/// Flags of every subcommand, accepted before and after its name. Filled when parsing is done.
struct CommonOptions {
    int threads = 0;                   ///< 0: all usable cores
    std::string isa;                   ///< "": the fastest kernel table
    std::string format;                ///< "" or "auto": chosen from the model, see open.h
    std::string activations = "auto";  ///< or "f32", "int8": of quantised GGUF weights
    std::string cache = "auto";        ///< or a name of kKvFormats
};

/// Runs the subcommand after parsing. An Error is printed and mapped by exit_code_of; a command
/// that wants another code prints by itself and returns it.
using CommandBody = std::function<Result<ExitCode>()>;

/// One subcommand.
struct Command {
    std::string_view name;
    std::string_view help;  ///< one line
    /// Declares flags on `app`. What the flags fill must be owned by the returned body
    /// (shared_ptr); common outlives it. A subcommand of a subcommand (eval logits) is declared the
    /// same way.
    CommandBody (*setup)(CLI::App& app, const CommonOptions& common);
};

/// Writes results to stdout at once and flushes. errors: io (a full disk, a closed pipe)
Status write_result(std::string_view text);

/// The last act of a command: writes the result; exit code 1 and a line on stderr when that fails.
Result<ExitCode> print_result(std::string_view text);

/// The name that `word` is a misspelling of (one edit, two in longer names); "" when there is none.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

// One row a file of apps/.
extern const Command kRunCommand;
extern const Command kInspectCommand;
extern const Command kTokenizeCommand;
extern const Command kDetokenizeCommand;
extern const Command kTemplateCommand;
extern const Command kEvalCommand;
extern const Command kBenchCommand;
extern const Command kPackCommand;
extern const Command kSynthCommand;
extern const Command kDoctorCommand;
extern const Command kPlanCommand;

}  // namespace nereus
