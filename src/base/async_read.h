#pragma once
// AsyncReader: many reads in flight and who is done first. io_uring, or a few threads where the
// system forbids it; big reads are split, so that one expert alone fills a drive's queue.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/input_file.h"
#include "base/result.h"

namespace nereus {

/// Bytes of a file wanted in memory. Whole aligned stretches are read: `into` receives
/// aligned_around(offset, n_bytes) and so has room for it, at an aligned address; the wanted bytes
/// begin at into + offset % kDirectAlignment. The file must outlive the read.
struct ReadRequest {
    const InputFile* file = nullptr;
    uint64_t offset = 0;
    uint64_t n_bytes = 0;  ///< at least 1
    std::byte* into = nullptr;
    uint64_t tag = 0;  ///< comes back with the result
};

struct ReadResult {
    uint64_t tag = 0;
    Status status;  ///< io: names file, offset, expected and found
    /// The drive did not answer in time and may still write into the memory; the same tag comes
    /// once more when it has.
    bool is_late = false;
    bool is_cancelled = false;  ///< an idle read that was given up: its bytes are not all there
};

/// For tests: sees what the n-th piece of all reads (from 0) returned, bytes or -errno, and says
/// what the reader is to believe; kNeverAnswered holds it back.
using ReadFault = std::function<int64_t(uint64_t piece, int64_t result)>;
inline constexpr int64_t kNeverAnswered = INT64_MIN;

struct AsyncReadOptions {
    enum class Engine { kAuto, kUring, kThreads };
    Engine engine = Engine::kAuto;  ///< kAuto: io_uring where it is allowed
    int depth = 32;                 ///< pieces in flight; more wait in line
    uint32_t piece_bytes = kMiB;    ///< a multiple of kDirectAlignment
    int64_t stall_ms = 30'000;      ///< a drive that says nothing for so long has failed
    ReadFault fault = {};
};

/// threads: one at a time.
class AsyncReader {
  public:
    /// errors: unsupported (kUring where the system forbids it), out_of_memory
    static Result<std::unique_ptr<AsyncReader>> create(const AsyncReadOptions& options);
    /// Waits for the reads in flight: their memory is being written to.
    virtual ~AsyncReader() = default;

    /// Takes any number; those over the depth wait in line, first come first served.
    virtual void start(const ReadRequest& request) = 0;
    /// A read that may be of use later: its pieces go out only while no other read is under way, a
    /// few at a time (set_idle_depth), so that what is wanted now waits for those few at most. The
    /// pieces that follow go out when the reader is next called.
    virtual void start_idle(const ReadRequest& request) = 0;
    /// The idle reads with this tag are wanted now: what is left of them goes out first of all.
    virtual void hurry(uint64_t tag) = 0;
    /// The idle reads with this tag are not wanted any more: what has not gone out never does. They
    /// come back, when what is in flight has, as cancelled or, where all had gone out, as finished.
    virtual void cancel_idle(uint64_t tag) = 0;
    /// Pieces of idle reads in flight at once; 1 to begin with, 0 holds them back.
    virtual void set_idle_depth(int depth) = 0;
    /// How many are in flight, as far as was heard.
    virtual int n_idle_in_flight() const = 0;
    /// Whether idle reads have pieces that have not gone out.
    virtual bool has_idle_waiting() const = 0;

    /// The next finished read, in order of arrival; waits. nullopt: none is under way but those
    /// that were handed back as late.
    virtual std::optional<ReadResult> wait() = 0;
    /// The same without waiting. nullopt: none has finished.
    virtual std::optional<ReadResult> poll() = 0;
    /// Reads that have not been handed back.
    virtual size_t n_pending() const = 0;

    virtual std::string_view engine() const = 0;  ///< "io_uring" or "threads"
    /// Bytes that have arrived so far, edges included.
    virtual uint64_t n_bytes_read() const = 0;
};

}  // namespace nereus
