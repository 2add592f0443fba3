// Both attention verbs over f32 rows: every table, thread count and batch gives the portable table's bits; the
// portable table is the textbook formula in double within derived bounds.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/conformance/cases.h"

namespace nereus {
namespace {

using conformance::Machine;
using conformance::Matrix;
using conformance::same_bits;

/// Sets of heads that share keys and values; the latent verb is one set whose value is the key's
/// beginning.
struct Dims {
    bool latent;
    int64_t n_heads;
    int64_t n_kv_heads;
    int64_t key;
    int64_t value;
    int64_t page_tokens;

    int64_t width() const { return latent ? key : n_kv_heads * (key + value); }
    int64_t key_at(int64_t head) const { return latent ? 0 : head / (n_heads / n_kv_heads) * key; }
    int64_t value_at(int64_t head) const {
        return latent ? 0 : n_kv_heads * key + head / (n_heads / n_kv_heads) * value;
    }
};

constexpr Dims kDims[] = {
    {true, 1, 1, 17, 16, 4},    {true, 5, 1, 40, 33, 16},    {true, 16, 1, 576, 512, 16},
    {true, 11, 1, 96, 64, 100}, {false, 4, 4, 16, 16, 8},    {false, 8, 2, 64, 64, 16},
    {false, 14, 2, 24, 20, 7},  {false, 9, 3, 128, 128, 64}, {false, 3, 1, 7, 5, 3},
};

/// A cached sequence, and tokens that see 1, 38, 75, ... of its rows.
struct Sequence {
    static constexpr int64_t kRows = 1150;  ///< more than a span
    Dims dims;
    int64_t n_tokens;
    std::vector<float> cache;
    std::vector<const std::byte*> pages;
    std::vector<PagedRows> visible;
    Matrix q;

    Sequence(const Dims& d, int64_t tokens, float size)
        : dims(d), n_tokens(tokens), q(Matrix::random(tokens, d.n_heads * d.key, 2)) {
        const int64_t n_pages = (kRows + d.page_tokens - 1) / d.page_tokens;
        cache = conformance::random_floats(n_pages * d.page_tokens * d.width(), 1);
        for (int64_t p = n_pages; p > 0; --p) {  // pages lie in any order
            pages.push_back(reinterpret_cast<const std::byte*>(cache.data() +
                                                               (p - 1) * d.page_tokens * d.width()));
        }
        for (int64_t t = 0; t < tokens; ++t) {
            visible.push_back({pages.data(), d.page_tokens, d.width(),
                               tokens == 1 ? kRows : std::min(kRows, 1 + 37 * t)});
        }
        for (float& value : q.values) {
            value *= size;
        }
    }

    const float* row(int64_t position) const {
        const std::byte* page = pages[static_cast<size_t>(position / dims.page_tokens)];
        return reinterpret_cast<const float*>(page) + position % dims.page_tokens * dims.width();
    }
};

/// Tokens [begin, begin + n) of the sequence in one call.
Matrix attend_some(Machine& machine, const Sequence& s, int64_t begin, int64_t n) {
    const Dims& d = s.dims;
    Matrix out = Matrix::filled(n, d.n_heads * d.value, std::nanf(""));
    const ConstRows q = {s.q.row(begin), n, d.n_heads * d.key, d.n_heads * d.key};
    const std::span<const PagedRows> visible(s.visible.data() + begin, static_cast<size_t>(n));
    if (d.latent) {
        machine->attend_latent({.q = q,
                                .out = out.rows(),
                                .visible = visible,
                                .n_heads = d.n_heads,
                                .latent = d.value,
                                .rope = d.key - d.value,
                                .scale = 0.3F});
    } else {
        machine->attend_grouped({.q = q,
                                 .out = out.rows(),
                                 .visible = visible,
                                 .n_heads = d.n_heads,
                                 .n_kv_heads = d.n_kv_heads,
                                 .head_dim = d.key,
                                 .value_dim = d.value,
                                 .scale = 0.3F});
    }
    return out;
}

TEST(Attention, every_table_and_thread_count_gives_the_portable_bits) {
    Machine portable("portable", 1);
    for (const Dims& dims : kDims) {
        for (const int64_t tokens : {1, 2, 9, 33}) {
            const Sequence sequence(dims, tokens, 4.0F);
            const Matrix expected = attend_some(portable, sequence, 0, tokens);
            for (const std::string& isa : available_isas()) {
                for (const int threads : {1, 2, 3, 8}) {
                    Machine machine(isa, threads);
                    EXPECT_TRUE(same_bits(expected, attend_some(machine, sequence, 0, tokens)))
                        << isa << ", " << threads << " threads, latent " << dims.latent << ", key "
                        << dims.key << ", " << tokens << " tokens";
                }
            }
        }
    }
}

TEST(Attention, a_token_alone_equals_the_token_in_a_batch) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 2);
        for (const Dims& dims : kDims) {
            const Sequence sequence(dims, 9, 4.0F);
            const Matrix batch = attend_some(machine, sequence, 0, 9);
            for (int64_t t = 0; t < 9; ++t) {
                const Matrix alone = attend_some(machine, sequence, t, 1);
                EXPECT_EQ(
                    0, std::memcmp(alone.row(0), batch.row(t), alone.values.size() * sizeof(float)))
                    << isa << ", token " << t;
            }
        }
    }
}

TEST(Attention, portable_is_softmax_of_scores_times_values) {
    Machine portable("portable", 1);
    for (const Dims& d : kDims) {
        const Sequence s(d, 7, 2.0F);
        const Matrix out = attend_some(portable, s, 0, 7);
        for (int64_t t = 0; t < 7; ++t) {
            const int64_t n_rows = s.visible[static_cast<size_t>(t)].n_rows;
            for (int64_t h = 0; h < d.n_heads; ++h) {
                std::vector<double> e;
                double highest = -1e300;
                for (int64_t p = 0; p < n_rows; ++p) {
                    double score = 0;
                    for (int64_t c = 0; c < d.key; ++c) {
                        score +=
                            double{s.q.row(t)[h * d.key + c]} * double{s.row(p)[d.key_at(h) + c]};
                    }
                    e.push_back(score * double{0.3F});
                    highest = std::max(highest, e.back());
                }
                double sum = 0;
                for (double& value : e) {
                    value = std::exp(value - highest);
                    sum += value;
                }
                for (int64_t c = 0; c < d.value; ++c) {
                    double expected = 0;
                    for (int64_t p = 0; p < n_rows; ++p) {
                        expected +=
                            e[static_cast<size_t>(p)] / sum * double{s.row(p)[d.value_at(h) + c]};
                    }
                    // Scores of at most key * 2 * 0.3 err by key / 16 + 6 roundings of that size,
                    // and so do the weights relatively; values are below 1.
                    const double bound = 0x1p-24 * (static_cast<double>(d.key / 16 + 8) *
                                                        static_cast<double>(d.key) * 1.2 +
                                                    100);
                    ASSERT_NEAR(expected, double{out.row(t)[h * d.value + c]}, bound);
                }
            }
        }
    }
}

TEST(Attention, scores_far_apart_pick_one_row_without_overflow) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 1);
        const std::vector<float> cache = {1000, 7, -1000, 9};  // two rows: key, value
        const auto* page = reinterpret_cast<const std::byte*>(cache.data());
        const PagedRows visible = {&page, 2, 2, 2};
        Matrix q = {1, 1, {1000}};
        Matrix out = Matrix::filled(1, 1, 0);
        machine->attend_grouped({.q = q.read(),
                                 .out = out.rows(),
                                 .visible = {&visible, 1},
                                 .n_heads = 1,
                                 .n_kv_heads = 1,
                                 .head_dim = 1,
                                 .value_dim = 1,
                                 .scale = 1.0F});
        EXPECT_EQ(7.0F, out.values[0]) << isa;
    }
}

}  // namespace
}  // namespace nereus
