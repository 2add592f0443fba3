// pack: a model to a folder that is ready for the kernels, in one of Nereus' own number formats.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "apps/input.h"
#include "apps/open.h"
#include "apps/work_progress.h"
#include "base/units.h"
#include "model/repack.h"

namespace nereus {
namespace {

struct PackFlags {
    std::string model, format, out;
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

Result<ExitCode> pack_model(const PackFlags& flags, const CommonOptions& common) {
    const Recipe* recipe = NEREUS_TRY(find_recipe(flags.format));
    const auto checkpoint = NEREUS_TRY(open_checkpoint(flags.model));
    const auto repack = NEREUS_TRY(Repack::plan(*checkpoint, *recipe, ""));
    if (repack->n_left_out() > 0) {
        std::fputs(fmt::format("nereus: {} tensors that the forward pass does not use (multi-token "
                               "prediction) are left out\n",
                               repack->n_left_out())
                       .c_str(),
                   stderr);
    }
    const auto writer = NEREUS_TRY(create_pack(flags.out, repack->content()));
    ThreadPool pool(common.threads);
    {
        WorkProgress progress("Packing");
        NEREUS_TRY(repack->write(*writer, pool, nullptr, [&] {
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
    app.add_flag("--verify", flags->verify,
                 "compare every checksum, of the new pack or, alone, of MODEL");
    return [flags, &common] { return pack(*flags, common); };
}

}  // namespace

const Command kPackCommand = {"pack", "a model in a number format made for the kernels", setup};

}  // namespace nereus
