#include "base/drive_speed.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/arena.h"
#include "base/async_read.h"
#include "base/check.h"
#include "base/rng.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kSequentialBlock = 8 * kMiB;
constexpr int kSequentialDepth = 4;

/// Offsets of the n-th block, at random or in order and round at the end; aligned.
class Offsets {
  public:
    Offsets(uint64_t file_bytes, const DriveRead& read)
        : n_blocks_(file_bytes / read.block_bytes), read_(read) {}
    uint64_t next() {
        const uint64_t n = count_++;
        const uint64_t block = read_.random ? random_bits(7, 1, n) % n_blocks_ : n % n_blocks_;
        return block * read_.block_bytes / kDirectAlignment * kDirectAlignment;
    }

  private:
    uint64_t n_blocks_;
    DriveRead read_;
    uint64_t count_ = 0;
};

/// Keeps `depth` blocks asked for until the time is over; fills bytes_per_second.
Status time_reads(const InputFile& file, AsyncReader& reader, std::span<std::byte> buffer,
                  double seconds, DriveRead& read) {
    Offsets offsets(file.n_bytes(), read);
    const uint64_t stride = round_up(read.block_bytes, kDirectAlignment);
    const auto ask = [&](uint64_t tag) {
        reader.start({&file, offsets.next(), read.block_bytes, buffer.data() + tag * stride, tag});
    };
    const auto start = Clock::now();
    for (int i = 0; i < read.depth; ++i) {
        ask(static_cast<uint64_t>(i));
    }
    double spent = 0;
    uint64_t n_done = 0;
    Status failed;
    while (const auto result = reader.wait()) {
        if (!result->status.ok()) {
            failed = result->status;
            continue;
        }
        ++n_done;
        spent = std::chrono::duration<double>(Clock::now() - start).count();
        if (failed.ok() && spent < seconds) {
            ask(result->tag);
        }
    }
    NEREUS_TRY(std::move(failed));
    read.bytes_per_second = static_cast<double>(n_done * read.block_bytes) / spent;
    return {};
}

std::vector<DriveRead> reads_of(const DrivePlan& plan) {
    std::vector<DriveRead> reads = {{kSequentialBlock, kSequentialDepth, false, 0}};
    for (const uint64_t bytes : plan.block_bytes) {
        for (const int depth : plan.depths) {
            reads.push_back({bytes, depth, true, 0});
        }
    }
    return reads;
}

}  // namespace

double DriveSpeed::sequential_bytes_per_second() const {
    double best = 0;
    for (const DriveRead& read : reads) {
        best = read.random ? best : std::max(best, read.bytes_per_second);
    }
    return best;
}

double DriveSpeed::random_bytes_per_second(uint64_t block_bytes, int depth_max) const {
    const auto distance = [&](const DriveRead& read) {
        return std::abs(std::log(static_cast<double>(read.block_bytes)) -
                        std::log(static_cast<double>(std::max<uint64_t>(block_bytes, 1))));
    };
    // Nearer in size first, then within the depth, then the shallower or the faster.
    const auto is_better = [&](const DriveRead& a, const DriveRead& b) {
        if (a.block_bytes != b.block_bytes) {
            return distance(a) < distance(b);
        }
        if ((a.depth <= depth_max) != (b.depth <= depth_max)) {
            return a.depth <= depth_max;
        }
        return a.depth <= depth_max ? a.bytes_per_second > b.bytes_per_second : a.depth < b.depth;
    };
    const DriveRead* best = nullptr;
    for (const DriveRead& read : reads) {
        if (read.random && (best == nullptr || is_better(read, *best))) {
            best = &read;
        }
    }
    return best == nullptr ? 0 : best->bytes_per_second;
}

Result<DriveSpeed> measure_drive(const fs::path& path, const DrivePlan& plan,
                                 const std::function<void(double)>& progress) {
    const InputFile file = NEREUS_TRY(InputFile::open(path, PageCache::kAvoid));
    std::vector<DriveRead> reads = reads_of(plan);
    uint64_t block_max = 0;
    uint64_t buffer_bytes = 0;
    for (const DriveRead& read : reads) {
        NEREUS_CHECK(read.block_bytes > 0);
        NEREUS_CHECK(read.depth > 0);
        block_max = std::max(block_max, read.block_bytes);
        buffer_bytes = std::max(buffer_bytes, round_up(read.block_bytes, kDirectAlignment) *
                                                  static_cast<uint64_t>(read.depth));
    }
    if (file.n_bytes() < 2 * block_max) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: {} bytes; at least {} are needed to "
                          "measure a drive",
                          path.string(), file.n_bytes(), 2 * block_max);
    }
    Arena arena = NEREUS_TRY(Arena::create(buffer_bytes));
    const std::span<std::byte> buffer = arena.allocate(buffer_bytes, kDirectAlignment);
    const auto reader = NEREUS_TRY(AsyncReader::create({}));
    DriveSpeed speed;
    speed.engine = reader->engine();
    speed.is_direct = file.is_direct();
    for (DriveRead& read : reads) {
        NEREUS_TRY(time_reads(file, *reader, buffer, plan.seconds_each, read));
        speed.reads.push_back(read);
        progress(static_cast<double>(speed.reads.size()) / static_cast<double>(reads.size()));
    }
    return speed;
}

fs::path largest_file(const fs::path& folder) {
    fs::path best;
    uint64_t best_bytes = 0;
    std::error_code ignored;
    auto entry = fs::recursive_directory_iterator(
        folder, fs::directory_options::skip_permission_denied, ignored);
    constexpr int kEntriesMax = 100000;
    for (int n = 0; entry != fs::recursive_directory_iterator() && n < kEntriesMax; ++n) {
        if (entry.depth() >= 1) {
            entry.disable_recursion_pending();
        }
        const uint64_t n_bytes = entry->is_regular_file(ignored) ? entry->file_size(ignored) : 0;
        if (!ignored && n_bytes > best_bytes) {
            best = entry->path();
            best_bytes = n_bytes;
        }
        entry.increment(ignored);
        if (ignored) {
            break;
        }
    }
    return best;
}

}  // namespace nereus
