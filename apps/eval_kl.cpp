// eval kl: a model's logits against those that another (the same before rounding) wrote to a file.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/eval.h"
#include "apps/logit_compare.h"
#include "base/file.h"
#include "base/json.h"

namespace nereus {
namespace {

struct KlFlags {
    std::string model, tokens, reference;
    int64_t context = 0;  ///< 0: all ids are one sequence and every position counts
    bool json = false;
};

/// The reference's rows, mapped. Their number and width must be exactly right.
Result<MappedFile> open_reference(const std::string& path, size_t n_tokens, int64_t vocab_size) {
    MappedFile file = NEREUS_TRY(MappedFile::open(path));
    const size_t expected = n_tokens * static_cast<size_t>(vocab_size) * sizeof(float);
    if (file.bytes().size() != expected) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: {} bytes; expected {} = {} tokens x {} logits x 4 (write it with "
                          "`nereus eval logits` from the same ids)",
                          path, file.bytes().size(), expected, n_tokens, vocab_size);
    }
    return file;
}

/// Positions [0, first) of a window are only context, as in eval ppl; its last one predicts a token
/// of the next window, so it does not count there either.
struct Scored {
    size_t first = 0, last = 0;
};

Scored scored_of(int64_t context, size_t n_window) {
    return context == 0 ? Scored{0, n_window} : Scored{n_window / 2, n_window - 1};
}

Status compare_window(EvalSequence& sequence, std::span<const int32_t> window, Scored scored,
                      const float* reference, LogitComparison& comparison) {
    sequence.reset();
    constexpr auto kChunk = static_cast<size_t>(kLogitChunk);
    for (size_t begin = 0; begin < window.size(); begin += kChunk) {
        const size_t n = std::min(kChunk, window.size() - begin);
        const ConstRows logits = NEREUS_TRY(sequence.feed(window.subspan(begin, n), n));
        for (size_t i = begin; i < begin + n; ++i) {
            if (i < scored.first || i >= scored.last) {
                continue;
            }
            std::optional<int32_t> next;
            if (i + 1 < window.size()) {
                next = window[i + 1];
            }
            NEREUS_TRY(comparison.add(reference + i * static_cast<size_t>(logits.n_cols),
                                      logits.row(static_cast<int64_t>(i - begin)), logits.n_cols,
                                      next));
        }
    }
    return {};
}

std::string summary_text(const LogitSummary& s) {
    return fmt::format(
        "kl        mean {:.6g}  median {:.6g}  99.9 % {:.6g}  max {:.6g}  ({} positions)\n"
        "top-1     {:.3f} % agree\n"
        "next      mean |ln p difference| {:.6g}  ppl {:.4f}, reference {:.4f}  ({} tokens)\n",
        s.kl_mean, s.kl_median, s.kl_quantile_999, s.kl_max, s.n_positions, 100 * s.top1_agreement,
        s.log_p_difference, s.ppl_model, s.ppl_reference, s.n_followed);
}

/// JSON has no infinity: an infinite number becomes null.
std::string summary_json(const LogitSummary& s) {
    Json json;
    json["positions"] = s.n_positions;
    json["kl_mean"] = s.kl_mean;
    json["kl_median"] = s.kl_median;
    json["kl_quantile_999"] = s.kl_quantile_999;
    json["kl_max"] = s.kl_max;
    json["top1_agreement"] = s.top1_agreement;
    json["next_tokens"] = s.n_followed;
    json["log_p_difference"] = s.log_p_difference;
    json["ppl"] = s.ppl_model;
    json["ppl_reference"] = s.ppl_reference;
    return dump_json(json) + "\n";
}

Status check_windows(const KlFlags& flags, size_t n_ids) {
    if (n_ids % window_tokens(flags.context, n_ids) != 0) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: {} ids do not make whole windows of --context {}; cut the last {} "
                          "off, and their rows of the reference",
                          flags.tokens, n_ids, flags.context,
                          n_ids % static_cast<size_t>(flags.context));
    }
    return {};
}

Result<ExitCode> eval_kl(const KlFlags& flags, const CommonOptions& common) {
    const OpenedModel opened = NEREUS_TRY(open_model(flags.model, open_options(common)));
    const int64_t vocab_size = opened.model->config().vocab_size;
    const auto ids = NEREUS_TRY(read_prompt(flags.tokens, opened.model->config()));
    NEREUS_TRY(check_windows(flags, ids.size()));
    const MappedFile reference =
        NEREUS_TRY(open_reference(flags.reference, ids.size(), vocab_size));
    const size_t window = window_tokens(flags.context, ids.size());
    EvalSequence sequence =
        NEREUS_TRY(EvalSequence::create(*opened.model, static_cast<int64_t>(window)));
    // A mapping begins on a page, so its floats are aligned.
    const auto* rows = reinterpret_cast<const float*>(reference.bytes().data());
    LogitComparison comparison;
    for (size_t begin = 0; begin < ids.size(); begin += window) {
        NEREUS_TRY(compare_window(sequence, std::span(ids).subspan(begin, window),
                                  scored_of(flags.context, window),
                                  rows + begin * static_cast<size_t>(vocab_size), comparison));
    }
    const LogitSummary summary = comparison.summary();
    return print_result(flags.json ? summary_json(summary) : summary_text(summary));
}

}  // namespace

CommandBody setup_eval_kl(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<KlFlags>();
    add_model_and_tokens(app, flags->model, flags->tokens);
    app.add_option("--reference", flags->reference, "raw float32 [n_tokens, vocab_size]")
        ->required()
        ->type_name("LOGITS");
    app.add_option(
           "--context", flags->context,
           "windows of N tokens, scored from the middle as eval ppl (default: one sequence)")
        ->check(CLI::Range(int64_t{4}, kEvalCountMax))
        ->type_name("N");
    app.add_flag("--json", flags->json, "one JSON object: kl_mean, kl_quantile_999, ppl, ...");
    return [flags, &common] { return eval_kl(*flags, common); };
}

}  // namespace nereus
