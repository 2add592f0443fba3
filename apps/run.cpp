// run: a chat with a model in the terminal, or one answer for a script.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "apps/chat_loop.h"
#include "apps/input.h"
#include "apps/open.h"
#include "base/rng.h"
#include "base/unicode.h"
#include "terminal/key_mode.h"
#include "terminal/line_editor.h"
#include "terminal/progress.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPromptBytesMax = 64 << 20;
/// Seeds above are not exact in the JSON of /save.
constexpr uint64_t kSeedMax = 1ULL << 53;

struct RunFlags {
    std::vector<std::string> words;  ///< [MODEL] [PROMPT]
    std::string model, system, think = "on";
    std::optional<float> temperature, top_p, min_p;
    std::optional<float> repetition_penalty, presence_penalty, frequency_penalty;
    std::optional<int32_t> top_k;
    std::optional<uint64_t> seed;
    int64_t max_tokens = 0, context = 0;
    bool greedy = false, json = false, stats = false, no_color = false, raw = false;
};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// XDG base directory specification: state that is not worth a backup.
std::string history_path() {
    const std::string state = environment("XDG_STATE_HOME");
    if (state.starts_with('/')) {
        return state + "/nereus/history";
    }
    const std::string home = environment("HOME");
    return home.empty() ? "" : home + "/.local/state/nereus/history";
}

/// The bundled model beside the program (build/release/nereus, or bin/nereus of an installation).
fs::path default_model() {
    std::error_code failure;
    const fs::path program = fs::read_symlink("/proc/self/exe", failure);
    for (const char* place : {"../../models/nereus-seed", "../share/nereus/models/nereus-seed"}) {
        const fs::path path = program.parent_path() / place;
        if (!failure && path_exists(path / "config.json")) {
            return path.lexically_normal();
        }
    }
    return bundled_model();
}

bool looks_like_model(const std::string& word) {
    const bool has_space = word.find_first_of(" \t\n") != std::string::npos;
    return path_exists(word) ||
           (!has_space && (word.find('/') != std::string::npos || word.ends_with(".gguf")));
}

/// What the positional words and --model mean.
struct Target {
    fs::path model;
    std::optional<std::string> prompt;
};

Result<Target> target_of(const RunFlags& flags) {
    std::vector<std::string> words = flags.words;
    Target target{flags.model.empty() ? default_model() : fs::path(flags.model), std::nullopt};
    if (flags.model.empty() && !words.empty() &&
        (words.size() > 1 || looks_like_model(words.front()))) {
        target.model = words.front();
        words.erase(words.begin());
    }
    if (words.size() > 1) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "expected at most one MODEL and one PROMPT, found \"{}\" as well; put the "
            "prompt in quotes",
            words[1]);
    }
    if (!words.empty()) {
        target.prompt = words.front();
    }
    return target;
}

Result<std::string> read_stdin() {
    std::string text;
    char bytes[65536];
    for (ssize_t got = 0; (got = ::read(STDIN_FILENO, bytes, sizeof(bytes))) != 0;) {
        if (got < 0) {
            return make_error(ErrorCode::kIo, "standard input: cannot read the prompt");
        }
        text.append(bytes, static_cast<size_t>(got));
        if (text.size() > kPromptBytesMax) {
            return make_error(ErrorCode::kUnsupported,
                              "standard input: more than {} bytes of prompt", kPromptBytesMax);
        }
    }
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.pop_back();  // what echo adds is not part of the question
    }
    return text;
}

template <typename T>
void override_with(const std::optional<T>& flag, T& value) {
    value = flag.value_or(value);
}

/// Another one for every start of the program; 32 bits, so that it is easily typed again.
uint64_t fresh_seed() {
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    return random_bits(static_cast<uint64_t>(now), static_cast<uint64_t>(::getpid()), 0) >> 32;
}

Result<ChatSession> session_of(const RunFlags& flags, const GenerationDefaults& defaults) {
    ChatSession session;
    session.set_system(flags.system);
    SamplingParams& sampling = session.settings.sampling;
    sampling = defaults.sampling;
    override_with(flags.temperature, sampling.temperature);
    override_with(flags.top_k, sampling.top_k);
    override_with(flags.top_p, sampling.top_p);
    override_with(flags.min_p, sampling.min_p);
    override_with(flags.repetition_penalty, sampling.repetition_penalty);
    override_with(flags.presence_penalty, sampling.presence_penalty);
    override_with(flags.frequency_penalty, sampling.frequency_penalty);
    sampling.seed = flags.seed.has_value() ? *flags.seed : fresh_seed();
    if (flags.greedy) {
        sampling.temperature = 0;
    }
    NEREUS_TRY(sampling.validate());
    session.settings.max_new_tokens = flags.max_tokens;
    session.settings.think = NEREUS_TRY(think_mode_of(flags.think));
    return session;
}

Result<OpenedModel> open_with_progress(const fs::path& path, const CommonOptions& common,
                                       int64_t context_tokens, ChatStreams& streams) {
    Progress bar(
        streams.to_err(), streams.err.can_style ? ProgressMode::kBar : ProgressMode::kSilent,
        fmt::format("Loading {}", neutralise_line(path.filename().string())), streams.err.columns);
    OpenOptions options = open_options(common);
    options.progress = [&](double fraction) { bar.update(fraction); };
    options.context_tokens = context_tokens;
    return open_model(path, options);
}

std::string name_of(const fs::path& model) {
    const fs::path path = model.has_filename() ? model : model.parent_path();
    return path.filename().string();
}

Result<ExitCode> run(const RunFlags& flags, const CommonOptions& common) {
    Target target = NEREUS_TRY(target_of(flags));
    const bool from_stdin = !target.prompt.has_value() && ::isatty(STDIN_FILENO) != 1;
    if (flags.json && !from_stdin && !target.prompt.has_value()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--json needs a prompt, as an argument or on standard input");
    }
    ChatStreams streams;
    streams.wishes.no_color = flags.no_color || !environment("NO_COLOR").empty();
    streams.wishes.term = environment("TERM");
    streams.out = traits_of(STDOUT_FILENO, streams.wishes);
    streams.err = traits_of(STDERR_FILENO, streams.wishes);
    // From here on nothing typed disturbs the output, and a sudden end leaves the terminal in
    // order.
    const bool is_chat = !from_stdin && !target.prompt.has_value();
    const bool edits = is_chat && LineEditor::can_edit(streams.wishes);
    const KeyModeHold quiet(STDIN_FILENO, edits ? KeyMode::kWaiting : KeyMode::kUnseen,
                            streams.out.can_style   ? STDOUT_FILENO
                            : streams.err.can_style ? STDERR_FILENO
                                                    : -1);
    const OpenedModel opened =
        NEREUS_TRY(open_with_progress(target.model, common, flags.context, streams));
    if (from_stdin) {  // after the model: a wrong path should not wait for the end of a pipe
        target.prompt = NEREUS_TRY(read_stdin());
    }
    if (target.prompt.has_value() && target.prompt->empty()) {
        return make_error(ErrorCode::kInvalidArgument, "the prompt is empty");
    }
    ChatSession session = NEREUS_TRY(session_of(flags, opened.generation));
    EngineLimits limits;
    limits.context_tokens = flags.context;
    limits.max_running = 1;
    const auto engine = NEREUS_TRY(Engine::create(*opened.model, limits));
    const ChatSetup setup{.opened = opened,
                          .engine = *engine,
                          .streams = streams,
                          .model_name = name_of(target.model),
                          .history_path = history_path(),
                          .raw = flags.raw,
                          .json = flags.json,
                          .show_stats = flags.stats};
    return target.prompt.has_value()
               ? run_once(setup, std::move(session), replace_invalid_utf8(*target.prompt))
               : run_chat(setup, std::move(session));
}

template <typename T>
void add_sampling(CLI::App& app, const char* name, std::optional<T>& value, const char* help) {
    app.add_option(name, value, help)->type_name("X")->group("SAMPLING");
}

CommandBody setup_run(CLI::App& app, const CommonOptions& common) {
    const auto flags = std::make_shared<RunFlags>();
    app.add_option("words", flags->words,
                   "a model folder or GGUF (default: the bundled model) and a prompt; one word "
                   "alone is a model if it exists or looks like a path")
        ->type_name("[MODEL] [PROMPT]");
    app.add_option("--model", flags->model, "the model, when the only word is a prompt");
    app.add_option("--system", flags->system, "system text");
    app.add_option("--think", flags->think, "on, off or hide: think, answer at once, think unseen")
        ->check(CLI::IsMember({"on", "off", "hide"}));
    app.add_option("-n,--max-tokens", flags->max_tokens, "at most N new tokens")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
        ->type_name("N");
    app.add_option("--context", flags->context,
                   "tokens of prompt and answer (default: the model's)")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
        ->type_name("N");
    app.add_flag("--greedy", flags->greedy, "always the likeliest token")->group("SAMPLING");
    add_sampling(app, "--temperature", flags->temperature, "0: greedy");
    add_sampling(app, "--top-k", flags->top_k, "0: all");
    add_sampling(app, "--top-p", flags->top_p, "the likeliest tokens that reach this probability");
    add_sampling(app, "--min-p", flags->min_p, "relative to the likeliest token");
    add_sampling(app, "--repetition-penalty", flags->repetition_penalty, "1: none");
    add_sampling(app, "--presence-penalty", flags->presence_penalty, "0: none");
    add_sampling(app, "--frequency-penalty", flags->frequency_penalty, "0: none");
    app.add_option("--seed", flags->seed, "the same seed gives the same answer (default: random)")
        ->check(CLI::Range(uint64_t{0}, kSeedMax))
        ->type_name("N")
        ->group("SAMPLING");
    app.add_flag("--raw", flags->raw, "continue the prompt without a chat template");
    app.add_flag("--json", flags->json, "one JSON object a line: prefill, reasoning, answer, done");
    app.add_flag("--stats", flags->stats, "tokens and speed after every answer, on stderr");
    app.add_flag("--no-color", flags->no_color, "no styles (as NO_COLOR)");
    return [flags, &common] { return run(*flags, common); };
}

}  // namespace

const Command kRunCommand = {"run", "chat with a model, or answer one prompt", setup_run};

}  // namespace nereus
