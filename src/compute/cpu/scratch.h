#pragma once
// Scratch memory of the workers: one 64-byte aligned buffer a thread, grown between parallel
// sections and never inside one.

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>

#include "base/check.h"

namespace nereus {

/// As many buffers as the pool has threads. threads: reserve from the caller only, lease from any.
class Scratch {
    static constexpr size_t kAlignment = 64;

    struct Free {
        void operator()(float* data) const {
            ::operator delete[](data, std::align_val_t{kAlignment});
        }
    };
    struct Slot {
        std::unique_ptr<float[], Free> data;
        std::atomic_flag taken;
    };

  public:
    explicit Scratch(int n_threads)
        : n_slots_(n_threads), slots_(std::make_unique<Slot[]>(static_cast<size_t>(n_threads))) {}

    /// Makes every buffer at least n_floats long. Contents are lost.
    void reserve(int64_t n_floats) {
        if (n_floats <= capacity_) {
            return;
        }
        for (int i = 0; i < n_slots_; ++i) {
            slots_[i].data.reset(static_cast<float*>(::operator new[](
                static_cast<size_t>(n_floats) * sizeof(float), std::align_val_t{kAlignment})));
        }
        capacity_ = n_floats;
    }

    /// A buffer of its own for as long as the lease lives.
    class Lease {
      public:
        explicit Lease(Scratch& scratch) : slot_(scratch.take()) {}
        ~Lease() { slot_.taken.clear(std::memory_order_release); }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        float* data() const { return slot_.data.get(); }

      private:
        Slot& slot_;
    };

  private:
    /// At most n_slots leases live at once (one a thread), so a free slot is always found.
    Slot& take() {
        for (int i = 0; i < n_slots_; ++i) {
            if (!slots_[i].taken.test_and_set(std::memory_order_acquire)) {
                return slots_[i];
            }
        }
        NEREUS_CHECK(false);
    }

    int n_slots_;
    int64_t capacity_ = 0;
    std::unique_ptr<Slot[]> slots_;
};

}  // namespace nereus
