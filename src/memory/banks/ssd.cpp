// The bank whose experts are on disk: a fixed number of slots in an arena, a cache that says which
// expert lies in which, and a reader that fills them.
//
// A slot is pinned while a read writes to it and while the request it was read for has not done
// with it, so an expert in use never leaves. A request for more experts than there are slots runs
// in waves by itself: what the block has computed may leave when it asks for more.
//
// A request for nearly all experts of a layer is a sweep (a chunk of a prompt, many sequences), and
// the next layer will want nearly all of its own: once nothing of this layer is left to ask for,
// the drive goes on with the next one's.

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/arena.h"
#include "base/check.h"
#include "base/thread_pool.h"
#include "memory/banks/expert_files.h"
#include "memory/expert_bank.h"

namespace nereus {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSweepPercent = 90;  // of a layer's experts
/// A sweep reads so many experts ahead: enough to fill the queue while a layer's attention runs.
constexpr int64_t kAheadMax = 16;
constexpr int32_t kNone = -1;

struct Slot {
    ExpertKey key;
    int32_t n_reads = 0;         ///< under way
    int32_t index = kNone;       ///< into the ids of the current request
    std::optional<Error> error;  ///< of one of its reads
    int64_t model_layer = 0;
};

class SsdBank final : public ExpertBank {
  public:
    SsdBank(ExpertFiles files, ExpertCache cache, Arena arena, std::unique_ptr<AsyncReader> reader)
        : files_(std::move(files)),
          cache_(std::move(cache)),
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
        mixture_of_.assign(static_cast<size_t>(files_.n_layers()), kNone);
        for (size_t i = 0; i < mixture_layers_.size(); ++i) {
            mixture_of_[static_cast<size_t>(mixture_layers_[i])] = static_cast<int32_t>(i);
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
        is_over_ = false;
        n_handed_ = 0;
        next_missing_ = 0;
        next_ahead_ = 0;
        missing_.clear();
        ready_.clear();
        look_up();
        begin_reads();
    }

    Result<std::span<const ReadyExpert>> next() override {
        let_go_of_handed();
        if (is_over_) {
            return std::span<const ReadyExpert>();
        }
        begin_reads();
        read_ahead();
        Status taken = take_arrivals();
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

    ExpertBankStats stats() const override {
        return {n_hits_, n_misses_, reader_->n_bytes_read(), wait_seconds_};
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
            if (cache_.find(key) == ExpertCache::kNoSlot || slot_of(key).error) {
                missing_.push_back(i);
                ++n_misses_;
                continue;
            }
            cache_.touch(key);
            take_slot(i);
            ++n_hits_;
        }
    }

    /// Reads of missing experts, as far as there are slots.
    void begin_reads() {
        for (; next_missing_ < missing_.size(); ++next_missing_) {
            const size_t i = missing_[next_missing_];
            const ExpertKey key = key_of(layer_, ids_[i]);
            const bool is_there = cache_.find(key) != ExpertCache::kNoSlot;
            if (is_there && slot_of(key).error) {
                return;  // what is left of a failed read has to end first
            }
            if (is_there) {
                cache_.touch(key);
            } else if (!begin_read(layer_, ids_[i])) {
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
        }
    }

    bool begin_read(int64_t layer, int32_t id) {
        const ExpertKey key = key_of(layer, id);
        const ExpertCache::Admission admission = cache_.admit(key);
        if (admission.slot == ExpertCache::kNoSlot) {
            return false;
        }
        cache_.pin(key);
        Slot& slot = slots_[static_cast<size_t>(admission.slot)];
        slot = {};
        slot.key = key;
        slot.model_layer = layer;
        const std::span<const ExpertRead> reads = files_.reads(layer, id);
        slot.n_reads = static_cast<int32_t>(reads.size());
        for (const ExpertRead& read : reads) {
            reader_->start({&files_.file(read.file), read.offset, read.n_bytes,
                            memory_of(admission.slot) + read.slot_offset,
                            static_cast<uint64_t>(admission.slot)});
        }
        return true;
    }

    /// Experts of the next layer of a sweep, while the drive would have nothing to do.
    void read_ahead() {
        const int32_t mixture = mixture_of_[static_cast<size_t>(layer_)] + 1;
        const int64_t n_here = files_.n_experts(layer_);
        if (next_missing_ < missing_.size() ||
            static_cast<size_t>(mixture) >= mixture_layers_.size() ||
            static_cast<int64_t>(ids_.size()) * 100 < n_here * kSweepPercent) {
            return;
        }
        const int64_t layer = mixture_layers_[static_cast<size_t>(mixture)];
        const auto n_ahead = std::min({kAheadMax, cache_.n_slots() / 4, files_.n_experts(layer)});
        for (; next_ahead_ < n_ahead; ++next_ahead_) {
            const auto id = static_cast<int32_t>(next_ahead_);
            if (cache_.find(key_of(layer, id)) == ExpertCache::kNoSlot && !begin_read(layer, id)) {
                return;
            }
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
        if (!result.is_late && --slot.n_reads == 0) {
            cache_.unpin(slot.key);
            if (slot.error) {
                forget(slot);
            } else if (is_wanted) {
                arrived_.push_back(at);
            }
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
        for (const int32_t at : arrived_) {
            const Slot& slot = slots_[static_cast<size_t>(at)];
            ready_.push_back({static_cast<size_t>(slot.index),
                              files_.in_slot(layer_, slot.key.expert, memory_of(at))});
        }
        n_handed_ += arrived_.size();
        handed_.swap(arrived_);
        arrived_.clear();
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
        while (const std::optional<ReadResult> result = reader_->wait()) {
            (void)take(*result);
        }
        arrived_.clear();
    }

    ExpertFiles files_;
    ExpertCache cache_;
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
    std::vector<ReadyExpert> ready_;
    bool is_over_ = true;

    int64_t n_hits_ = 0, n_misses_ = 0;
    double wait_seconds_ = 0;
};

}  // namespace

StreamNeeds stream_needs(const Checkpoint& checkpoint, const ExpertTable& experts) {
    const ExpertFiles files(checkpoint, experts);
    StreamNeeds needs;
    needs.slot_bytes = files.slot_bytes();
    for (int64_t layer = 0; layer < files.n_layers(); ++layer) {
        needs.n_experts += files.n_experts(layer);
    }
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
    ExpertCache cache = NEREUS_TRY(ExpertCache::create(spec));
    Arena arena =
        NEREUS_TRY(Arena::create(static_cast<uint64_t>(cache.n_slots()) * files.slot_bytes()));
    auto reader = NEREUS_TRY(AsyncReader::create(options.reads));
    return std::unique_ptr<ExpertBank>(std::make_unique<SsdBank>(
        std::move(files), std::move(cache), std::move(arena), std::move(reader)));
}

}  // namespace nereus
