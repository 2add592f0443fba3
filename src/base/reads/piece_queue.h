#pragma once
// PieceQueue: how one piece of a read reaches the system and comes back. What a read is, how it is
// split and when it has failed is async_read.cpp's.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus {

struct Piece {
    int descriptor = -1;
    uint64_t offset = 0;
    uint32_t n_bytes = 0;
    std::byte* into = nullptr;
    uint32_t id = 0;
};

struct PieceDone {
    uint32_t id = 0;
    int64_t result = 0;  ///< bytes, or -errno
};

/// Holds at most `depth` pieces, which its user sees to. threads: one at a time.
class PieceQueue {
  public:
    virtual ~PieceQueue() = default;
    virtual std::string_view name() const = 0;
    /// Queues a piece; it need not start before wait().
    virtual void push(const Piece& piece) = 0;
    /// Starts what was pushed. Appends what is done; with timeout_ms > 0 waits so long for the
    /// first.
    virtual void collect(int64_t timeout_ms, std::vector<PieceDone>& done) = 0;
};

/// errors: unsupported (the system or its policy refuses it)
Result<std::unique_ptr<PieceQueue>> create_uring_queue(int depth);
std::unique_ptr<PieceQueue> create_thread_queue(int depth);

}  // namespace nereus
