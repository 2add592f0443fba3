// The bank whose experts are on disk: a fixed number of slots in an arena, a cache that says which
// expert lies in which, and a reader that fills them.
//
// A slot is pinned while a read writes to it and while the request it was read for has not done
// with it, so an expert in use never leaves. A request for more experts than there are slots runs
// in waves by itself: what the block has computed may leave when it asks for more.
//
// A request for nearly all experts of a layer is a sweep (a chunk of a prompt, many sequences), and
// the next layer will want nearly all of its own: once nothing of this layer is left to ask for,
// the drive goes on with the next one's, in a few slots that travel with the sweep: each layer
// takes them from the one before, whose turn is over. Nothing that the sweep still comes to leaves.
//
// Other requests leave the drive idle between the last expert's arrival and the next layer's
// request. Experts that the next layer will probably ask for (next_experts.h) are read then, into
// slots of their own: no live expert leaves for a guess. Their reads yield: what is asked for waits
// at most for the few pieces in flight, of which there are as many as the drive reads between two
// requests.

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/arena.h"
#include "base/check.h"
#include "base/thread_pool.h"
#include "memory/banks/expert_files.h"
#include "memory/banks/next_experts.h"
#include "memory/expert_bank.h"

namespace nereus {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSweepPercent = 90;  // of a layer's experts
/// A sweep reads so many experts ahead: the queue is full while a layer's attention runs. One slot
/// in kAheadShare at most.
constexpr int64_t kAheadMax = 24;
constexpr int64_t kAheadShare = 8;
/// A sweep computes so many experts at once: enough rows for all threads, few enough that slots
/// become free while the drive has work.
constexpr size_t kSweepBatch = 8;
/// Slots for guesses: one in kGuessShare. More than the drive can fill between two requests serve
/// nobody.
constexpr int64_t kGuessSlotsMax = 6;
constexpr int64_t kGuessShare = 32;
/// Expected uses from which on an expert is read on a guess. The likeliest come first, so a low
/// floor costs nothing but idle time of the drive.
constexpr float kGuessFloor = 0.1F;
constexpr int kIdleDepthMax = 32;
/// Pieces that may still be in flight when the next layer asks: most of them are of right guesses.
constexpr int kIdleLeftMax = 2;
constexpr int32_t kNone = -1;

struct Slot {
    ExpertKey key;
    int32_t n_reads = 0;         ///< under way
    int32_t index = kNone;       ///< into the ids of the current request
    bool is_guess = false;       ///< nobody has asked for it yet
    bool is_ahead = false;       ///< nor for this one, of a sweep
    bool is_cancelled = false;   ///< a guess whose reads come to an end
    bool has_gaps = false;       ///< of a cancelled read
    std::optional<Error> error;  ///< of one of its reads

    /// What is left of its reads has to end before it is read again.
    bool is_lost() const { return error.has_value() || is_cancelled; }
};

int64_t guess_slots(const StreamOptions& options, int64_t n_slots, int64_t n_experts) {
    if (n_slots >= n_experts) {
        return 0;  // all are in memory soon
    }
    const int64_t wanted = options.n_guess_slots >= 0
                               ? options.n_guess_slots
                               : std::min(kGuessSlotsMax, n_slots / kGuessShare);
    return std::min(wanted, n_slots - 1);
}

class SsdBank final : public ExpertBank {
  public:
    SsdBank(ExpertFiles files, ExpertCache cache, NextExperts next_experts, bool guesses,
            Arena arena, std::unique_ptr<AsyncReader> reader)
        : files_(std::move(files)),
          cache_(std::move(cache)),
          next_experts_(std::move(next_experts)),
          guesses_(guesses),
          arena_(std::move(arena)),
          memory_(arena_
                      .allocate(static_cast<uint64_t>(cache_.n_slots()) * files_.slot_bytes(),
                                kDirectAlignment)
                      .data()),
          reader_(std::move(reader)),
          slots_(static_cast<size_t>(cache_.n_slots())) {
        for (int64_t layer = 0; layer < files_.n_layers(); ++layer) {
            if (files_.n_experts(layer) > 0) {
                mixture_layers_.push_back(layer);
            }
        }
        idle_depth_.assign(static_cast<size_t>(files_.n_layers()), 1);
        mixture_of_.assign(static_cast<size_t>(files_.n_layers()), kNone);
        for (size_t i = 0; i < mixture_layers_.size(); ++i) {
            mixture_of_[static_cast<size_t>(mixture_layers_[i])] = static_cast<int32_t>(i);
        }
    }

    void observe(int64_t layer, std::span<const int32_t> choices, int64_t top_k) override {
        if (guesses_) {
            next_experts_.see(mixture_of_[static_cast<size_t>(layer)], choices, top_k);
        }
    }

    void request(int64_t layer, std::span<const int32_t> ids) override {
        NEREUS_CHECK(is_over_);
        let_go_of_handed();
        if (layer <= layer_) {
            cache_.begin_pass();
        }
        layer_ = layer;
        ids_.assign(ids.begin(), ids.end());
        is_sweep_ =
            static_cast<int64_t>(ids_.size()) * 100 >= files_.n_experts(layer_) * kSweepPercent;
        is_over_ = false;
        n_handed_ = 0;
        next_missing_ = 0;
        next_ahead_ = 0;
        has_guessed_ = false;
        missing_.clear();
        arrived_.clear();
        cancel_wrong_guesses();
        look_up();
        begin_reads();
        read_ahead();
    }

    Result<std::span<const ReadyExpert>> next() override {
        let_go_of_handed();
        Status taken = take_arrivals();
        if (is_over_) {
            return std::span<const ReadyExpert>();
        }
        begin_reads();
        read_ahead();
        while (taken.ok() && arrived_.empty() && n_handed_ < ids_.size()) {
            taken = wait_for_one();
            begin_reads();
        }
        if (!taken.ok()) {
            end_request();
            return std::move(taken).error();
        }
        hand_over();
        if (n_handed_ == ids_.size()) {
            is_over_ = true;
        }
        return std::span<const ReadyExpert>(ready_);
    }

    bool reads_from_disk() const override { return true; }

    ExpertBankStats stats() const override {
        return {.n_hits = n_hits_,
                .n_misses = n_misses_,
                .n_guesses = n_guesses_,
                .n_guesses_right = n_guesses_right_,
                .n_bytes_needed = n_bytes_needed_,
                .n_bytes_read = reader_->n_bytes_read(),
                .wait_seconds = wait_seconds_};
    }

  private:
    ExpertKey key_of(int64_t layer, int32_t id) const {
        return {mixture_of_[static_cast<size_t>(layer)], id};
    }
    Slot& slot_of(ExpertKey key) { return slots_[static_cast<size_t>(cache_.find(key))]; }
    std::byte* memory_of(int32_t slot) const {
        return memory_ + static_cast<uint64_t>(slot) * files_.slot_bytes();
    }

    /// What is there, or on its way, is kept for this request; the rest is missing.
    void look_up() {
        for (size_t i = 0; i < ids_.size(); ++i) {
            const ExpertKey key = key_of(layer_, ids_[i]);
            if (cache_.find(key) == ExpertCache::kNoSlot || slot_of(key).is_lost()) {
                missing_.push_back(i);
                count_miss(ids_[i]);
                continue;
            }
            const Slot& slot = slot_of(key);
            if (slot.is_guess || slot.is_ahead) {
                n_guesses_right_ += slot.is_guess ? 1 : 0;
                count_miss(ids_[i]);
            } else {
                ++n_hits_;
            }
            cache_.touch(key);
            take_slot(i);
        }
        while (cache_.trim()) {  // guesses that came true are live experts now
        }
    }

    void count_miss(int32_t id) {
        ++n_misses_;
        for (const ExpertRead& read : files_.reads(layer_, id)) {
            n_bytes_needed_ += read.n_bytes;
        }
    }

    /// Reads of missing experts, as far as there are slots.
    void begin_reads() {
        for (; next_missing_ < missing_.size(); ++next_missing_) {
            const size_t i = missing_[next_missing_];
            const ExpertKey key = key_of(layer_, ids_[i]);
            const bool is_there = cache_.find(key) != ExpertCache::kNoSlot;
            if (is_there && slot_of(key).is_lost()) {
                return;
            }
            if (is_there) {
                cache_.touch(key);
            } else if (!begin_read(key, layer_, admit(key))) {
                return;
            }
            take_slot(i);
        }
    }

    /// The slot of a requested expert is this request's until it has been computed with.
    void take_slot(size_t i) {
        const ExpertKey key = key_of(layer_, ids_[i]);
        cache_.pin(key);
        Slot& slot = slot_of(key);
        slot.index = static_cast<int32_t>(i);
        if (slot.n_reads == 0) {
            arrived_.push_back(cache_.find(key));
        } else if (slot.is_guess) {
            reader_->hurry(static_cast<uint64_t>(cache_.find(key)));
            std::erase(guessing_, cache_.find(key));
        }
        slot.is_guess = false;
        slot.is_ahead = false;
    }

    /// A slot for an expert of this request.
    ExpertCache::Admission admit(ExpertKey key) {
        ExpertCache::Admission admission = cache_.admit(key);
        if (admission.slot == ExpertCache::kNoSlot && is_sweep_) {
            admission = admit_ahead(key);
        }
        return admission;
    }

    /// A slot that travels with the sweep, as long as the layer has no more of them than it may.
    ExpertCache::Admission admit_ahead(ExpertKey key) {
        const int64_t ahead_max = std::min(kAheadMax, cache_.n_slots() / kAheadShare);
        if (cache_.n_live_of(key.layer) - cache_.quota_of(key.layer) >= ahead_max) {
            return {};
        }
        const auto n = static_cast<int32_t>(mixture_layers_.size());
        return cache_.admit_ahead(key, (key.layer + n - 1) % n);
    }

    /// Reads an expert into its new slot; false where it has none.
    bool begin_read(ExpertKey key, int64_t layer, const ExpertCache::Admission& admission,
                    bool is_guess = false) {
        if (admission.slot == ExpertCache::kNoSlot) {
            return false;
        }
        cache_.pin(key);
        const std::span<const ExpertRead> reads = files_.reads(layer, key.expert);
        Slot& slot = slots_[static_cast<size_t>(admission.slot)];
        slot = {};
        slot.key = key;
        slot.n_reads = static_cast<int32_t>(reads.size());
        slot.is_guess = is_guess;
        for (const ExpertRead& read : reads) {
            const ReadRequest request = {&files_.file(read.file), read.offset, read.n_bytes,
                                         memory_of(admission.slot) + read.slot_offset,
                                         static_cast<uint64_t>(admission.slot)};
            if (is_guess) {
                reader_->start_idle(request);
            } else {
                reader_->start(request);
            }
        }
        return true;
    }

    /// Experts of the next layer, once all of this one's have been asked for.
    void read_ahead() {
        if (next_missing_ < missing_.size()) {
            return;
        }
        if (is_sweep_) {
            read_next_of_sweep();
        } else if (guesses_ && !std::exchange(has_guessed_, true)) {
            guess();
        }
    }

    /// Sweeps end with the last layer.
    void read_next_of_sweep() {
        const auto mixture = static_cast<size_t>(mixture_of_[static_cast<size_t>(layer_)] + 1);
        if (mixture == mixture_layers_.size()) {
            return;
        }
        const int64_t layer = mixture_layers_[mixture];
        for (; next_ahead_ < files_.n_experts(layer); ++next_ahead_) {
            const ExpertKey key = key_of(layer, static_cast<int32_t>(next_ahead_));
            if (cache_.find(key) != ExpertCache::kNoSlot) {
                continue;
            }
            if (!begin_read(key, layer, admit_ahead(key))) {
                return;
            }
            slot_of(key).is_ahead = true;
        }
    }

    /// Reads that yield, for the experts that the next layer will probably ask for.
    void guess() {
        const auto here = static_cast<size_t>(mixture_of_[static_cast<size_t>(layer_)]);
        const int64_t layer = mixture_layers_[(here + 1) % mixture_layers_.size()];
        reader_->set_idle_depth(idle_depth_[static_cast<size_t>(layer)]);
        for (const NextExperts::Guess& each : next_experts_.foresee(kGuessFloor)) {
            const ExpertKey key = key_of(layer, each.expert);
            if (cache_.find(key) != ExpertCache::kNoSlot) {
                continue;
            }
            const ExpertCache::Admission admission = cache_.admit_guess(key);
            if (!begin_read(key, layer, admission, true)) {
                return;
            }
            guessing_.push_back(admission.slot);
            ++n_guesses_;
        }
    }

    /// Guesses under way that this request does not ask for. How many pieces are in flight when it
    /// comes says whether there were too few or too many of them.
    void cancel_wrong_guesses() {
        if (guessing_.empty()) {
            return;
        }
        const bool has_more = reader_->has_idle_waiting();
        std::erase_if(guessing_, [&](int32_t at) {
            Slot& slot = slots_[static_cast<size_t>(at)];
            const bool is_right =
                slot.key.layer == mixture_of_[static_cast<size_t>(layer_)] &&
                std::find(ids_.begin(), ids_.end(), slot.key.expert) != ids_.end();
            if (!is_right) {
                slot.is_cancelled = true;
                reader_->cancel_idle(static_cast<uint64_t>(at));
            }
            return !is_right;
        });
        reader_->set_idle_depth(0);
        (void)take_arrivals();  // of guesses: nobody waits for them
        const int n_left = reader_->n_idle_in_flight();
        int& depth = idle_depth_[static_cast<size_t>(layer_)];
        if (n_left == 0 && has_more) {
            depth = std::min(depth + 1, kIdleDepthMax);
        } else if (n_left > kIdleLeftMax) {
            depth = std::max(depth - 1, 1);
        }
    }

    Status take_arrivals() {
        while (const std::optional<ReadResult> result = reader_->poll()) {
            NEREUS_TRY(take(*result));
        }
        return {};
    }

    Status wait_for_one() {
        const auto start = Clock::now();
        const std::optional<ReadResult> result = reader_->wait();
        wait_seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
        if (!result) {
            return make_error(ErrorCode::kIo,
                              "no memory for experts: all {} slots wait for a drive that does not "
                              "answer",
                              slots_.size());
        }
        NEREUS_TRY(take(*result));
        return take_arrivals();
    }

    /// One read is back. errors: its own, when this request waits for it
    Status take(const ReadResult& result) {
        const auto at = static_cast<int32_t>(result.tag);
        Slot& slot = slots_[result.tag];
        const bool is_wanted = slot.index != kNone;
        if (!result.status.ok() && !slot.error) {
            slot.error = result.status.error();
        }
        slot.has_gaps = slot.has_gaps || result.is_cancelled;
        if (!result.is_late && --slot.n_reads == 0) {
            cache_.unpin(slot.key);
            std::erase(guessing_, at);
            if (slot.error || slot.has_gaps) {
                forget(slot);
            } else if (is_wanted) {
                arrived_.push_back(at);
            }
            slot.is_cancelled = false;
        }
        return is_wanted && slot.error ? Status(*slot.error) : Status();
    }

    /// Bytes that did not come: the slot is free again.
    void forget(Slot& slot) {
        if (slot.index != kNone) {
            cache_.unpin(slot.key);
            slot.index = kNone;
        }
        cache_.drop(slot.key);
    }

    void hand_over() {
        ready_.clear();
        const size_t n = is_sweep_ ? std::min(arrived_.size(), kSweepBatch) : arrived_.size();
        handed_.assign(arrived_.begin(), arrived_.begin() + static_cast<ptrdiff_t>(n));
        arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<ptrdiff_t>(n));
        for (const int32_t at : handed_) {
            const Slot& slot = slots_[static_cast<size_t>(at)];
            ready_.push_back({static_cast<size_t>(slot.index),
                              files_.in_slot(layer_, slot.key.expert, memory_of(at))});
        }
        n_handed_ += n;
    }

    void let_go_of_handed() {
        for (const int32_t at : handed_) {
            release(slots_[static_cast<size_t>(at)]);
        }
        handed_.clear();
        ready_.clear();
    }

    void release(Slot& slot) {
        if (slot.index != kNone) {
            cache_.unpin(slot.key);
            slot.index = kNone;
        }
    }

    /// After a failure: nothing is wanted any more. What is under way is waited for, so that the
    /// next request finds slots that are either there or free.
    void end_request() {
        is_over_ = true;
        for (Slot& slot : slots_) {
            release(slot);
        }
        for (const int32_t at : guessing_) {
            slots_[static_cast<size_t>(at)].is_cancelled = true;
            reader_->cancel_idle(static_cast<uint64_t>(at));
        }
        while (const std::optional<ReadResult> result = reader_->wait()) {
            (void)take(*result);
        }
        arrived_.clear();
    }

    ExpertFiles files_;
    ExpertCache cache_;
    NextExperts next_experts_;
    bool guesses_;
    Arena arena_;
    std::byte* memory_;                    ///< of slot 0
    std::unique_ptr<AsyncReader> reader_;  ///< gone before the memory it writes to
    std::vector<Slot> slots_;
    std::vector<int64_t> mixture_layers_;  ///< model layers that have experts
    std::vector<int32_t> mixture_of_;      ///< their number, by model layer

    int64_t layer_ = INT64_MAX;
    std::vector<int32_t> ids_;
    std::vector<size_t> missing_;  ///< indices of ids without a slot when asked for
    size_t next_missing_ = 0, n_handed_ = 0;
    int64_t next_ahead_ = 0;
    std::vector<int32_t> arrived_, handed_;  ///< slots
    std::vector<int32_t> guessing_;          ///< slots of guesses under way
    std::vector<ReadyExpert> ready_;
    bool is_over_ = true, is_sweep_ = false, has_guessed_ = false;
    std::vector<int> idle_depth_;  ///< of guesses for a layer: how long the drive is idle before it

    int64_t n_hits_ = 0, n_misses_ = 0, n_guesses_ = 0, n_guesses_right_ = 0;
    uint64_t n_bytes_needed_ = 0;
    double wait_seconds_ = 0;
};

}  // namespace

StreamNeeds stream_needs(const Checkpoint& checkpoint, const ExpertTable& experts) {
    const ExpertFiles files(checkpoint, experts);
    StreamNeeds needs;
    needs.slot_bytes = files.slot_bytes();
    int64_t n_mixtures = 0, n_most = 0;
    for (int64_t layer = 0; layer < files.n_layers(); ++layer) {
        needs.n_experts += files.n_experts(layer);
        n_mixtures += files.n_experts(layer) > 0 ? 1 : 0;
        n_most = std::max(n_most, files.n_experts(layer));
    }
    needs.guess_bytes = NextExperts::n_bytes(n_mixtures, n_most);
    return needs;
}

Result<std::unique_ptr<ExpertBank>> create_ssd_bank(const Checkpoint& checkpoint,
                                                    ExpertTable experts,
                                                    const StreamOptions& options) {
    ExpertFiles files(checkpoint, std::move(experts));
    NEREUS_TRY(files.open());
    ExpertCacheSpec spec;
    for (int64_t layer = 0; layer < files.n_layers(); ++layer) {
        spec.n_layers += files.n_experts(layer) > 0 ? 1 : 0;
        spec.n_experts = std::max(spec.n_experts, files.n_experts(layer));
    }
    spec.n_slots = static_cast<int64_t>(options.n_bytes / files.slot_bytes());
    spec.policy = options.policy;
    if (spec.n_slots == 0) {
        return make_error(ErrorCode::kOutOfMemory,
                          "{}: {} for routed experts, one of them needs {}",
                          checkpoint.path().string(), human_bytes(options.n_bytes),
                          human_bytes(files.slot_bytes()));
    }
    spec.n_guess_slots = guess_slots(options, spec.n_slots, spec.n_layers * spec.n_experts);
    ExpertCache cache = NEREUS_TRY(ExpertCache::create(spec));
    const bool guesses = spec.n_guess_slots > 0;
    NextExperts next_experts(guesses ? spec.n_layers : 0, guesses ? spec.n_experts : 0);
    Arena arena =
        NEREUS_TRY(Arena::create(static_cast<uint64_t>(cache.n_slots()) * files.slot_bytes()));
    auto reader = NEREUS_TRY(AsyncReader::create(options.reads));
    return std::unique_ptr<ExpertBank>(
        std::make_unique<SsdBank>(std::move(files), std::move(cache), std::move(next_experts),
                                  guesses, std::move(arena), std::move(reader)));
}

}  // namespace nereus
