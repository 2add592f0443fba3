#include "base/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/thread_pool.h"

namespace nereus {
namespace {

Error no_room(uint64_t n_bytes) {
    return make_error(ErrorCode::kOutOfMemory, "cannot get {} of memory: {}", human_bytes(n_bytes),
                      std::strerror(errno));
}

/// A mapping of n_bytes that begins on a huge page: what lies around it is given back.
std::byte* map_aligned(uint64_t n_bytes) {
    const uint64_t room = n_bytes + kHugePageBytes;
    void* mapped = ::mmap(nullptr, room, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        return nullptr;
    }
    auto* begin = static_cast<std::byte*>(mapped);
    const auto address = reinterpret_cast<uintptr_t>(begin);
    const uint64_t before = round_up<uintptr_t>(address, kHugePageBytes) - address;
    if (before > 0) {
        ::munmap(begin, before);
    }
    ::munmap(begin + before + n_bytes, room - before - n_bytes);
    return begin + before;
}

}  // namespace

Result<Arena> Arena::create(uint64_t n_bytes) {
    Arena arena;
    if (n_bytes == 0) {
        return arena;
    }
    const auto rounded = checked_add(n_bytes, kHugePageBytes - 1);
    if (!rounded || *rounded > (1ULL << 47)) {
        errno = ENOMEM;
        return no_room(n_bytes);
    }
    const uint64_t size = *rounded / kHugePageBytes * kHugePageBytes;
    arena.data_ = map_aligned(size);
    if (arena.data_ == nullptr) {
        return no_room(n_bytes);
    }
    arena.size_ = size;
    ::madvise(arena.data_, size, MADV_HUGEPAGE);  // a wish; without it the pages are small
    return arena;
}

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(used_, other.used_);
    return *this;
}

Arena::~Arena() {
    if (data_ != nullptr) {
        ::munmap(data_, size_);
    }
}

std::span<std::byte> Arena::allocate(uint64_t n_bytes, uint64_t alignment) {
    NEREUS_CHECK(alignment > 0 && kHugePageBytes % alignment == 0);
    const uint64_t begin = round_up(used_, alignment);
    NEREUS_CHECK(begin <= size_);
    NEREUS_CHECK(n_bytes <= size_ - begin);
    used_ = begin + n_bytes;
    return {data_ + begin, n_bytes};
}

void Arena::populate(ThreadPool& pool) {
    const auto n_pages = static_cast<int64_t>(ceil_div(used_, kHugePageBytes));
    pool.parallel_for(n_pages, 1, [&](int64_t first, int64_t last) {
        for (int64_t page = first; page < last; ++page) {
            const uint64_t begin = static_cast<uint64_t>(page) * kHugePageBytes;
            const uint64_t end = std::min(used_, begin + kHugePageBytes);
            for (uint64_t at = begin; at < end; at += 4 * kKiB) {  // the first makes a huge page
                auto* place = reinterpret_cast<volatile std::byte*>(data_ + at);
                *place = *place;
            }
        }
    });
}

}  // namespace nereus
