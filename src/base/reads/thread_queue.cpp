// Pieces read by threads that wait for the drive, where io_uring is not allowed. They compute
// nothing, so there may be more of them than cores.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/reads/piece_queue.h"

namespace nereus {
namespace {

constexpr int kThreadsMax = 16;

class ThreadQueue final : public PieceQueue {
  public:
    explicit ThreadQueue(int depth) {
        for (int i = 0; i < std::min(depth, kThreadsMax); ++i) {
            threads_.emplace_back([this] { read_pieces(); });
        }
    }
    ~ThreadQueue() override {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        wake_readers_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }

    std::string_view name() const override { return "threads"; }

    void push(const Piece& piece) override {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(piece);
        }
        wake_readers_.notify_one();
    }

    void collect(int64_t timeout_ms, std::vector<PieceDone>& done) override {
        std::unique_lock lock(mutex_);
        if (timeout_ms > 0) {
            wake_owner_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                 [this] { return !done_.empty(); });
        }
        done.insert(done.end(), done_.begin(), done_.end());
        done_.clear();
    }

  private:
    void read_pieces() {
        std::unique_lock lock(mutex_);
        while (true) {
            wake_readers_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
            if (closing_) {
                return;
            }
            const Piece piece = waiting_.front();
            waiting_.pop_front();
            lock.unlock();
            const ssize_t got = ::pread(piece.descriptor, piece.into, piece.n_bytes,
                                        static_cast<off_t>(piece.offset));
            const int64_t result = got < 0 ? -int64_t{errno} : got;
            lock.lock();
            done_.push_back({piece.id, result});
            wake_owner_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_readers_, wake_owner_;
    std::deque<Piece> waiting_;
    std::vector<PieceDone> done_;
    bool closing_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<PieceQueue> create_thread_queue(int depth) {
    return std::make_unique<ThreadQueue>(depth);
}

}  // namespace nereus
