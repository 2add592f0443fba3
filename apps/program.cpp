#include "apps/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "apps/command.h"
#include "apps/input.h"
#include "compute/backend.h"

namespace nereus {
namespace {

// The first row is what runs without a subcommand.
const Command* const kCommands[] = {&kRunCommand,        &kInspectCommand,  &kTokenizeCommand,
                                    &kDetokenizeCommand, &kTemplateCommand, &kEvalCommand,
                                    &kBenchCommand,      &kPackCommand,     &kSynthCommand,
                                    &kDoctorCommand,     &kPlanCommand};

constexpr ExitCodeRow kExitCodes[] = {
    {kExitOk, "done"},
    {kExitFailure, "internal failure, or a result that could not be written"},
    {kExitBadInput, "bad usage, or a bad or missing file, model or request"},
    {kExitLimit, "the context or another limit is too small; the message has the numbers"},
    {kExitInterrupted, "interrupted"},
};

constexpr int kThreadsMax = 1024;

struct CommonFlag {
    std::string_view name;
    std::string_view help;
};

constexpr CommonFlag kThreadsFlag = {"--threads", "worker threads (default: one a core)"};
constexpr CommonFlag kIsaFlag = {
    "--isa",
    "kernel table: portable, avx2, avx_vnni, avx512, avx512_vbmi, avx512_vnni, amx (default: "
    "best)"};
constexpr CommonFlag kFormatFlag = {"--format", "chat format (default: auto, from the model)"};
constexpr CommonFlag kActivationsFlag = {
    "--activations",
    "of quantised GGUF weights. int8: rounded to 8 bits as llama.cpp does, fastest; f32: never; "
    "auto: int8 for blocks of 32, f32 for K-quants (default: auto)"};
constexpr CommonFlag kMemoryFlag = {
    "--memory",
    "what Nereus may take, as 12G: weights, cache, buffers and itself. Experts that do not fit "
    "stay "
    "on disk and are read when a token wants them (default: what is free)"};
constexpr CommonFlag kCacheFlag = {
    "--cache",
    "how attention's rows are kept. f32: exactly; bf16: half the bytes; int8: a quarter, "
    "multiplied "
    "as integers, latent attention only; auto: int8 for packs that round to int8 anyway, else f32 "
    "(default: auto)"};
constexpr CommonFlag kCommonFlags[] = {kThreadsFlag,     kIsaFlag,   kFormatFlag,
                                       kActivationsFlag, kCacheFlag, kMemoryFlag};

/// How many insertions, deletions, replacements and swaps of neighbours make b of a.
size_t edits_between(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) {
        for (size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            const size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({replaced, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a.size()][b.size()];
}

bool is_command(std::string_view word) {
    return std::any_of(std::begin(kCommands), std::end(kCommands),
                       [&](const Command* command) { return command->name == word; });
}

/// Where a missing "run" belongs: before the first word that is neither a common flag nor a
/// subcommand. Negative when the arguments need none.
int missing_run_at(const std::vector<std::string>& arguments) {
    size_t i = 0;
    while (i < arguments.size()) {
        const std::string& word = arguments[i];
        if (word == "--help" || word == "-h" || word == "--version" || is_command(word)) {
            return -1;
        }
        const std::string name = word.substr(0, word.find('='));
        const bool common = std::any_of(std::begin(kCommonFlags), std::end(kCommonFlags),
                                        [&](const CommonFlag& flag) { return flag.name == name; });
        if (!common) {
            break;
        }
        i += name == word ? 2 : 1;
    }
    return static_cast<int>(std::min(i, arguments.size()));
}

/// The first word where it is no command but looks like a mistyped one; a model by that name wins.
Status refuse_mistyped(const std::string& word) {
    std::vector<std::string_view> names;
    for (const Command* command : kCommands) {
        names.push_back(command->name);
    }
    const std::string_view meant = path_exists(word) ? std::string_view() : nearest(word, names);
    if (meant.empty()) {
        return {};
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "there is no command \"{}\"; did you mean {}? (nereus run {} asks a model)",
                      word, meant, word);
}

std::string footer() {
    std::string text = "\nEXIT CODES\n";
    for (const ExitCodeRow& row : kExitCodes) {
        text += fmt::format("  {:<4} {}\n", static_cast<int>(row.code), row.meaning);
    }
    return text + "\nResults go to stdout, everything else to stderr.";
}

/// Refused for every command, also those that run no kernel: a flag that is accepted counts.
std::string refuse_isa(const std::string& name) {
    const std::vector<std::string> names = available_isas();
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) {
        return "";
    }
    return fmt::format("this CPU cannot run \"{}\"; available: {}", name, fmt::join(names, ", "));
}

void add_common(CLI::App& app, CommonOptions& common) {
    app.add_option(std::string(kThreadsFlag.name), common.threads, std::string(kThreadsFlag.help))
        ->check(CLI::Range(1, kThreadsMax))
        ->type_name("N");
    app.add_option(std::string(kIsaFlag.name), common.isa, std::string(kIsaFlag.help))
        ->check(refuse_isa, "")
        ->type_name("NAME");
    app.add_option(std::string(kFormatFlag.name), common.format, std::string(kFormatFlag.help))
        ->type_name("NAME");
    app.add_option(std::string(kActivationsFlag.name), common.activations,
                   std::string(kActivationsFlag.help))
        ->check(CLI::IsMember({"auto", "int8", "f32"}))
        ->type_name("NAME");
    app.add_option(std::string(kMemoryFlag.name), common.memory, std::string(kMemoryFlag.help))
        ->type_name("BYTES");
    app.add_option(std::string(kCacheFlag.name), common.cache, std::string(kCacheFlag.help))
        ->check(CLI::IsMember({"auto", "f32", "bf16", "int8"}))
        ->type_name("NAME");
}

/// CLI11 speaks in several lines; an error is one.
std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return text;
}

ExitCode finish(const Result<ExitCode>& result) {
    if (result.ok()) {
        return *result;
    }
    print_error(result.error());
    return exit_code_of(result.error());
}

}  // namespace

std::span<const ExitCodeRow> exit_codes() { return kExitCodes; }

ExitCode exit_code_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::kOutOfMemory:
        case ErrorCode::kOverloaded:
            return kExitLimit;
        case ErrorCode::kCancelled:
            return kExitInterrupted;
        default:
            return kExitBadInput;
    }
}

void print_error(const Error& error) {
    // Not fmt::print, which throws when stderr itself is full or closed.
    std::fputs(fmt::format("nereus: error: {}\n", one_line(error.message)).c_str(), stderr);
}

Status write_result(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
        std::fflush(stdout) != 0) {
        return make_error(ErrorCode::kIo, "standard output: write failed (disk full or closed)");
    }
    return {};
}

Result<ExitCode> print_result(std::string_view text) {
    const Status written = write_result(text);
    if (!written.ok()) {
        print_error(written.error());
        return kExitFailure;
    }
    return kExitOk;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
    for (const std::string_view name : names) {
        const size_t n_edits_max = name.size() <= 4 ? 1 : 2;
        if (word.size() <= name.size() + n_edits_max && edits_between(word, name) <= n_edits_max) {
            return name;
        }
    }
    return {};
}

ExitCode run_program(std::vector<std::string> arguments) {
    if (const int at = missing_run_at(arguments); at >= 0) {
        if (const auto n = static_cast<size_t>(at); n < arguments.size()) {
            if (const Status mistyped = refuse_mistyped(arguments[n]); !mistyped.ok()) {
                print_error(mistyped.error());
                return kExitBadInput;
            }
        }
        arguments.insert(arguments.begin() + at, std::string(kCommands[0]->name));
    }
    CommonOptions common;
    CLI::App app{
        "Runs models of the DeepSeek family on ordinary hardware. Without a subcommand: run."};
    app.name("nereus");
    app.set_version_flag("--version", "nereus " NEREUS_VERSION);
    app.require_subcommand(1, 1);
    app.fallthrough();  // common flags are accepted after the subcommand too; children inherit it
    app.footer(footer());
    add_common(app, common);
    std::vector<std::pair<CLI::App*, CommandBody>> bodies;
    for (const Command* command : kCommands) {
        CLI::App* child =
            app.add_subcommand(std::string(command->name), std::string(command->help));
        bodies.emplace_back(child, command->setup(*child, common));
    }
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    try {
        app.parse(arguments);
    } catch (const CLI::CallForHelp&) {
        return finish(print_result(app.help()));
    } catch (const CLI::CallForVersion& version) {
        return finish(print_result(fmt::format("{}\n", version.what())));
    } catch (const CLI::ParseError& error) {
        print_error(make_error(ErrorCode::kInvalidArgument, "{} (nereus --help shows the usage)",
                               one_line(error.what())));
        return kExitBadInput;
    }
    for (auto& [child, body] : bodies) {
        if (child->parsed()) {
            return finish(body());
        }
    }
    return kExitFailure;
}

}  // namespace nereus
