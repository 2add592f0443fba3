#pragma once
// What `nereus doctor` measured, kept for `nereus plan`: one JSON file of this person's cache.

#include <filesystem>
#include <string>
#include <vector>

#include "base/drive_speed.h"
#include "base/json.h"
#include "base/result.h"
#include "compute/machine_speed.h"

namespace nereus {

struct DriveFigures {
    std::string folder;       ///< as it was given
    std::string mount_point;  ///< of the file system that holds it
    DriveSpeed speed;
};

struct DoctorFigures {
    std::string cpu;  ///< figures of another processor are not used
    MachineSpeed speed;
    std::vector<DriveFigures> drives;

    /// The drive mounted there; nullptr when it was not measured.
    const DriveFigures* drive_at(const std::string& mount_point) const;
};

/// $XDG_CACHE_HOME/nereus/doctor.json, or ~/.cache/nereus/doctor.json; errors: not_found (neither
/// variable is set)
Result<std::filesystem::path> doctor_figures_path();

/// Written as 0600 in one step; folders are made. errors: io
Status keep_figures(const std::filesystem::path& path, const DoctorFigures& figures);

/// errors: not_found (doctor did not run yet), corrupt (names the field)
Result<DoctorFigures> read_figures(const std::filesystem::path& path);

Json figures_json(const DoctorFigures& figures);
Result<DoctorFigures> figures_from_json(const Json& json, const std::string& origin);

}  // namespace nereus
