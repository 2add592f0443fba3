#pragma once
// Arena: one big piece of memory for weights. Virtual until it is touched, on huge pages where the
// system has them (a page table walk for every 4 KiB costs bandwidth), handed out once and given
// back as a whole.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/units.h"

namespace nereus {

class ThreadPool;

inline constexpr uint64_t kHugePageBytes = 2 * kMiB;

/// Movable; unmapped on destruction. threads: allocate one at a time; the bytes are the caller's.
class Arena {
  public:
    /// Room for n_bytes, 2 MiB aligned and rounded up to it; nothing of it is in memory yet.
    /// errors: out_of_memory (names the bytes)
    static Result<Arena> create(uint64_t n_bytes);

    Arena() = default;
    Arena(Arena&& other) noexcept;
    Arena& operator=(Arena&& other) noexcept;
    ~Arena();

    /// The next n_bytes from an address that is a multiple of `alignment` (a power of two, at most
    /// 2 MiB). The arena must have room.
    std::span<std::byte> allocate(uint64_t n_bytes, uint64_t alignment);

    /// Brings what is allocated into memory, a huge page a piece, on every thread of the pool.
    void populate(ThreadPool& pool);

    uint64_t n_bytes() const { return size_; }
    uint64_t n_bytes_used() const { return used_; }

  private:
    std::byte* data_ = nullptr;
    uint64_t size_ = 0;
    uint64_t used_ = 0;
};

}  // namespace nereus
