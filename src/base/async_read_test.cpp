#include "base/async_read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <vector>

#include "base/arena.h"
#include "base/rng.h"

namespace nereus {
namespace {

using Engine = AsyncReadOptions::Engine;

/// A file of pseudo-random bytes beside this test's name, gone with it. Lies in the build folder,
/// not in /tmp, which may be a file system without direct reads.
class BigFile {
  public:
    explicit BigFile(size_t n_bytes) : content(n_bytes, '\0') {
        static std::atomic<int> counter = 0;
        path = std::filesystem::current_path() /
               fmt::format("async_read_test.{}.{}", ::getpid(), counter++);
        for (size_t i = 0; i < n_bytes; ++i) {
            content[i] = static_cast<char>(random_bits(7, 0, i));
        }
        write();
    }
    BigFile(const BigFile&) = delete;
    BigFile& operator=(const BigFile&) = delete;
    ~BigFile() { std::filesystem::remove(path); }

    void write() const {
        std::ofstream(path, std::ios::binary)
            .write(content.data(), static_cast<std::streamsize>(content.size()));
    }

    std::filesystem::path path;
    std::string content;
};

struct Wanted {
    uint64_t offset = 0, n_bytes = 0;
};

/// Reads into an arena, each request in its own place.
class Session {
  public:
    Session(const BigFile& big, AsyncReadOptions options, PageCache cache = PageCache::kAvoid)
        : file_(std::move(InputFile::open(big.path, cache)).value()),
          arena_(std::move(Arena::create(64 * kMiB)).value()),
          reader_(std::move(AsyncReader::create(options)).value()) {}

    void start(Wanted wanted, bool is_idle = false) {
        const AlignedRange range = aligned_around(wanted.offset, wanted.n_bytes);
        std::byte* into = arena_.allocate(range.n_bytes(), kDirectAlignment).data();
        places_.push_back(into + wanted.offset % kDirectAlignment);
        wanted_.push_back(wanted);
        const ReadRequest request = {&file_, wanted.offset, wanted.n_bytes, into,
                                     static_cast<uint64_t>(wanted_.size()) - 1};
        if (is_idle) {
            reader_->start_idle(request);
        } else {
            reader_->start(request);
        }
    }

    std::string_view bytes(size_t i) const {
        return {reinterpret_cast<const char*>(places_[i]), wanted_[i].n_bytes};
    }
    const Wanted& wanted(size_t i) const { return wanted_[i]; }
    AsyncReader& reader() { return *reader_; }

  private:
    InputFile file_;
    Arena arena_;
    std::vector<std::byte*> places_;
    std::vector<Wanted> wanted_;
    std::unique_ptr<AsyncReader> reader_;
};

class AsyncRead : public testing::TestWithParam<Engine> {
  protected:
    void SetUp() override {
        if (!AsyncReader::create({.engine = GetParam()}).ok()) {
            GTEST_SKIP() << "this system forbids io_uring";
        }
    }
};

const std::vector<Wanted> kWanted = {{0, 1},           {0, 4096},     {4095, 2},      {4096, 4096},
                                     {1, 1'000'000},   {123'456, 77}, {8191, 12'290}, {999'999, 1},
                                     {1'000'000, 345}, {1'000'344, 1}};

TEST_P(AsyncRead, any_range_arrives_byte_for_byte_at_any_depth_and_split) {
    const BigFile big(1'000'345);  // ends inside a page
    for (const PageCache cache : {PageCache::kUse, PageCache::kAvoid}) {
        for (const int depth : {1, 3, 32}) {
            for (const uint32_t piece : {4096U, 65536U, 1U << 20}) {
                Session session(big, {.engine = GetParam(), .depth = depth, .piece_bytes = piece},
                                cache);
                for (const Wanted& wanted : kWanted) {
                    session.start(wanted);
                }
                std::set<uint64_t> seen;
                while (const auto result = session.reader().wait()) {
                    ASSERT_TRUE(result->status.ok()) << result->status.error().message;
                    seen.insert(result->tag);
                }
                EXPECT_EQ(seen.size(), kWanted.size());
                EXPECT_EQ(session.reader().n_pending(), 0U);
                for (size_t i = 0; i < kWanted.size(); ++i) {
                    EXPECT_EQ(session.bytes(i),
                              big.content.substr(kWanted[i].offset, kWanted[i].n_bytes));
                }
            }
        }
    }
}

TEST_P(AsyncRead, a_short_answer_is_asked_for_again) {
    const BigFile big(600'000);
    const auto halve = [](uint64_t piece, int64_t result) {
        return piece % 2 == 0 ? result / 2 : result;
    };
    Session session(big, {.engine = GetParam(), .piece_bytes = 1U << 17, .fault = halve});
    session.start({5, 599'990});
    const auto result = session.reader().wait();
    ASSERT_TRUE(result && result->status.ok());
    EXPECT_EQ(session.bytes(0), big.content.substr(5, 599'990));
}

TEST_P(AsyncRead, a_failure_at_any_piece_fails_that_read_alone_and_names_it) {
    const BigFile big(500'000);
    for (uint64_t failing = 0; failing < 8; ++failing) {
        const auto fail = [&](uint64_t piece, int64_t result) {
            return piece == failing ? -EIO : result;
        };
        Session session(big,
                        {.engine = GetParam(), .depth = 4, .piece_bytes = 1U << 16, .fault = fail});
        session.start({0, 250'000});
        session.start({250'000, 250'000});
        int n_failed = 0;
        while (const auto result = session.reader().wait()) {
            if (!result->status.ok()) {
                ++n_failed;
                EXPECT_EQ(result->status.error().code, ErrorCode::kIo);
                EXPECT_THAT(result->status.error().message, testing::HasSubstr(big.path.string()));
                EXPECT_THAT(result->status.error().message, testing::HasSubstr("at offset"));
            }
        }
        EXPECT_EQ(n_failed, 1);
        session.start({100, 200});
        const auto later = session.reader().wait();
        EXPECT_TRUE(later && later->status.ok());
        EXPECT_EQ(session.bytes(2), big.content.substr(100, 200));
    }
}

TEST_P(AsyncRead, a_file_cut_short_says_what_was_expected_and_found) {
    const BigFile big(500'000);
    Session session(big, {.engine = GetParam()});
    std::filesystem::resize_file(big.path, 100'000);
    session.start({90'000, 20'000});
    const auto result = session.reader().wait();
    ASSERT_TRUE(result && !result->status.ok());
    EXPECT_THAT(result->status.error().message, testing::HasSubstr("500000 bytes"));
    EXPECT_THAT(result->status.error().message, testing::HasSubstr("did it change"));
}

TEST_P(AsyncRead, a_silent_drive_is_an_error_and_its_memory_is_kept_until_it_speaks) {
    const BigFile big(300'000);
    bool silent = true;
    const auto fault = [&](uint64_t, int64_t result) { return silent ? kNeverAnswered : result; };
    Session session(big, {.engine = GetParam(), .depth = 1, .stall_ms = 50, .fault = fault});
    session.start({0, 1000});
    session.start({4096, 1000});  // waits in line
    std::map<uint64_t, bool> late;
    while (const auto result = session.reader().wait()) {
        ASSERT_FALSE(result->status.ok());
        EXPECT_THAT(result->status.error().message, testing::HasSubstr("has not answered"));
        late[result->tag] = result->is_late;
    }
    EXPECT_EQ(late, (std::map<uint64_t, bool>{{0, true}, {1, false}}));
    EXPECT_EQ(session.reader().n_pending(), 1U);  // the first one's memory
}

TEST_P(AsyncRead, an_idle_read_stays_behind_while_another_is_under_way) {
    const BigFile big(300'000);
    bool silent = true;
    const auto fault = [&](uint64_t, int64_t result) { return silent ? kNeverAnswered : result; };
    Session session(big, {.engine = GetParam(), .depth = 8, .stall_ms = 50, .fault = fault});
    session.start({0, 1000});
    session.start({4096, 100'000}, true);
    for (int i = 0; i < 5; ++i) {
        EXPECT_FALSE(session.reader().poll());
        EXPECT_EQ(session.reader().n_idle_in_flight(), 0);
    }
    EXPECT_TRUE(session.reader().has_idle_waiting());
    std::map<uint64_t, bool> late;
    while (const auto result = session.reader().wait()) {
        late[result->tag] = result->is_late;
    }
    EXPECT_EQ(late, (std::map<uint64_t, bool>{{0, true}, {1, false}}));
}

TEST_P(AsyncRead, no_more_pieces_of_idle_reads_are_in_flight_than_allowed) {
    const BigFile big(300'000);
    const auto fault = [](uint64_t, int64_t) { return kNeverAnswered; };
    Session session(big, {.engine = GetParam(), .depth = 16, .piece_bytes = 4096, .fault = fault});
    session.reader().set_idle_depth(3);
    session.start({0, 100'000}, true);
    session.start({100'000, 100'000}, true);
    EXPECT_FALSE(session.reader().poll());
    EXPECT_EQ(session.reader().n_idle_in_flight(), 3);
}

TEST_P(AsyncRead, an_idle_read_in_a_hurry_arrives_and_a_cancelled_one_comes_back_as_such) {
    const BigFile big(300'000);
    Session session(big, {.engine = GetParam(), .piece_bytes = 4096});
    session.reader().set_idle_depth(0);
    session.start({10, 100'000}, true);
    session.start({20, 50'000}, true);
    EXPECT_EQ(session.reader().n_idle_in_flight(), 0);
    session.reader().cancel_idle(1);
    session.reader().hurry(0);
    std::map<uint64_t, bool> cancelled;
    while (const auto result = session.reader().wait()) {
        EXPECT_TRUE(result->status.ok());
        cancelled[result->tag] = result->is_cancelled;
    }
    EXPECT_EQ(cancelled, (std::map<uint64_t, bool>{{0, false}, {1, true}}));
    EXPECT_EQ(session.bytes(0), big.content.substr(10, 100'000));
    EXPECT_EQ(session.reader().n_pending(), 0U);
}

TEST_P(AsyncRead, reads_that_are_begun_hurried_and_cancelled_at_random_come_back_once_each) {
    const BigFile big(400'000);
    constexpr uint64_t kSteps = 300;
    Session session(big, {.engine = GetParam(), .depth = 5, .piece_bytes = 8192});
    std::map<uint64_t, int> n_returned;
    const auto take = [&](const ReadResult& result) {
        ASSERT_TRUE(result.status.ok()) << result.status.error().message;
        ++n_returned[result.tag];
        if (!result.is_cancelled) {
            EXPECT_EQ(session.bytes(result.tag),
                      big.content.substr(session.wanted(result.tag).offset,
                                         session.wanted(result.tag).n_bytes));
        }
    };
    uint64_t n_started = 0;
    for (uint64_t step = 0; step < kSteps; ++step) {
        const uint64_t bits = random_bits(3, 1, step);
        const uint64_t offset = (bits >> 8) % 300'000;
        switch (bits % 6) {
            case 0:
            case 1:
                session.start({offset, 1 + (bits >> 32) % 90'000}, bits % 6 == 0);
                ++n_started;
                break;
            case 2:
                session.reader().hurry((bits >> 8) % (n_started + 1));
                break;
            case 3:
                session.reader().cancel_idle((bits >> 8) % (n_started + 1));
                break;
            case 4:
                session.reader().set_idle_depth(static_cast<int>((bits >> 8) % 4));
                break;
            default:
                if (const auto result = session.reader().poll()) {
                    take(*result);
                }
        }
    }
    session.reader().set_idle_depth(2);
    while (const auto result = session.reader().wait()) {
        take(*result);
    }
    EXPECT_EQ(n_returned.size(), n_started);
    for (const auto& [tag, n] : n_returned) {
        EXPECT_EQ(n, 1) << tag;
    }
}

TEST_P(AsyncRead, destruction_waits_for_what_is_under_way) {
    const BigFile big(4'000'000);
    Session session(big, {.engine = GetParam(), .depth = 2});
    for (int i = 0; i < 3; ++i) {
        session.start({1, 3'999'000});
    }
}

INSTANTIATE_TEST_SUITE_P(, AsyncRead, testing::Values(Engine::kUring, Engine::kThreads),
                         [](const auto& param_info) {
                             return param_info.param == Engine::kUring ? "uring" : "threads";
                         });

TEST(InputFile, reads_any_range_with_and_without_the_page_cache) {
    const BigFile big(20'000);
    for (const PageCache cache : {PageCache::kUse, PageCache::kAvoid}) {
        const InputFile file = std::move(InputFile::open(big.path, cache)).value();
        EXPECT_EQ(file.n_bytes(), 20'000U);
        for (const Wanted& wanted : {Wanted{0, 20'000}, Wanted{4095, 2}, Wanted{19'999, 1}}) {
            std::string out(wanted.n_bytes, '\0');
            const Status read = file.read_at(wanted.offset, std::as_writable_bytes(std::span(out)));
            ASSERT_TRUE(read.ok()) << read.error().message;
            EXPECT_EQ(out, big.content.substr(wanted.offset, wanted.n_bytes));
        }
        std::string beyond(2, '\0');
        EXPECT_FALSE(file.read_at(19'999, std::as_writable_bytes(std::span(beyond))).ok());
    }
}

TEST(InputFile, opens_regular_files_only) {
    EXPECT_EQ(InputFile::open("/nowhere/at/all", PageCache::kUse).error().code,
              ErrorCode::kNotFound);
    EXPECT_FALSE(InputFile::open("/dev/null", PageCache::kUse).ok());
    EXPECT_FALSE(InputFile::open(std::filesystem::current_path(), PageCache::kAvoid).ok());
}

}  // namespace
}  // namespace nereus
