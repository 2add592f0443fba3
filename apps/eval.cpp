// eval: numbers for comparison with other programs: logits of given ids, the greedy continuation,
// perplexity of a text; how far logits are from a reference's lies in eval_kl.cpp.

#include "apps/eval.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "apps/input.h"
#include "apps/row_file.h"
#include "apps/text_windows.h"
#include "base/file.h"

namespace nereus {
namespace {

struct LogitsFlags {
    std::string model, tokens, out;
    int64_t chunk = kLogitChunk;
    int64_t context = 0;  ///< 0: all ids are one sequence
};

struct GreedyFlags {
    std::string model, tokens;
    int64_t n_new = 32;
};

struct PerplexityFlags {
    std::string model, text, ids_out;
    int64_t context = 512;
    int64_t windows = 0;  ///< 0: all
    bool json = false;
};

Result<ExitCode> eval_logits(const LogitsFlags& flags, const CommonOptions& common) {
    const OpenedModel opened = NEREUS_TRY(open_model(flags.model, open_options(common)));
    const auto ids = NEREUS_TRY(read_prompt(flags.tokens, opened.model->config()));
    const size_t window = window_tokens(flags.context, ids.size());
    EvalSequence sequence =
        NEREUS_TRY(EvalSequence::create(*opened.model, static_cast<int64_t>(window)));
    RowFile file = NEREUS_TRY(RowFile::create(flags.out));
    const auto chunk = static_cast<size_t>(flags.chunk);
    for (size_t begin = 0, n = 0; begin < ids.size(); begin += n) {
        if (begin % window == 0) {
            sequence.reset();
        }
        n = std::min({chunk, ids.size() - begin, window - begin % window});
        const ConstRows logits = NEREUS_TRY(sequence.feed(std::span(ids).subspan(begin, n), n));
        if (Status written = file.append(logits); !written.ok()) {
            print_error(written.error());
            return kExitFailure;
        }
    }
    if (Status finished = file.finish(); !finished.ok()) {
        print_error(finished.error());
        return kExitFailure;
    }
    return kExitOk;
}

int32_t argmax(const float* logits, int64_t n) {
    return static_cast<int32_t>(std::max_element(logits, logits + n) - logits);
}

Result<ExitCode> eval_greedy(const GreedyFlags& flags, const CommonOptions& common) {
    const OpenedModel opened = NEREUS_TRY(open_model(flags.model, open_options(common)));
    const auto ids = NEREUS_TRY(read_prompt(flags.tokens, opened.model->config()));
    const auto n_prompt = static_cast<int64_t>(ids.size());
    EvalSequence sequence = NEREUS_TRY(EvalSequence::create(*opened.model, n_prompt + flags.n_new));
    std::vector<int32_t> reply;
    ConstRows logits = NEREUS_TRY(sequence.feed(ids, 1));
    while (static_cast<int64_t>(reply.size()) < flags.n_new) {
        reply.push_back(argmax(logits.row(0), logits.n_cols));
        if (static_cast<int64_t>(reply.size()) < flags.n_new) {
            logits = NEREUS_TRY(sequence.feed(std::span(reply).last(1), 1));
        }
    }
    return print_result(dump_json(Json(reply)) + "\n");
}

/// -ln p(target), in double: the sum over 100,000 columns is what perplexity compares.
double negative_log_probability(const float* logits, int64_t n, int32_t target) {
    const double top = *std::max_element(logits, logits + n);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
        sum += std::exp(static_cast<double>(logits[i]) - top);
    }
    return top + std::log(sum) - static_cast<double>(logits[target]);
}

struct Perplexity {
    double nll_sum = 0;
    int64_t n_tokens = 0;
    int64_t n_windows = 0;
};

/// One window as llama-perplexity scores it: tokens context/2 .. context-2 predict their successor,
/// so that every scored token has half a window before it.
Status score_window(EvalSequence& sequence, std::span<const int32_t> window, Perplexity& sum) {
    const size_t first = window.size() / 2;
    const size_t n_scored = window.size() - 1 - first;
    sequence.reset();
    // The last token predicts nothing that is scored.
    const ConstRows logits = NEREUS_TRY(sequence.feed(window.first(window.size() - 1), n_scored));
    for (size_t i = 0; i < n_scored; ++i) {
        sum.nll_sum += negative_log_probability(logits.row(static_cast<int64_t>(i)), logits.n_cols,
                                                window[first + i + 1]);
    }
    sum.n_tokens += static_cast<int64_t>(n_scored);
    sum.n_windows += 1;
    return {};
}

std::string perplexity_text(const Perplexity& sum, int64_t context, bool json) {
    const double nll = sum.nll_sum / static_cast<double>(sum.n_tokens);
    if (!json) {
        return fmt::format("ppl {:.4f}  nll {:.6f}  tokens {}  windows {}\n", std::exp(nll), nll,
                           sum.n_tokens, sum.n_windows);
    }
    Json out;
    out["ppl"] = std::exp(nll);
    out["nll"] = nll;
    out["tokens"] = sum.n_tokens;
    out["windows"] = sum.n_windows;
    out["context"] = context;
    return dump_json(out) + "\n";
}

Result<ExitCode> eval_perplexity(const PerplexityFlags& flags, const CommonOptions& common) {
    const OpenedModel opened = NEREUS_TRY(open_model(flags.model, open_options(common)));
    NEREUS_TRY(need_tokenizer(opened.text));
    const std::string raw = NEREUS_TRY(read_input(flags.text));
    EvalSequence sequence = NEREUS_TRY(EvalSequence::create(*opened.model, flags.context));
    const std::vector<int32_t> ids =
        NEREUS_TRY(text_windows(opened.text, raw, flags.context, flags.windows, flags.text));
    if (!flags.ids_out.empty()) {
        NEREUS_TRY(write_file_atomic(flags.ids_out, dump_json(Json(ids)) + "\n"));
    }
    const auto context = static_cast<size_t>(flags.context);
    Perplexity sum;
    for (size_t at = 0; at < ids.size(); at += context) {
        NEREUS_TRY(score_window(sequence, std::span(ids).subspan(at, context), sum));
    }
    return print_result(perplexity_text(sum, flags.context, flags.json));
}

CommandBody setup_logits(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<LogitsFlags>();
    add_model_and_tokens(app, flags->model, flags->tokens);
    app.add_option("--out", flags->out, "raw little-endian float32 [n_tokens, vocab_size]")
        ->required()
        ->type_name("FILE");
    app.add_option("--chunk", flags->chunk, "tokens in one forward pass; 1: token by token")
        ->check(CLI::Range(int64_t{1}, kEvalCountMax))
        ->type_name("N");
    app.add_option("--context", flags->context, "start afresh every N tokens (default: never)")
        ->check(CLI::Range(int64_t{1}, kEvalCountMax))
        ->type_name("N");
    return [flags, &common] { return eval_logits(*flags, common); };
}

CommandBody setup_greedy(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<GreedyFlags>();
    add_model_and_tokens(app, flags->model, flags->tokens);
    app.add_option("-n", flags->n_new, "ids to append, not stopping at EOS (default 32)")
        ->check(CLI::Range(int64_t{1}, kEvalCountMax))
        ->type_name("N");
    return [flags, &common] { return eval_greedy(*flags, common); };
}

CommandBody setup_perplexity(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<PerplexityFlags>();
    app.add_option("MODEL", flags->model, "model folder or GGUF")->required();
    app.add_option("TEXT", flags->text, "text file; - for stdin")->required();
    app.add_option("--context", flags->context, "tokens a window (default 512)")
        ->check(CLI::Range(int64_t{4}, kEvalCountMax))
        ->type_name("N");
    app.add_option("--windows", flags->windows, "score the first N windows (default: all)")
        ->check(CLI::Range(int64_t{1}, kEvalCountMax))
        ->type_name("N");
    app.add_option("--ids-out", flags->ids_out, "write the windows' ids: --tokens of logits and kl")
        ->type_name("FILE");
    app.add_flag("--json", flags->json, "one JSON object: ppl, nll (mean a token), tokens");
    return [flags, &common] { return eval_perplexity(*flags, common); };
}

struct EvalRow {
    const char* name;
    const char* help;
    CommandBody (*setup)(CLI::App& app, const CommonOptions& common);
};
constexpr EvalRow kEvals[] = {
    {"logits", "logits of every position to a file", setup_logits},
    {"greedy", "the most likely continuation, as JSON ids", setup_greedy},
    {"ppl", "perplexity of a text, windowed as llama-perplexity does", setup_perplexity},
    {"kl", "how far the logits are from a file that eval logits wrote", setup_eval_kl},
};

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    // Not require_subcommand: its message would not name the wrong word.
    app.require_subcommand(0, 1);
    std::vector<std::string_view> names;
    std::vector<std::pair<CLI::App*, CommandBody>> bodies;
    for (const EvalRow& row : kEvals) {
        CLI::App* child = app.add_subcommand(row.name, row.help);
        names.push_back(row.name);
        bodies.emplace_back(child, row.setup(*child, common));
    }
    const auto word = std::make_shared<std::string>();
    app.add_option("WHAT", *word)->group("");  // reached by what is no subcommand only
    return [bodies, names, word]() -> Result<ExitCode> {
        const auto chosen = std::find_if(bodies.begin(), bodies.end(),
                                         [](const auto& body) { return body.first->parsed(); });
        if (chosen != bodies.end() && !word->empty()) {
            return make_error(ErrorCode::kInvalidArgument, "eval {}: \"{}\" was not expected",
                              chosen->first->get_name(), *word);
        }
        if (chosen == bodies.end()) {
            const std::string_view meant = nearest(*word, names);
            return make_error(ErrorCode::kInvalidArgument,
                              "eval: expected {}, found {}{} (nereus eval --help shows more)",
                              fmt::join(names, ", "),
                              word->empty() ? "nothing" : "\"" + *word + "\"",
                              meant.empty() ? "" : fmt::format("; did you mean {}?", meant));
        }
        return chosen->second();
    };
}

}  // namespace

const Command kEvalCommand = {"eval", "logits, greedy ids, perplexity, divergence", setup};

}  // namespace nereus
