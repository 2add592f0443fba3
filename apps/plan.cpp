// plan: whether a model runs on this machine, how fast, and what it would need, before anything is
// downloaded.

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "apps/command.h"
#include "apps/doctor_figures.h"
#include "apps/doctor_measure.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/plan_report.h"
#include "base/file.h"
#include "base/system_facts.h"
#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kConfigBytesMax = 16ULL << 20;
/// What is left to others of the free memory, when no budget is given.
constexpr double kShareUsed = 0.9;
constexpr double kQuickSeconds = 0.02;
constexpr const char* kRecipes[] = {"bf16", "q8", "q4", "q2"};

struct PlanFlags {
    std::string model, format, drive = ".";
    ForecastRequest request;
    bool json = false;
};

fs::path configs_folder() { return bundled_model().parent_path() / "configs"; }

std::vector<std::string> bundled_names() {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(configs_folder(), ignored)) {
        if (entry.path().extension() == ".json") {
            names.push_back(entry.path().stem().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// A config.json alone, by name, as a file, or in a folder without weights; "" for a model.
fs::path config_path(const std::string& model) {
    const fs::path named = configs_folder() / (model + ".json");
    if (!path_exists(model)) {
        return path_exists(named) ? named : fs::path();
    }
    std::error_code ignored;
    const fs::path path = model;
    if (!fs::is_directory(path, ignored)) {
        return path.extension() == ".json" ? path : fs::path();
    }
    const bool has_weights = path_exists(path / "model.safetensors") ||
                             path_exists(path / "model.safetensors.index.json") ||
                             path_exists(path / "pack.json") || path_exists(path / "pack.partial");
    return has_weights || !path_exists(path / "config.json") ? fs::path() : path / "config.json";
}

/// The wanted formats of a configuration, most bits first. wanted "": all.
Result<std::vector<ModelSize>> sizes_of_config(const fs::path& path, const std::string& wanted) {
    const std::string text = NEREUS_TRY(read_file(path, kConfigBytesMax));
    const Json json = NEREUS_TRY(parse_json(text, path.string()));
    const ModelConfig config = NEREUS_TRY(config_from_json(json, path.string()));
    if (!wanted.empty() && wanted != "published") {
        return std::vector{size_in_recipe(config, *NEREUS_TRY(find_recipe(wanted)))};
    }
    std::vector<ModelSize> sizes = {size_as_published(config, json)};
    for (const char* recipe : kRecipes) {
        const ModelSize size = size_in_recipe(config, *NEREUS_TRY(find_recipe(recipe)));
        const bool same = std::abs(size.n_bytes() / sizes[0].n_bytes() - 1) < 0.01;
        if (wanted.empty() && !same) {
            sizes.push_back(size);
        }
    }
    std::sort(sizes.begin(), sizes.end(),
              [](const ModelSize& a, const ModelSize& b) { return a.n_bytes() > b.n_bytes(); });
    return sizes;
}

Result<std::vector<ModelSize>> sizes_of(const PlanFlags& flags) {
    if (const fs::path config = config_path(flags.model); !config.empty()) {
        return sizes_of_config(config, flags.format);
    }
    if (!path_exists(flags.model)) {
        return make_error(ErrorCode::kNotFound,
                          "{}: no such folder or file, and no model by that name; names are {}",
                          flags.model, fmt::join(bundled_names(), ", "));
    }
    const auto checkpoint = NEREUS_TRY(open_checkpoint(flags.model));
    ModelSize stored = NEREUS_TRY(size_of_files(*checkpoint));
    if (flags.format.empty() || flags.format == "stored") {
        return std::vector{std::move(stored)};
    }
    return std::vector{size_in_recipe(stored.config, *NEREUS_TRY(find_recipe(flags.format)))};
}

std::vector<FormatId> formats_in(const std::vector<ModelSize>& sizes) {
    std::vector<FormatId> formats;
    for (const ModelSize& size : sizes) {
        for (const PartSize& part : size.parts) {
            if (std::find(formats.begin(), formats.end(), part.format) == formats.end()) {
                formats.push_back(part.format);
            }
        }
    }
    return formats;
}

/// What doctor kept, where it is of this processor, these kernels and these formats; else measured
/// quickly, and not kept.
Result<PlanMachine> machine_of(const PlanFlags& flags, const CommonOptions& common,
                               const std::vector<ModelSize>& sizes) {
    const SystemFacts facts;
    const MemoryFacts memory = NEREUS_TRY(facts.memory());
    PlanMachine machine;
    machine.cpu = facts.cpu_name();
    machine.free_bytes = static_cast<double>(memory.free_bytes());
    machine.total_bytes = static_cast<double>(memory.total_bytes);
    const auto path = doctor_figures_path();
    const auto kept = path.ok() ? read_figures(*path) : Result<DoctorFigures>(path.error());
    const std::vector<FormatId> formats = formats_in(sizes);
    const auto silent = [](const std::string&, double) {};
    const bool usable = kept.ok() && kept->cpu == machine.cpu &&
                        (common.threads == 0 || common.threads == kept->speed.threads) &&
                        (common.isa.empty() || common.isa == kept->speed.isa) &&
                        std::all_of(formats.begin(), formats.end(),
                                    [&](FormatId id) { return kept->speed.knows(id); });
    machine.figures.speed =
        usable ? kept->speed : NEREUS_TRY(measure_speed(common, formats, kQuickSeconds, silent));
    const auto mount = facts.mount_of(path_exists(flags.model) ? flags.model : flags.drive);
    const DriveFigures* drive =
        kept.ok() && mount.ok() ? kept->drive_at(mount->mount_point) : nullptr;
    Result<DriveFigures> measured = make_error(ErrorCode::kNotFound, "not needed");
    if (drive == nullptr) {
        measured = measure_folder(flags.drive, 2 * kQuickSeconds, silent);
        drive = measured.ok() ? &*measured : nullptr;
    }
    machine.drive = drive == nullptr ? "not measured" : drive->folder;
    if (drive != nullptr) {
        const auto expert = static_cast<uint64_t>(std::max(sizes.back().expert_bytes(), 1e6));
        machine.figures.disk_random_bytes_per_second = drive->speed.random_bytes_per_second(expert);
        machine.figures.disk_single_bytes_per_second =
            drive->speed.random_bytes_per_second(expert, 1);
        machine.figures.disk_sequential_bytes_per_second =
            drive->speed.sequential_bytes_per_second();
    }
    return machine;
}

Result<ExitCode> plan(const PlanFlags& flags, const CommonOptions& common) {
    const std::vector<ModelSize> sizes = NEREUS_TRY(sizes_of(flags));
    const PlanMachine machine = NEREUS_TRY(machine_of(flags, common, sizes));
    ForecastRequest request = flags.request;
    std::vector<double> budgets;
    if (common.memory.empty()) {
        request.memory_bytes = machine.free_bytes * kShareUsed;
        budgets = {8e9, 16e9, 24e9, 32e9, 64e9, 128e9, 256e9, 512e9, 768e9};
        std::erase_if(budgets, [&](double budget) {  // beyond what everything takes
            return budget > 128e9 && budget > 2 * sizes[0].n_bytes();
        });
    } else {
        request.memory_bytes = static_cast<double>(NEREUS_TRY(parse_bytes(common.memory)));
    }
    const PlanReport report = make_plan(flags.model, sizes, machine, request, budgets);
    return print_result(flags.json ? dump_json(plan_json(report)) + "\n" : plan_text(report));
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    constexpr int64_t kTokensMax = 1 << 24;
    auto flags = std::make_shared<PlanFlags>();
    const auto tokens = CLI::Range(int64_t{1}, kTokensMax);
    app.add_option("MODEL", flags->model,
                   "model folder, pack, GGUF, config.json, or a name: " +
                       fmt::format("{}", fmt::join(bundled_names(), ", ")))
        ->required();
    app.add_option("--format", flags->format,
                   "only this number format: published, stored, bf16, q8, q4, q2 ...");
    app.add_option("--context", flags->request.n_context, "tokens to have room for (default 4096)")
        ->check(tokens);
    app.add_option("--prompt", flags->request.n_prompt, "tokens of the prompt (default 512)")
        ->check(tokens);
    app.add_option("--generate", flags->request.n_generate, "tokens of the answer (default 64)")
        ->check(tokens);
    app.add_option("--cached", flags->request.n_visible, "tokens before the prompt (default 0)")
        ->check(CLI::Range(int64_t{0}, kTokensMax));
    app.add_option("--chunk", flags->request.chunk,
                   "tokens of a prefill pass (default: as the model likes)")
        ->check(tokens);
    app.add_option("--drive", flags->drive, "a folder on the drive that would hold it (default .)")
        ->type_name("DIR");
    app.add_flag("--json", flags->json, "one JSON object");
    return [flags, &common] { return plan(*flags, common); };
}

}  // namespace

const Command kPlanCommand = {"plan", "whether a model runs here, how fast, and what it needs",
                              setup};

}  // namespace nereus
