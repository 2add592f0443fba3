#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/topology.h"

namespace nereus {
namespace {

TEST(ThreadPool, pieces_are_disjoint_complete_and_at_most_a_grain_long) {
    ThreadPool pool(3);
    for (const int64_t count : {0, 1, 2, 3, 7, 64, 65, 1000}) {
        for (const int64_t grain : {1, 2, 3, 64, 999, 1000, 1001}) {
            std::mutex mutex;
            std::set<std::pair<int64_t, int64_t>> pieces;
            pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
                const std::lock_guard lock(mutex);
                EXPECT_TRUE(pieces.emplace(begin, end).second);
            });
            int64_t next = 0;
            for (const auto& [begin, end] : pieces) {
                EXPECT_EQ(begin, next);
                EXPECT_GT(end, begin);
                EXPECT_LE(end - begin, grain);
                next = end;
            }
            EXPECT_EQ(next, count) << "grain " << grain;
        }
    }
}

TEST(ThreadPool, negative_counts_run_nothing_and_a_grain_of_zero_is_a_bug) {
    EXPECT_DEATH(ThreadPool(1).parallel_for(3, 0, [](int64_t, int64_t) {}), "grain >= 1");
    ThreadPool pool(2);
    pool.parallel_for(-5, 1, [](int64_t, int64_t) { FAIL(); });
}

TEST(ThreadPool, the_caller_counts_as_a_thread_and_zero_takes_the_cores) {
    EXPECT_EQ(ThreadPool(1).n_threads(), 1);
    EXPECT_EQ(ThreadPool(4).n_threads(), 4);
    EXPECT_GE(ThreadPool(0).n_threads(), 1);
    std::set<std::thread::id> seen;
    ThreadPool(1).parallel_for(10, 1,
                               [&](int64_t, int64_t) { seen.insert(std::this_thread::get_id()); });
    EXPECT_EQ(seen, std::set<std::thread::id>{std::this_thread::get_id()});
}

TEST(ThreadPool, results_are_visible_to_the_caller_when_the_call_returns) {
    ThreadPool pool(4);
    std::vector<uint64_t> numbers(500);  // plain, so that a missing fence is a data race
    for (uint64_t round = 0; round < 500; ++round) {
        pool.parallel_for(500, 3, [&](int64_t begin, int64_t end) {
            for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
                numbers[i] = round * 1000 + i;
            }
        });
        for (size_t i = 0; i < numbers.size(); ++i) {
            ASSERT_EQ(numbers[i], round * 1000 + i);
        }
    }
}

TEST(ThreadPool, workers_that_went_to_sleep_are_woken_by_the_next_call) {
    ThreadPool pool(3);
    for (int round = 0; round < 30; ++round) {
        // Around the time workers stop polling: awake, falling asleep, asleep.
        std::this_thread::sleep_for(std::chrono::microseconds(round * 40));
        std::atomic<int> at_once{0};
        // Every piece waits for the two others, so all three threads must take part.
        pool.parallel_for(3, 1, [&](int64_t, int64_t) {
            at_once.fetch_add(1);
            while (at_once.load() < 3) {
                std::this_thread::yield();
            }
        });
        ASSERT_EQ(at_once.load(), 3);
    }
}

TEST(ThreadPool, is_destroyed_at_once_unused_just_used_or_asleep) {
    for (int round = 0; round < 100; ++round) {
        ThreadPool pool(1 + round % 5);
        std::atomic<int64_t> sum{0};
        if (round % 3 != 0) {
            pool.parallel_for(50, 1, [&](int64_t begin, int64_t) { sum += begin; });
            ASSERT_EQ(sum.load(), 50 * 49 / 2);
        }
        if (round % 10 == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

TEST(ThreadPool, more_threads_than_pieces_and_pieces_of_all_sizes_over_many_rounds) {
    ThreadPool pool(8);
    std::vector<int64_t> seen;  // plain: every index has one writer a round
    for (int64_t round = 0; round < 3000; ++round) {
        const int64_t count = round % 13;
        const int64_t grain = 1 + round % 5;
        seen.assign(static_cast<size_t>(count), -1);
        pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                seen[static_cast<size_t>(i)] = round + i;
            }
        });
        for (int64_t i = 0; i < count; ++i) {
            ASSERT_EQ(seen[static_cast<size_t>(i)], round + i);
        }
    }
}

TEST(ThreadPool, callers_may_take_turns_from_different_threads) {
    ThreadPool pool(3);
    std::mutex turn;
    int64_t sum = 0;  // guarded by turn and by the end of parallel_for
    std::vector<std::thread> callers;
    for (int c = 0; c < 4; ++c) {
        callers.emplace_back([&] {
            for (int round = 0; round < 100; ++round) {
                const std::lock_guard lock(turn);
                std::vector<int64_t> parts(16);
                pool.parallel_for(16, 1, [&](int64_t begin, int64_t) {
                    parts[static_cast<size_t>(begin)] = begin;
                });
                for (const int64_t part : parts) {
                    sum += part;
                }
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(sum, 4 * 100 * 120);
}

TEST(ThreadPool, a_slow_piece_does_not_keep_the_others_from_being_taken) {
    ThreadPool pool(2);
    std::atomic<int> n_done{0};
    pool.parallel_for(50, 1, [&](int64_t begin, int64_t) {
        if (begin == 0) {  // waits until the other thread did all the rest
            while (n_done.load() < 49) {
                std::this_thread::yield();
            }
        }
        n_done.fetch_add(1);
    });
    EXPECT_EQ(n_done.load(), 50);
}

TEST(ThreadPool, two_pools_do_not_disturb_each_other) {
    ThreadPool outer(2);
    std::atomic<int64_t> sum{0};
    outer.parallel_for(8, 1, [&](int64_t, int64_t) {
        ThreadPool inner(2);
        inner.parallel_for(100, 7, [&](int64_t begin, int64_t end) { sum += end - begin; });
    });
    EXPECT_EQ(sum.load(), 800);
}

std::vector<ThreadPlace> places_on_nodes(std::initializer_list<int> nodes) {
    std::vector<ThreadPlace> places;
    for (const int node : nodes) {
        places.push_back({{}, node});
    }
    return places;
}

TEST(ThreadPool, shares_are_run_once_each_whatever_their_sizes) {
    for (const int n_threads : {1, 2, 3, 5}) {
        ThreadPool pool(n_threads);
        for (int64_t round = 0; round < 300; ++round) {
            std::vector<int64_t> starts = {round % 3};
            for (int t = 0; t < n_threads; ++t) {
                starts.push_back(starts.back() + (round * (t + 1)) % 7);
            }
            std::vector<std::atomic<int>> n_runs(static_cast<size_t>(starts.back()) + 1);
            pool.parallel_shares(starts, [&](int64_t begin, int64_t end) {
                EXPECT_EQ(end, begin + 1);
                n_runs[static_cast<size_t>(begin)].fetch_add(1);
            });
            for (int64_t i = 0; i < starts.back(); ++i) {
                ASSERT_EQ(n_runs[static_cast<size_t>(i)].load(), i >= starts.front() ? 1 : 0);
            }
        }
    }
}

TEST(ThreadPool, a_thread_gets_its_own_share_while_all_are_busy) {
    ThreadPool pool(2);
    for (int round = 0; round < 20; ++round) {
        std::vector<std::thread::id> ran(8);
        std::atomic<int> at_once{0};
        pool.parallel_shares(std::vector<int64_t>{0, 4, 8}, [&](int64_t i, int64_t) {
            ran[static_cast<size_t>(i)] = std::this_thread::get_id();
            // The n-th piece of one thread waits for the n-th of the other.
            const int mine = static_cast<int>(i % 4 + 1) * 2;
            at_once.fetch_add(1);
            while (at_once.load() < mine) {
                std::this_thread::yield();
            }
        });
        for (size_t i = 0; i < 8; ++i) {
            EXPECT_EQ(ran[i], ran[i / 4 * 4]);
        }
        EXPECT_EQ(ran[0], std::this_thread::get_id());
        EXPECT_NE(ran[4], ran[0]);
    }
}

TEST(ThreadPool, what_a_slow_thread_leaves_is_done_by_others) {
    ThreadPool pool(2);
    std::atomic<int> n_done{0};
    // Whoever takes number 0 waits until all others are done: they are taken from its share.
    pool.parallel_shares(std::vector<int64_t>{0, 20, 20}, [&](int64_t i, int64_t) {
        while (i == 0 && n_done.load() < 19) {
            std::this_thread::yield();
        }
        n_done.fetch_add(1);
    });
    EXPECT_EQ(n_done.load(), 20);
}

TEST(ThreadPool, help_goes_to_the_own_node_first) {
    // Threads 0 and 2 are neighbours. Everybody waits until both numbers of thread 0 are taken;
    // thread 2 has none of its own, and would wait for ever with one of thread 1 or 3.
    const std::vector<ThreadPlace> places = places_on_nodes({0, 1, 0, 1});
    ThreadPool pool(places);
    std::atomic<int> n_first{0};
    std::vector<std::thread::id> ran(6);
    pool.parallel_shares(std::vector<int64_t>{0, 2, 4, 4, 6}, [&](int64_t i, int64_t) {
        ran[static_cast<size_t>(i)] = std::this_thread::get_id();
        if (i < 2) {
            n_first.fetch_add(1);
        }
        while (n_first.load() < 2) {
            std::this_thread::yield();
        }
    });
    EXPECT_NE(ran[1], ran[0]);
}

TEST(ThreadPool, shares_of_another_number_of_threads_or_out_of_order_are_bugs) {
    const auto nothing = [](int64_t, int64_t) {};
    EXPECT_DEATH(ThreadPool(2).parallel_shares(std::vector<int64_t>{0, 1}, nothing), "starts.size");
    EXPECT_DEATH(ThreadPool(2).parallel_shares(std::vector<int64_t>{0, 5, 4}, nothing),
                 "is_sorted");
    EXPECT_DEATH(ThreadPool(std::vector<ThreadPlace>{}), "places");
}

TEST(ThreadPool, many_sleepers_are_all_woken) {
    constexpr int kThreads = 24;  // more than the caller wakes itself
    ThreadPool pool(kThreads);
    for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::atomic<int> at_once{0};
        pool.parallel_for(kThreads, 1, [&](int64_t, int64_t) {
            at_once.fetch_add(1);
            while (at_once.load() < kThreads) {
                std::this_thread::yield();
            }
        });
        ASSERT_EQ(at_once.load(), kThreads);
    }
}

TEST(ThreadPool, a_cpu_that_is_not_there_pins_nobody) {
    const std::vector<ThreadPlace> places = {{{}, 0}, {{4000}, 0}};
    ThreadPool pool(places);
    std::atomic<int64_t> sum{0};
    pool.parallel_for(100, 1, [&](int64_t begin, int64_t) { sum += begin; });
    EXPECT_EQ(sum.load(), 4950);
}

}  // namespace
}  // namespace nereus
