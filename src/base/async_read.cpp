#include "base/async_read.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/reads/piece_queue.h"

namespace nereus {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDepthMax = 1024;

/// One request: which of its bytes were asked for and how it has gone so far.
struct Read {
    ReadRequest request;
    AlignedRange range;   ///< what is read
    uint64_t next = 0;    ///< from here on nothing was asked for
    int n_in_flight = 0;  ///< pieces
    std::optional<Error> error;
    bool was_late = false;  ///< handed back without waiting for its pieces
    bool is_idle = false;   ///< in the idle line
    bool is_cancelled = false;

    uint64_t end_needed() const { return request.offset + request.n_bytes; }
};

/// A stretch under way; what came short is asked for again.
struct Stretch {
    size_t read = 0;
    uint64_t offset = 0, end = 0;
    bool is_idle = false;  ///< went out as a piece of an idle read
};

class SplittingReader final : public AsyncReader {
  public:
    SplittingReader(std::unique_ptr<PieceQueue> queue, const AsyncReadOptions& options)
        : queue_(std::move(queue)),
          options_(options),
          stretches_(static_cast<size_t>(options.depth)) {
        for (size_t i = stretches_.size(); i > 0; --i) {
            free_stretches_.push_back(i - 1);
        }
    }

    ~SplittingReader() override {
        line_.clear();
        idle_line_.clear();
        while (free_stretches_.size() < stretches_.size()) {
            done_.clear();
            queue_->collect(options_.stall_ms, done_);
            if (done_.empty()) {  // the queue's own end waits for what is still under way
                return;
            }
            for (const PieceDone& done : done_) {
                free_stretches_.push_back(done.id);
            }
        }
    }

    void start(const ReadRequest& request) override {
        line_.push_back(add(request));
        push_pieces();
        collect(0);
    }

    void start_idle(const ReadRequest& request) override {
        const size_t at = add(request);
        reads_[at].is_idle = true;
        idle_line_.push_back(at);
        collect(0);
    }

    void hurry(uint64_t tag) override {
        for (const size_t at : idle_reads_of(tag)) {
            line_.push_front(at);
        }
        push_pieces();
    }

    void cancel_idle(uint64_t tag) override {
        for (const size_t at : idle_reads_of(tag)) {
            reads_[at].is_cancelled = reads_[at].next < reads_[at].range.end;
            finish_if_done(at);
        }
    }

    void set_idle_depth(int depth) override {
        NEREUS_CHECK(depth >= 0);
        idle_depth_ = depth;
    }
    int n_idle_in_flight() const override { return n_idle_in_flight_; }
    bool has_idle_waiting() const override { return !idle_line_.empty(); }

    std::optional<ReadResult> poll() override {
        collect(0);
        return take_finished();
    }

    std::optional<ReadResult> wait() override {
        const auto patience = std::chrono::milliseconds(options_.stall_ms);
        auto last_answer = Clock::now();
        while (finished_.empty() && n_pending_ > n_late_) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                last_answer + patience - Clock::now());
            if (left.count() <= 0) {
                give_up();
            } else if (collect(left.count())) {
                last_answer = Clock::now();
            }
        }
        return take_finished();
    }

    size_t n_pending() const override { return n_pending_; }
    std::string_view engine() const override { return queue_->name(); }
    uint64_t n_bytes_read() const override { return n_bytes_read_; }

  private:
    /// A new read, in no line yet.
    size_t add(const ReadRequest& request) {
        NEREUS_CHECK(request.n_bytes > 0);
        NEREUS_CHECK(reinterpret_cast<uintptr_t>(request.into) % kDirectAlignment == 0);
        size_t at = reads_.size();
        if (free_reads_.empty()) {
            reads_.emplace_back();
        } else {
            at = free_reads_.back();
            free_reads_.pop_back();
        }
        Read& read = reads_[at];
        read = {};
        read.request = request;
        read.range = aligned_around(request.offset, request.n_bytes);
        read.next = read.range.begin;
        ++n_pending_;
        return at;
    }

    /// Takes the unfinished idle reads with this tag out of the idle line, the last one first.
    const std::vector<size_t>& idle_reads_of(uint64_t tag) {
        taken_.clear();
        for (size_t at = reads_.size(); at > 0; --at) {
            Read& read = reads_[at - 1];
            if (read.is_idle && read.request.tag == tag) {
                read.is_idle = false;
                std::erase(idle_line_, at - 1);
                taken_.push_back(at - 1);
            }
        }
        return taken_;
    }

    std::optional<ReadResult> take_finished() {
        if (finished_.empty()) {
            return std::nullopt;
        }
        ReadResult result = std::move(finished_.front());
        finished_.pop_front();
        if (!result.is_late) {
            --n_pending_;
        }
        return result;
    }

    void push_pieces() {
        while (!line_.empty() && !free_stretches_.empty()) {
            push_next_of(line_);
        }
        while (line_.empty() && n_urgent_in_flight() == 0 && !idle_line_.empty() &&
               n_idle_in_flight_ < idle_depth_ && !free_stretches_.empty()) {
            push_next_of(idle_line_);
        }
    }

    int n_urgent_in_flight() const {
        return static_cast<int>(stretches_.size() - free_stretches_.size()) - n_idle_in_flight_;
    }

    /// The next piece of the first read in the line, which leaves the line after its last.
    void push_next_of(std::deque<size_t>& line) {
        const size_t at = line.front();
        Read& read = reads_[at];
        if (!read.error && read.next < read.range.end) {
            const uint64_t end = std::min(read.range.end, read.next + options_.piece_bytes);
            const size_t id = free_stretches_.back();
            free_stretches_.pop_back();
            stretches_[id] = {at, read.next, end, read.is_idle};
            read.next = end;
            ++read.n_in_flight;
            n_idle_in_flight_ += read.is_idle ? 1 : 0;
            push(id);
        }
        if (read.error || read.next == read.range.end) {
            line.pop_front();
        }
    }

    void push(size_t id) {
        const Stretch& stretch = stretches_[id];
        const Read& read = reads_[stretch.read];
        queue_->push({read.request.file->descriptor(), stretch.offset,
                      static_cast<uint32_t>(stretch.end - stretch.offset),
                      read.request.into + (stretch.offset - read.range.begin),
                      static_cast<uint32_t>(id)});
    }

    /// True when anything was heard of.
    bool collect(int64_t timeout_ms) {
        done_.clear();
        queue_->collect(timeout_ms, done_);
        bool heard = false;
        for (const PieceDone& done : done_) {
            int64_t result = done.result;
            if (options_.fault) {
                result = options_.fault(n_pieces_++, result);
            }
            if (result != kNeverAnswered) {
                heard = true;
                handle(done.id, result);
            }
        }
        push_pieces();
        return heard;
    }

    void handle(size_t id, int64_t result) {
        Stretch& stretch = stretches_[id];
        Read& read = reads_[stretch.read];
        if (result == -EAGAIN || result == -EINTR) {
            push(id);
            return;
        }
        const uint64_t end_needed = std::min(stretch.end, read.end_needed());
        const uint64_t got = result < 0 ? 0 : static_cast<uint64_t>(result);
        n_bytes_read_ += got;
        if (!read.error && result >= 0 && stretch.offset + got < end_needed) {
            // The rest from the last aligned place; without progress the file has ended.
            const uint64_t next = (stretch.offset + got) / kDirectAlignment * kDirectAlignment;
            if (next > stretch.offset) {
                stretch.offset = next;
                push(id);
                return;
            }
        }
        if (!read.error && (result < 0 || stretch.offset + got < end_needed)) {
            read.error =
                read_error(*read.request.file, stretch.offset, end_needed - stretch.offset, result);
        }
        free_stretches_.push_back(id);
        n_idle_in_flight_ -= stretch.is_idle ? 1 : 0;
        --read.n_in_flight;
        finish_if_done(stretch.read);
    }

    void finish_if_done(size_t at) {
        Read& read = reads_[at];
        const bool is_over = read.error || read.is_cancelled || read.next == read.range.end;
        if (read.n_in_flight > 0 || !is_over) {
            return;
        }
        std::erase(line_, at);
        std::erase(idle_line_, at);
        read.is_idle = false;
        n_late_ -= std::exchange(read.was_late, false) ? 1 : 0;
        ReadResult result{read.request.tag, {}, false, read.is_cancelled};
        if (read.error) {
            result.status = std::move(*read.error);
        }
        finished_.push_back(std::move(result));
        free_reads_.push_back(at);
    }

    /// The drive is silent: everything under way has failed, but memory that it may still write to
    /// is not free before it has spoken.
    void give_up() {
        for (size_t at = 0; at < reads_.size(); ++at) {
            Read& read = reads_[at];
            const auto is_in = [&](const std::deque<size_t>& line) {
                return std::find(line.begin(), line.end(), at) != line.end();
            };
            if (read.was_late || (read.n_in_flight == 0 && !is_in(line_) && !is_in(idle_line_))) {
                continue;
            }
            read.error = make_error(
                ErrorCode::kIo,
                "{}: expected {} bytes at offset {}, the drive has not answered for {} s",
                read.request.file->path().string(), read.request.n_bytes, read.request.offset,
                static_cast<double>(options_.stall_ms) / 1000);
            if (read.n_in_flight == 0) {
                finish_if_done(at);
                continue;
            }
            finished_.push_back({read.request.tag, *read.error, true, false});
            read.was_late = true;
            ++n_late_;
        }
    }

    std::unique_ptr<PieceQueue> queue_;
    AsyncReadOptions options_;
    std::vector<Read> reads_;
    std::vector<size_t> free_reads_;
    std::deque<size_t> line_;       ///< reads with pieces to ask for
    std::deque<size_t> idle_line_;  ///< the same, while the drive has nothing else to do
    std::vector<size_t> taken_;     ///< of idle_reads_of
    int idle_depth_ = 1, n_idle_in_flight_ = 0;
    std::vector<Stretch> stretches_;
    std::vector<size_t> free_stretches_;
    std::vector<PieceDone> done_;
    std::deque<ReadResult> finished_;
    size_t n_pending_ = 0, n_late_ = 0;
    uint64_t n_bytes_read_ = 0;
    uint64_t n_pieces_ = 0;
};

Result<std::unique_ptr<PieceQueue>> create_queue(const AsyncReadOptions& options) {
    using Engine = AsyncReadOptions::Engine;
    if (options.engine == Engine::kThreads) {
        return create_thread_queue(options.depth);
    }
    auto queue = create_uring_queue(options.depth);
    if (!queue.ok() && options.engine == Engine::kAuto) {
        log_info("{}; reading with threads instead", queue.error().message);
        return create_thread_queue(options.depth);
    }
    return queue;
}

}  // namespace

Result<std::unique_ptr<AsyncReader>> AsyncReader::create(const AsyncReadOptions& options) {
    NEREUS_CHECK(options.depth > 0);
    NEREUS_CHECK(options.depth <= kDepthMax);
    NEREUS_CHECK(options.piece_bytes > 0);
    NEREUS_CHECK(options.piece_bytes % kDirectAlignment == 0);
    auto queue = NEREUS_TRY(create_queue(options));
    return std::unique_ptr<AsyncReader>(
        std::make_unique<SplittingReader>(std::move(queue), options));
}

}  // namespace nereus
