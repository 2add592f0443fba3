// pack: a model to a folder that is ready for the kernels, in one of Nereus' own number formats.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "apps/importance.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/work_progress.h"
#include "base/digest.h"
#include "base/units.h"
#include "model/repack.h"

namespace nereus {
namespace {

/// 16,000 tokens: every routed expert of a large model should see some.
constexpr int64_t kWindows = 32;

struct PackFlags {
    std::string model, format, out, importance;
    int64_t windows = kWindows;
    bool turned = false;
    bool verify = false;
};

std::string footer() {
    std::string text = "\nFORMATS\n";
    for (const Recipe& recipe : all_recipes()) {
        text += fmt::format("  {:<9} {}\n", recipe.name, recipe.help);
    }
    return text + "\nA run that was killed goes on when the same command is given again.";
}

struct Totals {
    uint64_t n_bytes = 0;
    uint64_t n_weights = 0;

    double bits() const {
        return n_weights == 0 ? 0.0
                              : 8.0 * static_cast<double>(n_bytes) / static_cast<double>(n_weights);
    }
};

/// "3.21 GB in model-q4, 4.71 bits a weight: q4 4.50 ..., q8 ..."
std::string summary(const PackContent& content, uint64_t n_bytes, const std::string& folder) {
    Totals all;
    std::map<std::string_view, Totals> formats;
    for (const PackBlob& blob : content.blobs) {
        for (const PackTensor& tensor : blob.tensors) {
            const Format& format = format_of(tensor.format);
            const auto bytes = static_cast<uint64_t>(
                format.matrix_bytes(tensor.shape.rows(), tensor.shape.cols()));
            for (Totals* totals : {&all, &formats[format.name]}) {
                totals->n_bytes += bytes;
                totals->n_weights += static_cast<uint64_t>(tensor.shape.n_elements());
            }
        }
    }
    std::string text =
        fmt::format("{}: {}, {:.2f} bits a weight:", folder, human_bytes(n_bytes), all.bits());
    const char* separator = "";
    for (const auto& [name, totals] : formats) {
        text += fmt::format("{} {} {} at {:.2f}", separator, human_bytes(totals.n_bytes), name,
                            totals.bits());
        separator = ",";
    }
    return text + "\n";
}

Status verify(const std::string& folder) {
    WorkProgress progress("Reading");
    return verify_pack(folder, [&](double fraction) { progress.update(fraction); });
}

void say(const std::string& line) { std::fputs(("nereus: " + line + "\n").c_str(), stderr); }

/// Tells packs apart that were rounded for different texts.
std::string importance_options(const PackFlags& flags, const std::string& text) {
    return flags.importance.empty()
               ? ""
               : fmt::format("importance {:x}, {} windows", digest_of(text), flags.windows);
}

/// The statistics of --importance; a resumed run makes the same ones again.
Result<InputStatistics> statistics_of(const PackFlags& flags, const std::string& text,
                                      const Checkpoint& checkpoint, const Repack& repack,
                                      ThreadPool& pool, const CommonOptions& common) {
    auto statistics = NEREUS_TRY(
        measure_importance(checkpoint, {flags.importance, text, flags.windows}, pool, common));
    const int64_t n_unseen = NEREUS_TRY(repack.n_unseen_experts(importance_of(statistics)));
    if (n_unseen > 0) {
        say(fmt::format("{} routed experts saw no token of {}; their columns count alike", n_unseen,
                        flags.importance));
    }
    return statistics;
}

Result<ExitCode> pack_model(const PackFlags& flags, const CommonOptions& common) {
    const Recipe* recipe = NEREUS_TRY(find_recipe(flags.format));
    const std::string text =
        flags.importance.empty() ? "" : NEREUS_TRY(read_input(flags.importance));
    const auto checkpoint = NEREUS_TRY(open_checkpoint(flags.model));
    const bool turned = recipe->rounds && flags.turned;
    const auto repack =
        NEREUS_TRY(Repack::plan(*checkpoint, *recipe, importance_options(flags, text),
                                turned ? PackBasis::kTurned : PackBasis::kPublished));
    ThreadPool pool(common.threads);
    InputStatistics statistics;
    ImportanceOf importance;
    if (!flags.importance.empty()) {
        statistics = NEREUS_TRY(statistics_of(flags, text, *checkpoint, *repack, pool, common));
        importance = importance_of(statistics);
    }
    const auto writer = NEREUS_TRY(create_pack(flags.out, repack->content()));
    if (repack->n_left_out() > 0) {
        say(
            fmt::format("{} tensors that the forward pass does not use (multi-token prediction) "
                        "are left out",
                        repack->n_left_out()));
    }
    {
        WorkProgress progress("Packing");
        NEREUS_TRY(repack->write(*writer, pool, importance, [&] {
            progress.update(static_cast<double>(writer->n_bytes_done()) /
                            static_cast<double>(writer->n_bytes()));
        }));
    }
    NEREUS_TRY(writer->finish());
    if (flags.verify) {
        NEREUS_TRY(verify(flags.out));
    }
    return print_result(summary(repack->content(), writer->n_bytes(), flags.out));
}

Result<ExitCode> pack(const PackFlags& flags, const CommonOptions& common) {
    if (!flags.format.empty() && !flags.out.empty()) {
        return pack_model(flags, common);
    }
    if (!flags.verify || !flags.format.empty() || !flags.out.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "expected --format and --out, or --verify alone to check a pack");
    }
    NEREUS_TRY(verify(flags.model));
    return print_result(fmt::format("{}: every checksum is right\n", flags.model));
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<PackFlags>();
    app.footer(footer());
    app.add_option("MODEL", flags->model, "model folder, GGUF or pack")->required();
    app.add_option("--format", flags->format, "one of the formats below")->type_name("NAME");
    app.add_option("--out", flags->out, "the folder to write")->type_name("DIR");
    app.add_option("--importance", flags->importance,
                   "round what matters to this text most carefully: the model reads it first")
        ->type_name("TEXT");
    app.add_option("--windows", flags->windows,
                   fmt::format("of 512 tokens of that text (default {}; 0: all)", kWindows))
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
        ->type_name("N");
    app.add_flag("--turned", flags->turned,
                 "turn the residual stream first, so that no channel takes a block's levels alone");
    app.add_flag("--verify", flags->verify,
                 "compare every checksum, of the new pack or, alone, of MODEL");
    return [flags, &common] { return pack(*flags, common); };
}

}  // namespace

const Command kPackCommand = {"pack", "a model in a number format made for the kernels", setup};

}  // namespace nereus
