// doctor: what this machine can do for a model and what holds it back, measured and said in a line
// each; the figures are kept for plan.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "apps/command.h"
#include "apps/doctor_checks.h"
#include "apps/doctor_figures.h"
#include "apps/doctor_measure.h"
#include "apps/work_progress.h"
#include "base/async_read.h"
#include "base/units.h"
#include "weights/pack.h"

namespace nereus {
namespace {

struct DoctorFlags {
    std::vector<std::string> folders;
    std::string pack;
    double seconds = 0.06;
    bool json = false;
};

/// One bar a step of the work.
class Bars {
  public:
    StepProgress progress() {
        return [this](const std::string& what, double fraction) {
            if (what != label_) {
                label_ = what;
                bar_.reset();
                bar_.emplace(what);
            }
            bar_->update(fraction);
        };
    }

  private:
    std::string label_;
    std::optional<WorkProgress> bar_;
};

bool uring_works() {
    AsyncReadOptions options;
    options.engine = AsyncReadOptions::Engine::kUring;
    return AsyncReader::create(options).ok();
}

std::string gb_per_second(double bytes) { return fmt::format("{:.1f} GB/s", bytes / 1e9); }

/// Memory bandwidth; what the kernels of a pack make of it.
std::string speed_text(const MachineSpeed& speed) {
    std::string text = fmt::format("      memory reads {} with {} threads\n",
                                   gb_per_second(speed.read_bytes_per_second), speed.threads);
    for (const FormatId id : common_formats()) {
        const Format& format = format_of(id);
        if (!speed.knows(id)) {
            continue;
        }
        const double bytes = static_cast<double>(format.matrix_bytes(128, 2048)) / (128.0 * 2048);
        text += fmt::format(
            "      {:<13} decodes at {:>10}, {:3.0f} % of the reads; prompts {:6.1f} Gmadd/s\n",
            format.name, gb_per_second(bytes / speed.weight_seconds(id, 1)),
            100 * bytes / speed.weight_seconds(id, 1) / speed.read_bytes_per_second,
            256 / speed.weight_seconds(id, 256) / 1e9);
    }
    return text;
}

Finding drive_finding(const DriveFigures& drive) {
    constexpr uint64_t kExpert = 24 * kMiB;
    const double random = drive.speed.random_bytes_per_second(kExpert);
    Finding finding{
        fmt::format("drive of {}", drive.folder), Verdict::kGood,
        fmt::format("{} in order, {} at random, an expert of R1 at a time ({}{})",
                    gb_per_second(drive.speed.sequential_bytes_per_second()), gb_per_second(random),
                    drive.speed.engine, drive.speed.is_direct ? "" : ", through the page cache"),
        ""};
    if (!drive.speed.is_direct) {
        finding.verdict = Verdict::kNote;
        finding.advice = "the file system has no direct reads: these figures include its cache";
    } else if (random < 1e9) {
        finding.verdict = Verdict::kBad;
        finding.advice =
            "models larger than memory will wait for it; an NVMe drive gives 3 to 14 GB/s";
    }
    return finding;
}

std::string drive_text(const DriveFigures& drive) {
    std::string text;
    for (const DriveRead& read : drive.speed.reads) {
        text += fmt::format("      {} blocks of {}, {} at once: {}\n",
                            read.random ? "random" : "ordered", human_bytes(read.block_bytes),
                            read.depth, gb_per_second(read.bytes_per_second));
    }
    return text;
}

Finding pack_finding(const std::string& folder, Bars& bars) {
    const auto progress = bars.progress();
    const Status verified =
        verify_pack(folder, [&](double fraction) { progress("Checking the pack", fraction); });
    return verified.ok()
               ? Finding{"pack", Verdict::kGood, folder + ": every checksum is right", ""}
               : Finding{"pack", Verdict::kBad, verified.error().message, "pack the model again"};
}

struct Report {
    std::vector<Finding> findings;
    DoctorFigures figures;
    std::string kept_in;
};

void keep(Report& report) {
    const auto path = doctor_figures_path();
    const Status kept = path.ok() ? keep_figures(*path, report.figures) : Status(path.error());
    if (kept.ok()) {
        report.kept_in = path->string();
    } else {
        report.findings.push_back(
            {"figures", Verdict::kNote, kept.error().message, "plan will measure again"});
    }
}

Result<Report> examine(const DoctorFlags& flags, const CommonOptions& common) {
    Report report;
    Bars bars;
    const SystemFacts facts;
    report.findings = check_system(facts, available_isas().front(), uring_works());
    report.figures.cpu = facts.cpu_name();
    report.figures.speed =
        NEREUS_TRY(measure_speed(common, common_formats(), flags.seconds, bars.progress()));
    for (const std::string& folder : flags.folders) {
        report.findings.push_back(check_mount(facts, folder));
        const auto drive = measure_folder(folder, 5 * flags.seconds, bars.progress());
        if (drive.ok()) {
            report.findings.push_back(drive_finding(*drive));
            report.figures.drives.push_back(*drive);
        } else {
            report.findings.push_back({fmt::format("drive of {}", folder), Verdict::kBad,
                                       drive.error().message, "not measured"});
        }
    }
    if (!flags.pack.empty()) {
        report.findings.push_back(pack_finding(flags.pack, bars));
    }
    keep(report);
    return report;
}

std::string report_text(const Report& report) {
    std::string text;
    for (const Finding& finding : report.findings) {
        text += finding_line(finding);
    }
    text += fmt::format("\n{}\n{}", report.figures.cpu, speed_text(report.figures.speed));
    for (const DriveFigures& drive : report.figures.drives) {
        text += fmt::format("{}\n{}", drive.folder, drive_text(drive));
    }
    if (!report.kept_in.empty()) {
        text += fmt::format("\nKept in {} for nereus plan.\n", report.kept_in);
    }
    return text;
}

Json report_json(const Report& report) {
    Json json = {{"findings", Json::array()}, {"figures", figures_json(report.figures)}};
    for (const Finding& finding : report.findings) {
        json["findings"].push_back(finding_json(finding));
    }
    json["kept_in"] = report.kept_in;
    return json;
}

Result<ExitCode> doctor(const DoctorFlags& flags, const CommonOptions& common) {
    const Report report = NEREUS_TRY(examine(flags, common));
    return print_result(flags.json ? dump_json(report_json(report)) + "\n" : report_text(report));
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<DoctorFlags>();
    flags->folders = {"."};
    app.add_option("DIR", flags->folders,
                   "folders of models whose drives are measured (default: this one); a file of 512 "
                   "MiB is written and removed where there is none as large");
    app.add_option("--pack", flags->pack, "also compare every checksum of this pack")
        ->type_name("DIR");
    app.add_option("--seconds", flags->seconds,
                   "for each of some 55 measurements (default 0.06); drives take five times that")
        ->check(CLI::Range(0.001, 10.0));
    app.add_flag("--json", flags->json, "one JSON object");
    return [flags, &common] { return doctor(*flags, common); };
}

}  // namespace

const Command kDoctorCommand = {"doctor", "what this machine can do, and what holds it back",
                                setup};

}  // namespace nereus
