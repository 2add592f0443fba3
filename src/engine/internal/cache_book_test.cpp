#include "engine/internal/cache_book.h"

#include <gtest/gtest.h>

#include <numeric>

namespace nereus {
namespace {

constexpr int64_t kPage = 4;

CacheBook book_of(int64_t max_tokens) {
    return CacheBook(
        KvCache::create({.row_floats = {1}, .page_tokens = kPage, .max_tokens = max_tokens})
            .value());
}

std::vector<int32_t> tokens_of(size_t n, int32_t first = 0) {
    std::vector<int32_t> tokens(n);
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
}

/// A sequence that ran to n_rows rows and ended well.
void run_and_keep(CacheBook& book, const std::vector<int32_t>& tokens) {
    const auto place = book.place(tokens, static_cast<int64_t>(tokens.size()));
    ASSERT_TRUE(place.has_value());
    const int64_t n_new = static_cast<int64_t>(tokens.size()) - place->n_cached;
    ASSERT_TRUE(book.cache().append(place->slot, n_new).ok());
    book.keep(place->slot, tokens);
}

TEST(CacheBook, a_prompt_without_relatives_starts_empty) {
    CacheBook book = book_of(64);
    run_and_keep(book, tokens_of(10));
    const auto place = book.place(tokens_of(10, 500), 20);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->n_cached, 0);
    EXPECT_EQ(book.cache().length(place->slot), 0);
}

TEST(CacheBook, the_longest_prefix_wins_and_the_last_token_is_always_computed) {
    CacheBook book = book_of(256);
    run_and_keep(book, tokens_of(6));
    auto branch = tokens_of(12);
    branch[9] = 77;
    run_and_keep(book, branch);
    EXPECT_EQ(book.place(tokens_of(20), 20)->n_cached, 9);
    EXPECT_EQ(book.place(branch, 20)->n_cached, 11);
}

TEST(CacheBook, a_branch_is_a_copy_and_leaves_its_source) {
    CacheBook book = book_of(256);
    run_and_keep(book, tokens_of(12));
    auto branch = tokens_of(12);
    branch[5] = 99;
    const auto place = book.place(branch, 30);
    EXPECT_EQ(place->n_cached, 5);
    EXPECT_EQ(book.n_kept(), 1);
    EXPECT_EQ(book.place(tokens_of(14), 20)->n_cached, 12);
}

TEST(CacheBook, without_room_for_both_the_source_itself_goes_on) {
    CacheBook book = book_of(16);
    run_and_keep(book, tokens_of(12));
    auto branch = tokens_of(12);
    branch[5] = 99;
    const auto place = book.place(branch, 16);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->n_cached, 5);
    EXPECT_EQ(book.n_kept(), 0);
    EXPECT_TRUE(book.cache().append(place->slot, 11).ok());
}

TEST(CacheBook, evicts_the_least_recently_used_first) {
    CacheBook book = book_of(48);
    for (const int32_t first : {100, 200, 300}) {
        run_and_keep(book, tokens_of(16, first));
    }
    run_and_keep(book, tokens_of(16, 100));  // 100 is the newest again
    ASSERT_TRUE(book.place(tokens_of(8, 900), 16).has_value());
    EXPECT_EQ(book.n_evicted(), 1);
    EXPECT_EQ(book.place(tokens_of(16, 100), 16)->n_cached, 15);
}

TEST(CacheBook, running_sequences_are_never_evicted) {
    CacheBook book = book_of(32);
    const auto first = book.place(tokens_of(4), 20);
    ASSERT_TRUE(first.has_value());
    EXPECT_FALSE(book.place(tokens_of(4, 50), 20).has_value());
    book.drop(first->slot);
    EXPECT_TRUE(book.place(tokens_of(4, 50), 20).has_value());
}

TEST(CacheBook, reservations_count_whole_pages) {
    CacheBook book = book_of(16);
    EXPECT_TRUE(book.can_hold(16));
    EXPECT_FALSE(book.can_hold(17));
    for (int32_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(book.place(tokens_of(1, i * 10), 1).has_value());
    }
    EXPECT_FALSE(book.place(tokens_of(1, 90), 1).has_value());
}

TEST(CacheBook, what_a_kept_sequence_begins_with_is_not_kept_twice) {
    CacheBook book = book_of(256);
    run_and_keep(book, tokens_of(8));
    run_and_keep(book, tokens_of(20));
    EXPECT_EQ(book.n_kept(), 1);
    EXPECT_EQ(book.n_evicted(), 0);
}

TEST(CacheBook, the_number_of_kept_sequences_is_bounded) {
    CacheBook book = book_of(4096);
    for (int32_t i = 0; i < 100; ++i) {
        run_and_keep(book, tokens_of(4, i * 10));
    }
    EXPECT_EQ(book.n_kept(), 64);
    EXPECT_EQ(book.n_evicted(), 36);
}

}  // namespace
}  // namespace nereus
