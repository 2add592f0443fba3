#pragma once
// ResidentWeights: tensors of a checkpoint copied from its files into huge pages, with direct reads
// where the page cache does not have them already. A mapping would page in 4 KiB at a time, walk
// longer page tables and keep every byte twice after a copy.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/arena.h"
#include "base/input_file.h"
#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

class ThreadPool;

/// Two steps: place() every tensor, which gives addresses; load(), which brings the bytes.
/// The checkpoint must outlive load(). threads: one at a time.
class ResidentWeights {
  public:
    /// Address space for all tensors of the checkpoint. errors: out_of_memory
    static Result<std::unique_ptr<ResidentWeights>> create(const Checkpoint& checkpoint);

    /// Where the tensor's bytes will be after load(); the same address for the same tensor.
    const std::byte* place(const StoredTensor& tensor);

    /// Where the tensor's scales will be after load(); those that the checkpoint owns stay there.
    const float* place_scales(const StoredTensor& tensor);

    /// Reads a small tensor at once, without the mapping. errors: io
    Status read(const StoredTensor& tensor, std::span<std::byte> out);

    /// Reads what was placed since the last load. progress gets fractions in [0, 1]; may be empty.
    /// errors: io (names file, offset, expected, found)
    Status load(ThreadPool& pool, const std::function<void(double fraction)>& progress);

    /// Memory that the placed tensors take, edges of aligned reads included; scales are extra.
    uint64_t n_bytes() const { return arena_.n_bytes_used(); }

  private:
    /// A stretch of a file, aligned, and its place in the arena.
    struct Extent {
        size_t file = 0;
        uint64_t begin = 0, end = 0;        ///< aligned; the end may lie beyond the file's
        uint64_t wanted_end = 0;            ///< of the last tensor
        std::byte* into = nullptr;          ///< of `begin`
        const std::byte* mapped = nullptr;  ///< of `begin`
    };
    /// Scales of one tensor: a few kilobytes somewhere in a shard.
    struct ScaleRead {
        size_t file = 0;
        uint64_t offset = 0, n_bytes = 0;
        float* into = nullptr;
    };
    struct Source {
        std::string path;
        InputFile direct, cached;
        bool is_open = false;
    };
    struct Piece {
        const Extent* extent = nullptr;
        uint64_t offset = 0, n_bytes = 0;
    };
    class Progress;

    Extent& extent_for(const StoredTensor& tensor);
    size_t source_of(const std::string& path);
    Status open_source(Source& source);
    Status copy_cached(const std::vector<Piece>& pieces, ThreadPool& pool, Progress& progress);
    Status read_direct(const std::vector<Piece>& pieces, ThreadPool& pool, Progress& progress);
    Status read_from_line(const std::vector<Piece>& pieces, std::atomic<size_t>& next,
                          Progress& progress);
    Status read_scales(Progress& progress);

    Arena arena_;
    std::vector<Source> sources_;
    std::vector<Extent> extents_;
    std::unordered_map<const StoredTensor*, const std::byte*> places_;
    std::unordered_map<const StoredTensor*, std::unique_ptr<float[]>> scales_;
    std::vector<ScaleRead> scale_reads_;
};

}  // namespace nereus
