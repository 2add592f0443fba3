#include "apps/doctor_measure.h"

#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/system_facts.h"
#include "base/thread_pool.h"
#include "base/units.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A file this large does not stay in a drive's own cache.
constexpr uint64_t kOwnFileBytes = 512 * kMiB;
constexpr uint64_t kLeastFileBytes = 256 * kMiB;
/// Experts of V2-Lite in 4 bits, of V2 and of R1.
constexpr uint64_t kExpertBytes[] = {5 * kMiB, 13 * kMiB, 24 * kMiB};
constexpr int kDepths[] = {1, 2, 8};

/// Random bytes in a folder, removed with their owner.
class OwnFile {
  public:
    explicit OwnFile(const fs::path& folder)
        : path_(folder / fmt::format(".nereus-doctor-{}", ::getpid())) {}
    OwnFile(const OwnFile&) = delete;
    OwnFile& operator=(const OwnFile&) = delete;
    ~OwnFile() {
        std::error_code ignored;
        fs::remove(path_, ignored);
    }

    Status write(const std::function<void(double)>& progress) {
        OutputFile file = NEREUS_TRY(OutputFile::open(path_));
        std::vector<uint64_t> piece(8 * kMiB / sizeof(uint64_t));
        for (size_t i = 0; i < piece.size(); ++i) {
            piece[i] = random_bits(11, 0, i);  // nothing that a file system could shorten
        }
        for (uint64_t at = 0; at < kOwnFileBytes; at += 8 * kMiB) {
            piece[0] = at;
            NEREUS_TRY(file.write_at(at, std::as_bytes(std::span(piece))));
            progress(static_cast<double>(at) / static_cast<double>(kOwnFileBytes));
        }
        return file.sync();
    }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

}  // namespace

Result<MachineSpeed> measure_speed(const CommonOptions& common, std::span<const FormatId> formats,
                                   double seconds_each, const StepProgress& progress) {
    ThreadPool pool(common.threads);
    const auto backend = NEREUS_TRY(create_cpu_backend(pool, common.isa));
    return measure_machine(*backend, formats, seconds_each, [&](double fraction) {
        progress("Measuring memory and kernels", fraction);
    });
}

Result<DriveFigures> measure_folder(const fs::path& folder, double seconds_each,
                                    const StepProgress& progress) {
    const MountFacts mount = NEREUS_TRY(SystemFacts().mount_of(folder));
    OwnFile own(folder);
    fs::path file = largest_file(folder);
    std::error_code ignored;
    if (file.empty() || fs::file_size(file, ignored) < kLeastFileBytes) {
        NEREUS_TRY(own.write([&](double fraction) {
            progress(fmt::format("Writing a file to {}", folder.string()), fraction);
        }));
        file = own.path();
    }
    DrivePlan plan;
    plan.block_bytes.assign(std::begin(kExpertBytes), std::end(kExpertBytes));
    plan.depths.assign(std::begin(kDepths), std::end(kDepths));
    plan.seconds_each = seconds_each;
    DriveFigures figures;
    figures.folder = folder.string();
    figures.mount_point = mount.mount_point;
    figures.speed = NEREUS_TRY(measure_drive(file, plan, [&](double fraction) {
        progress(fmt::format("Reading {}", file.filename().string()), fraction);
    }));
    return figures;
}

}  // namespace nereus
