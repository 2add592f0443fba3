#include "base/arena.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "base/thread_pool.h"

namespace nereus {
namespace {

/// Resident bytes of this process.
uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    uint64_t total = 0, resident = 0;
    file >> total >> resident;
    return resident * 4096;
}

TEST(Arena, pieces_are_aligned_disjoint_and_counted) {
    Arena arena = std::move(Arena::create(5 * kMiB)).value();
    EXPECT_EQ(arena.n_bytes(), 6 * kMiB);
    const auto first = arena.allocate(100, 64);
    const auto second = arena.allocate(4097, 4096);
    const auto third = arena.allocate(1, kHugePageBytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data()) % kHugePageBytes, 0U);
    EXPECT_EQ(second.data() - first.data(), 4096);
    EXPECT_EQ(third.data() - first.data(), static_cast<ptrdiff_t>(kHugePageBytes));
    EXPECT_EQ(arena.n_bytes_used(), kHugePageBytes + 1);
}

TEST(Arena, room_costs_nothing_before_it_is_touched_and_all_of_it_after) {
    ThreadPool pool(2);
    const uint64_t before = resident_bytes();
    Arena arena = std::move(Arena::create(64 * kMiB)).value();
    const auto bytes = arena.allocate(64 * kMiB, 64);
    EXPECT_LT(resident_bytes(), before + 8 * kMiB);
    bytes[12345] = std::byte{7};
    arena.populate(pool);
    EXPECT_GE(resident_bytes(), before + 60 * kMiB);
    EXPECT_EQ(bytes[12345], std::byte{7});
}

TEST(Arena, more_than_an_address_space_is_refused_with_the_number) {
    for (const uint64_t n_bytes : {uint64_t{1} << 60, UINT64_MAX}) {
        const auto arena = Arena::create(n_bytes);
        ASSERT_FALSE(arena.ok());
        EXPECT_EQ(arena.error().code, ErrorCode::kOutOfMemory);
    }
    EXPECT_EQ(std::move(Arena::create(0)).value().n_bytes(), 0U);
}

TEST(Arena, moving_keeps_the_bytes_where_they_are) {
    Arena arena = std::move(Arena::create(kMiB)).value();
    std::byte* place = arena.allocate(8, 8).data();
    *place = std::byte{42};
    const Arena moved = std::move(arena);
    EXPECT_EQ(*place, std::byte{42});
    EXPECT_EQ(moved.n_bytes_used(), 8U);
}

}  // namespace
}  // namespace nereus
