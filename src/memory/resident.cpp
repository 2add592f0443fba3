#include "memory/resident.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "base/async_read.h"
#include "base/thread_pool.h"

namespace nereus {
namespace {

constexpr uint64_t kPieceBytes = 4 * kMiB;  // what is asked for at once; a copy fits two huge pages
constexpr size_t kPiecesAhead = 8;          // 32 MiB under way a thread: deeper gains nothing
constexpr size_t kScalesAhead = 64;
/// Tensors so near to each other are read as one; what lies between costs less than a read.
constexpr uint64_t kGapMax = 64 * kKiB;

/// How many scales of 128 x 128 blocks a tensor has.
uint64_t scales_of(const StoredTensor& tensor) {
    return static_cast<uint64_t>(ceil_div<int64_t>(tensor.shape.rows(), 128) *
                                 ceil_div<int64_t>(tensor.shape.cols(), 128));
}

}  // namespace

/// Counts bytes for a person who waits.
class ResidentWeights::Progress {
  public:
    Progress(uint64_t n_total, const std::function<void(double)>& report)
        : n_total_(n_total), report_(report) {}

    void add(uint64_t n_bytes) {
        const std::lock_guard lock(mutex_);
        n_done_ += n_bytes;
        if (report_) {
            report_(static_cast<double>(n_done_) / static_cast<double>(n_total_));
        }
    }

  private:
    std::mutex mutex_;
    uint64_t n_done_ = 0, n_total_;
    const std::function<void(double)>& report_;
};

Result<std::unique_ptr<ResidentWeights>> ResidentWeights::create(const Checkpoint& checkpoint) {
    uint64_t n_bytes = 0;
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        n_bytes +=
            tensor.data.size() + 2 * kDirectAlignment + kGapMax;  // only what is read is taken
    }
    auto weights = std::make_unique<ResidentWeights>();
    weights->arena_ = NEREUS_TRY(Arena::create(n_bytes));
    return weights;
}

size_t ResidentWeights::source_of(const std::string& path) {
    if (!sources_.empty() && sources_.back().path == path) {
        return sources_.size() - 1;
    }
    const auto place = std::find_if(sources_.begin(), sources_.end(),
                                    [&](const Source& source) { return source.path == path; });
    if (place == sources_.end()) {
        sources_.push_back({path, {}, {}, false});
        return sources_.size() - 1;
    }
    return static_cast<size_t>(place - sources_.begin());
}

/// The extent that ends with this tensor: the last one where the tensor follows it in the file.
ResidentWeights::Extent& ResidentWeights::extent_for(const StoredTensor& tensor) {
    const size_t file = source_of(tensor.file);
    const AlignedRange range = aligned_around(tensor.offset, tensor.data.size());
    const uint64_t end = tensor.offset + tensor.data.size();
    if (!extents_.empty()) {
        Extent& last = extents_.back();
        if (last.file == file && tensor.offset >= last.wanted_end &&
            tensor.offset - last.wanted_end <= kGapMax) {
            if (range.end > last.end) {
                arena_.allocate(range.end - last.end, kDirectAlignment);
            }
            last.end = std::max(last.end, range.end);
            last.wanted_end = end;
            return last;
        }
    }
    Extent extent{file, range.begin, range.end, end, nullptr, nullptr};
    extent.into = arena_.allocate(range.n_bytes(), kDirectAlignment).data();
    extent.mapped = tensor.data.data() - (tensor.offset - range.begin);
    extents_.push_back(extent);
    return extents_.back();
}

const std::byte* ResidentWeights::place(const StoredTensor& tensor) {
    const auto known = places_.find(&tensor);
    if (known != places_.end()) {
        return known->second;
    }
    const Extent& extent = extent_for(tensor);
    const std::byte* place = extent.into + (tensor.offset - extent.begin);
    places_.emplace(&tensor, place);
    return place;
}

const float* ResidentWeights::place_scales(const StoredTensor& tensor) {
    if (tensor.scales == nullptr || tensor.scales_file.empty()) {
        return tensor.scales;
    }
    std::unique_ptr<float[]>& scales = scales_[&tensor];
    if (scales == nullptr) {
        const uint64_t n = scales_of(tensor);
        scales = std::make_unique<float[]>(n);
        scale_reads_.push_back(
            {source_of(tensor.scales_file), tensor.scales_offset, n * sizeof(float), scales.get()});
    }
    return scales.get();
}

Status ResidentWeights::open_source(Source& source) {
    if (!source.is_open) {
        source.direct = NEREUS_TRY(InputFile::open(source.path, PageCache::kAvoid));
        source.cached = NEREUS_TRY(InputFile::open(source.path, PageCache::kUse));
        source.is_open = true;
    }
    return {};
}

Status ResidentWeights::read(const StoredTensor& tensor, std::span<std::byte> out) {
    Source& source = sources_[source_of(tensor.file)];
    NEREUS_TRY(open_source(source));
    return source.direct.read_at(tensor.offset, out);
}

Status ResidentWeights::load(ThreadPool& pool, const std::function<void(double)>& report) {
    for (Source& source : sources_) {
        NEREUS_TRY(open_source(source));
    }
    std::sort(extents_.begin(), extents_.end(), [](const Extent& a, const Extent& b) {
        return std::pair(a.file, a.begin) < std::pair(b.file, b.begin);
    });
    std::vector<Piece> cached, cold;
    uint64_t n_total = 0;
    for (const Extent& extent : extents_) {
        for (uint64_t at = extent.begin; at < extent.wanted_end; at += kPieceBytes) {
            const uint64_t n = std::min(kPieceBytes, extent.wanted_end - at);
            const bool there = is_in_page_cache({extent.mapped + (at - extent.begin), n});
            (there ? cached : cold).push_back({&extent, at, n});
            n_total += n;
        }
    }
    for (const ScaleRead& read : scale_reads_) {
        n_total += read.n_bytes;
    }
    Progress progress(n_total, report);
    NEREUS_TRY(read_scales(progress));
    NEREUS_TRY(copy_cached(cached, pool, progress));
    NEREUS_TRY(read_direct(cold, pool, progress));
    extents_.clear();
    scale_reads_.clear();
    sources_.clear();
    return {};
}

/// Through small aligned buffers: their aligned surroundings would take more memory than they do.
Status ResidentWeights::read_scales(Progress& progress) {
    if (scale_reads_.empty()) {
        return {};
    }
    uint64_t buffer_bytes = 0;
    for (const ScaleRead& read : scale_reads_) {
        buffer_bytes = std::max(buffer_bytes, aligned_around(read.offset, read.n_bytes).n_bytes());
    }
    Arena arena = NEREUS_TRY(Arena::create(buffer_bytes * kScalesAhead));
    std::vector<std::byte*> free_buffers;
    for (size_t i = 0; i < kScalesAhead; ++i) {
        free_buffers.push_back(arena.allocate(buffer_bytes, kDirectAlignment).data());
    }
    std::vector<std::byte*> buffers(scale_reads_.size());
    const auto reader = NEREUS_TRY(AsyncReader::create({}));
    size_t next = 0;
    while (true) {
        for (; next < scale_reads_.size() && !free_buffers.empty(); ++next) {
            const ScaleRead& read = scale_reads_[next];
            buffers[next] = free_buffers.back();
            free_buffers.pop_back();
            reader->start(
                {&sources_[read.file].direct, read.offset, read.n_bytes, buffers[next], next});
        }
        const std::optional<ReadResult> result = reader->wait();
        if (!result) {
            return {};
        }
        NEREUS_TRY(result->status);
        const ScaleRead& read = scale_reads_[result->tag];
        std::memcpy(read.into, buffers[result->tag] + read.offset % kDirectAlignment, read.n_bytes);
        free_buffers.push_back(buffers[result->tag]);
        progress.add(read.n_bytes);
    }
}

Status ResidentWeights::copy_cached(const std::vector<Piece>& pieces, ThreadPool& pool,
                                    Progress& progress) {
    std::mutex mutex;
    Status first;
    pool.parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const Piece& piece = pieces[static_cast<size_t>(i)];
            const Extent& extent = *piece.extent;
            const Status read = sources_[extent.file].cached.read_at(
                piece.offset, {extent.into + (piece.offset - extent.begin), piece.n_bytes});
            progress.add(piece.n_bytes);
            if (!read.ok()) {
                const std::lock_guard lock(mutex);
                first = first.ok() ? read : first;
            }
        }
    });
    return first;
}

/// On every thread of the pool, each with a reader of its own: the first touch of a page clears it,
/// and one thread clears memory more slowly than a drive of today reads (measured: 1.6 GB/s where a
/// virtual machine gets its memory from the host only then).
Status ResidentWeights::read_direct(const std::vector<Piece>& pieces, ThreadPool& pool,
                                    Progress& progress) {
    std::mutex mutex;
    Status first;
    std::atomic<size_t> next = 0;
    const auto n_readers = std::min<int64_t>(pool.n_threads(), static_cast<int64_t>(pieces.size()));
    pool.parallel_for(n_readers, 1, [&](int64_t, int64_t) {
        const Status read = read_from_line(pieces, next, progress);
        if (!read.ok()) {
            const std::lock_guard lock(mutex);
            first = first.ok() ? read : first;
        }
    });
    return first;
}

Status ResidentWeights::read_from_line(const std::vector<Piece>& pieces, std::atomic<size_t>& next,
                                       Progress& progress) {
    const auto reader = NEREUS_TRY(AsyncReader::create({}));
    bool more = true;
    while (true) {
        while (more && reader->n_pending() < kPiecesAhead) {
            const size_t at = next.fetch_add(1);
            more = at < pieces.size();
            if (more) {
                const Piece& piece = pieces[at];
                const Extent& extent = *piece.extent;
                reader->start({&sources_[extent.file].direct, piece.offset, piece.n_bytes,
                               extent.into + (piece.offset - extent.begin), at});
            }
        }
        const std::optional<ReadResult> result = reader->wait();
        if (!result) {
            return {};
        }
        NEREUS_TRY(result->status);
        progress.add(pieces[result->tag].n_bytes);
    }
}

}  // namespace nereus
