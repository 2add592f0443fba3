#pragma once
// The measuring half of `nereus doctor`, which `nereus plan` uses too where nothing was kept.

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "apps/command.h"
#include "apps/doctor_figures.h"

namespace nereus {

/// Says what is being measured and how far it is, in [0, 1].
using StepProgress = std::function<void(const std::string& what, double fraction)>;

/// Products, attention and memory on the kernels that the common options choose.
/// errors: unsupported (--isa)
Result<MachineSpeed> measure_speed(const CommonOptions& common, std::span<const FormatId> formats,
                                   double seconds_each, const StepProgress& progress);

/// Reads the largest file of the folder, or a file of random bytes that is written there for it and
/// removed again. errors: not_found, io (no room; the bytes are named)
Result<DriveFigures> measure_folder(const std::filesystem::path& folder, double seconds_each,
                                    const StepProgress& progress);

}  // namespace nereus
