// Pieces through io_uring: one system call starts many and waits for the first.

#include <liburing.h>

#include <chrono>
#include <cstring>

#include "base/check.h"
#include "base/reads/piece_queue.h"

namespace nereus {
namespace {

using Clock = std::chrono::steady_clock;

/// Looked for answers so long before going to sleep: longer than an expert takes from a good drive.
/// A core that slept wakes some 50 us late, and its clock and caches later still: 0 to 20 % of the
/// time that V2-Lite computes while it streams.
constexpr std::chrono::microseconds kPolling{2000};

class UringQueue final : public PieceQueue {
  public:
    UringQueue() = default;
    UringQueue(const UringQueue&) = delete;
    UringQueue& operator=(const UringQueue&) = delete;
    ~UringQueue() override {
        if (is_open_) {
            ::io_uring_queue_exit(&ring_);
        }
    }

    Status open(int depth) {
        const int code = ::io_uring_queue_init(static_cast<unsigned>(depth), &ring_, 0);
        if (code < 0) {
            return make_error(ErrorCode::kUnsupported, "io_uring cannot be used here: {}",
                              std::strerror(-code));
        }
        is_open_ = true;
        return {};
    }

    std::string_view name() const override { return "io_uring"; }

    void push(const Piece& piece) override {
        io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
        NEREUS_CHECK(entry != nullptr);
        ::io_uring_prep_read(entry, piece.descriptor, piece.into, piece.n_bytes, piece.offset);
        ::io_uring_sqe_set_data64(entry, piece.id);
    }

    void collect(int64_t timeout_ms, std::vector<PieceDone>& done) override {
        const size_t n_before = done.size();
        if (::io_uring_sq_ready(&ring_) > 0) {
            ::io_uring_submit(&ring_);
        }
        take(done);
        if (done.size() > n_before || timeout_ms <= 0) {
            return;
        }
        const auto start = Clock::now();
        while (done.size() == n_before && Clock::now() - start < kPolling) {
            take(done);
        }
        if (done.size() > n_before) {
            return;
        }
        __kernel_timespec patience = {timeout_ms / 1000, timeout_ms % 1000 * 1'000'000};
        io_uring_cqe* entry = nullptr;
        ::io_uring_wait_cqe_timeout(&ring_, &entry, &patience);
        take(done);
    }

  private:
    void take(std::vector<PieceDone>& done) {
        io_uring_cqe* entry = nullptr;
        while (::io_uring_peek_cqe(&ring_, &entry) == 0) {
            done.push_back({static_cast<uint32_t>(entry->user_data), entry->res});
            ::io_uring_cqe_seen(&ring_, entry);
        }
    }

    io_uring ring_ = {};
    bool is_open_ = false;
};

}  // namespace

Result<std::unique_ptr<PieceQueue>> create_uring_queue(int depth) {
    auto queue = std::make_unique<UringQueue>();
    NEREUS_TRY(queue->open(depth));
    return std::unique_ptr<PieceQueue>(std::move(queue));
}

}  // namespace nereus
