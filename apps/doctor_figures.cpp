#include "apps/doctor_figures.h"

#include <algorithm>
#include <cstdlib>

#include "base/file.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFileBytesMax = 1 << 20;
constexpr int kVersion = 1;

Json drive_json(const DriveFigures& drive) {
    Json json = {{"folder", drive.folder},
                 {"mount_point", drive.mount_point},
                 {"engine", drive.speed.engine},
                 {"direct", drive.speed.is_direct},
                 {"reads", Json::array()}};
    for (const DriveRead& read : drive.speed.reads) {
        json["reads"].push_back({{"random", read.random},
                                 {"block_bytes", read.block_bytes},
                                 {"depth", read.depth},
                                 {"gb_per_second", read.bytes_per_second / 1e9}});
    }
    return json;
}

Result<DriveFigures> drive_from_json(const Json& json, const std::string& origin) {
    DriveFigures drive;
    drive.folder = json.value("folder", "");
    drive.mount_point = json.value("mount_point", "");
    drive.speed.engine = json.value("engine", "");
    drive.speed.is_direct = json.value("direct", false);
    for (const Json& read : json.value("reads", Json::array())) {
        DriveRead one;
        one.random = read.value("random", true);
        one.block_bytes = read.value("block_bytes", uint64_t{0});
        one.depth = read.value("depth", 0);
        one.bytes_per_second = read.value("gb_per_second", 0.0) * 1e9;
        if (one.block_bytes == 0 || one.depth <= 0 || !(one.bytes_per_second > 0)) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: a read of {} bytes, {} at once, at {} B/s; "
                              "run nereus doctor again",
                              origin, one.block_bytes, one.depth, one.bytes_per_second);
        }
        drive.speed.reads.push_back(one);
    }
    return drive;
}

}  // namespace

const DriveFigures* DoctorFigures::drive_at(const std::string& mount_point) const {
    const auto found = std::find_if(drives.begin(), drives.end(), [&](const DriveFigures& drive) {
        return drive.mount_point == mount_point;
    });
    return found == drives.end() ? nullptr : &*found;
}

Result<fs::path> doctor_figures_path() {
    const char* const cache = std::getenv("XDG_CACHE_HOME");
    if (cache != nullptr && *cache == '/') {
        return fs::path(cache) / "nereus" / "doctor.json";
    }
    const char* const home = std::getenv("HOME");
    if (home != nullptr && *home == '/') {
        return fs::path(home) / ".cache" / "nereus" / "doctor.json";
    }
    return make_error(ErrorCode::kNotFound,
                      "neither XDG_CACHE_HOME nor HOME is set; nowhere to keep what was measured");
}

Status keep_figures(const fs::path& path, const DoctorFigures& figures) {
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);
    if (failed) {
        return make_error(ErrorCode::kIo, "{}: {}", path.parent_path().string(), failed.message());
    }
    return write_file_atomic(path, dump_json(figures_json(figures)) + "\n", 0600);
}

Result<DoctorFigures> read_figures(const fs::path& path) {
    const std::string text = NEREUS_TRY(read_file(path, kFileBytesMax));
    return figures_from_json(NEREUS_TRY(parse_json(text, path.string())), path.string());
}

Json figures_json(const DoctorFigures& figures) {
    Json json = {{"version", kVersion},
                 {"cpu", figures.cpu},
                 {"machine", machine_speed_json(figures.speed)},
                 {"drives", Json::array()}};
    for (const DriveFigures& drive : figures.drives) {
        json["drives"].push_back(drive_json(drive));
    }
    return json;
}

Result<DoctorFigures> figures_from_json(const Json& json, const std::string& origin) {
    if (!json.is_object() || json.value("version", Json()) != kVersion) {
        return make_error(ErrorCode::kCorrupt, "{}: expected \"version\": {}; run nereus doctor",
                          origin, kVersion);
    }
    try {  // a member of another type
        DoctorFigures figures;
        figures.cpu = json.value("cpu", "");
        figures.speed =
            NEREUS_TRY(machine_speed_from_json(json.value("machine", Json::object()), origin));
        for (const Json& drive : json.value("drives", Json::array())) {
            figures.drives.push_back(NEREUS_TRY(drive_from_json(drive, origin)));
        }
        return figures;
    } catch (const Json::exception& wrong) {
        return make_error(ErrorCode::kCorrupt, "{}: {}; run nereus doctor", origin, wrong.what());
    }
}

}  // namespace nereus
