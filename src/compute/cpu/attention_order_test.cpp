// Attention over float rows has the bits of its stated order: spans of 1024 rows by absolute
// position, each softened by itself, merged in order. Whichever way the work is cut: whole pieces
// or spans by thread, pages of any length, tokens of several sequences in any number of visible
// rows.

#include <gtest/gtest.h>

#include "base/floats.h"
#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/testing/stated_order.h"

namespace nereus {
namespace {

using stated::Framed;
using stated::random_floats;
using stated::same_bits;

constexpr int64_t kSpan = 1024;
constexpr float kScale = 0.3F;

/// Rows of one sequence in pages that lie apart.
class PagedSequence {
  public:
    PagedSequence(int64_t n_rows, int64_t width, int64_t page_tokens, KvFormat format,
                  uint64_t seed)
        : width_(width), page_tokens_(page_tokens), format_(format) {
        values_ = random_floats(n_rows * width, seed);
        if (format == KvFormat::kBf16) {
            for (float& value : values_) {
                value = bf16_to_f32(f32_to_bf16(value));
            }
        }
        for (int64_t first = 0; first < n_rows; first += page_tokens) {
            memory_.push_back(page(first, std::min(page_tokens, n_rows - first)));
        }
        for (const auto& bytes : memory_) {
            pages_.push_back(bytes.data());
        }
    }
    const float* row(int64_t i) const { return values_.data() + i * width_; }
    PagedRows first(int64_t n) const { return {pages_.data(), page_tokens_, width_, n, format_}; }

  private:
    /// Rows that are not there are NaN, so that nobody can use them unnoticed.
    std::vector<std::byte> page(int64_t first, int64_t n) const {
        const size_t each = format_ == KvFormat::kF32 ? 4 : 2;
        std::vector<std::byte> bytes(static_cast<size_t>(page_tokens_ * width_) * each,
                                     std::byte{0xff});
        for (int64_t i = 0; i < n * width_; ++i) {
            const float value = row(first)[i];
            const uint16_t half = f32_to_bf16(value);
            std::memcpy(bytes.data() + static_cast<size_t>(i) * each,
                        each == 4 ? static_cast<const void*>(&value) : &half, each);
        }
        return bytes;
    }

    int64_t width_, page_tokens_;
    KvFormat format_;
    std::vector<float> values_;
    std::vector<std::vector<std::byte>> memory_;
    std::vector<const std::byte*> pages_;
};

/// What a span of rows gives to one query.
struct Span {
    float highest = 0, sum = 0;
    std::vector<float> values;
};

/// Where a head's key and value lie in a row.
struct Head {
    int64_t key_at, key_width, value_at, value_width;
};

Span span_of(const PagedSequence& cache, const float* query, const Head& head, int64_t begin,
             int64_t end) {
    std::vector<float> scores;
    for (int64_t r = begin; r < end; ++r) {
        scores.push_back(stated::dot(cache.row(r) + head.key_at, query, head.key_width));
    }
    const stated::Softmax soft = stated::softmax(scores, kScale);
    Span span{soft.highest, soft.sum,
              std::vector<float>(static_cast<size_t>(head.value_width), 0.0F)};
    for (int64_t r = begin; r < end; ++r) {
        for (size_t c = 0; c < span.values.size(); ++c) {
            span.values[c] =
                std::fma(soft.weights[static_cast<size_t>(r - begin)],
                         cache.row(r)[head.value_at + static_cast<int64_t>(c)], span.values[c]);
        }
    }
    return span;
}

/// "with m the higher of both highest scores, a = exp(highest - m), b = exp(span's - m):
/// sum = sum * a + span's * b; out = fma(b, span's out, out * a)"; at the end times 1 / sum.
std::vector<float> attend(const PagedSequence& cache, const float* query, const Head& head,
                          int64_t n_rows) {
    Span all = span_of(cache, query, head, 0, std::min(kSpan, n_rows));
    for (int64_t begin = kSpan; begin < n_rows; begin += kSpan) {
        const Span next = span_of(cache, query, head, begin, std::min(begin + kSpan, n_rows));
        const float highest = std::max(all.highest, next.highest);
        const float a = stated::exp_of(all.highest - highest);
        const float b = stated::exp_of(next.highest - highest);
        const float kept = all.sum * a;
        const float added = next.sum * b;
        all.sum = kept + added;
        all.highest = highest;
        for (size_t c = 0; c < all.values.size(); ++c) {
            all.values[c] = std::fma(b, next.values[c], all.values[c] * a);
        }
    }
    const float inverse = 1.0F / all.sum;
    for (float& value : all.values) {
        value *= inverse;
    }
    return all.values;
}

struct Case {
    bool latent;
    int64_t heads, sets, key, value, page_tokens;
    KvFormat format;
    std::vector<int64_t> n_rows;  ///< seen, by token; ascending ones share a sequence
};

std::vector<Case> cases() {
    return {
        // A first token sees itself alone.
        {true, 3, 1, 20, 16, 64, KvFormat::kF32, {1}},
        {false, 4, 2, 16, 16, 64, KvFormat::kBf16, {1, 2, 3}},
        // Pages that do not divide a span.
        {true, 5, 1, 40, 32, 7, KvFormat::kF32, {1023, 1024, 1025}},
        {false, 6, 3, 24, 20, 100, KvFormat::kF32, {63, 64, 65, 66}},
        // One query over several spans: threads take spans, and merge.
        {true, 1, 1, 24, 16, 64, KvFormat::kF32, {3100}},
        {false, 2, 1, 16, 8, 64, KvFormat::kBf16, {2049}},
        // A chunk of a prompt that crosses a span's end.
        {true, 4, 1, 24, 16, 64, KvFormat::kBf16, {1020, 1021, 1022, 1023, 1024, 1025, 1026}},
        // Several sequences, later ones shorter.
        {true, 2, 1, 24, 16, 64, KvFormat::kF32, {1500, 30, 2048, 5}},
    };
}

class AttentionOrder : public testing::TestWithParam<int> {
  protected:
    AttentionOrder() : pool_(GetParam()), backend_(create_cpu_backend(pool_, "").value()) {}

    Framed run(const Case& c, const Framed& q, std::span<const PagedRows> visible) {
        Framed out(q.read().n_rows, c.heads * c.value);
        if (c.latent) {
            backend_->attend_latent({.q = q.read(),
                                     .out = out.view(),
                                     .visible = visible,
                                     .n_heads = c.heads,
                                     .latent = c.value,
                                     .rope = c.key - c.value,
                                     .scale = kScale});
        } else {
            backend_->attend_grouped({.q = q.read(),
                                      .out = out.view(),
                                      .visible = visible,
                                      .n_heads = c.heads,
                                      .n_kv_heads = c.sets,
                                      .head_dim = c.key,
                                      .value_dim = c.value,
                                      .scale = kScale});
        }
        return out;
    }

    ThreadPool pool_;
    std::unique_ptr<Backend> backend_;
};

Head head_of(const Case& c, int64_t h) {
    if (c.latent) {
        return {0, c.key, 0, c.value};
    }
    const int64_t set = h / (c.heads / c.sets);
    return {set * c.key, c.key, c.sets * c.key + set * c.value, c.value};
}

TEST_P(AttentionOrder, is_that_of_spans_softened_alone_and_merged) {
    for (const Case& c : cases()) {
        const int64_t longest = *std::max_element(c.n_rows.begin(), c.n_rows.end());
        const int64_t width = c.latent ? c.key : c.sets * (c.key + c.value);
        const PagedSequence one(longest, width, c.page_tokens, c.format, 1);
        const PagedSequence other(longest, width, c.page_tokens, c.format, 2);
        std::vector<PagedRows> visible;
        std::vector<const PagedSequence*> of_token;
        for (size_t t = 0; t < c.n_rows.size(); ++t) {
            const bool ascends = t == 0 || c.n_rows[t] > c.n_rows[t - 1];
            of_token.push_back(ascends ? &one : &other);
            visible.push_back(of_token.back()->first(c.n_rows[t]));
        }
        const auto n_tokens = static_cast<int64_t>(visible.size());
        const Framed q = Framed::random(n_tokens, c.heads * c.key, 3);
        Framed out = run(c, q, visible);
        EXPECT_TRUE(out.frame_is_whole());
        for (int64_t t = 0; t < n_tokens; ++t) {
            for (int64_t h = 0; h < c.heads; ++h) {
                const auto expected =
                    attend(*of_token[static_cast<size_t>(t)], q.read().row(t) + h * c.key,
                           head_of(c, h), c.n_rows[static_cast<size_t>(t)]);
                for (size_t i = 0; i < expected.size(); ++i) {
                    ASSERT_TRUE(
                        same_bits(expected[i], out.at(t, h * c.value + static_cast<int64_t>(i))))
                        << (c.latent ? "latent, " : "grouped, ") << c.n_rows[static_cast<size_t>(t)]
                        << " rows, head " << h << ", column " << i;
                }
            }
        }
    }
}

TEST_P(AttentionOrder, equal_scores_give_the_mean_of_the_values_and_one_row_gives_itself) {
    const Case c{true, 2, 1, 12, 8, 64, KvFormat::kF32, {}};
    const PagedSequence cache(2000, 12, 64, KvFormat::kF32, 4);
    const Framed zeros(1, 24, std::vector<float>(24, 0.0F));
    const std::vector<PagedRows> all = {cache.first(2000)};
    Framed mean = run(c, zeros, all);
    for (int64_t i = 0; i < 8; ++i) {
        double sum = 0;
        for (int64_t r = 0; r < 2000; ++r) {
            sum += double{cache.row(r)[i]};
        }
        // 2000 additions of values below 1, each off by half an ulp of a sum below 64.
        EXPECT_NEAR(double{mean.at(0, i)}, sum / 2000, 0x1p-24 * 64);
        EXPECT_TRUE(same_bits(mean.at(0, i), mean.at(0, 8 + i))) << "both heads ask the same";
    }
    const Framed q = Framed::random(1, 24, 5);
    const std::vector<PagedRows> first = {cache.first(1)};
    Framed alone = run(c, q, first);
    for (int64_t i = 0; i < 8; ++i) {
        EXPECT_EQ(alone.at(0, i), cache.row(0)[i]) << "a weight of exp(0) / exp(0) is exactly one";
    }
}

TEST_P(AttentionOrder, no_tokens_are_no_work) {
    const Case c{false, 4, 2, 8, 8, 64, KvFormat::kF32, {}};
    const Framed q(0, 32);
    Framed out = run(c, q, {});
    EXPECT_TRUE(out.frame_is_whole());
}

INSTANTIATE_TEST_SUITE_P(threads, AttentionOrder, testing::Values(1, 2, 5),
                         [](const auto& row) { return std::to_string(row.param); });

TEST(AttentionDeathTest, shapes_that_do_not_fit_end_the_program) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto grouped = [](int64_t n_heads, int64_t n_kv_heads, KvFormat format, int64_t n_rows) {
        ThreadPool pool(1);
        const auto backend = create_cpu_backend(pool, "").value();
        const PagedSequence cache(4, 32, 64, KvFormat::kF32, 6);
        PagedRows rows = cache.first(n_rows);
        rows.format = format;
        const Framed q = Framed::random(1, n_heads * 8, 7);
        Framed out(1, n_heads * 8);
        backend->attend_grouped({.q = q.read(),
                                 .out = out.view(),
                                 .visible = std::span(&rows, 1),
                                 .n_heads = n_heads,
                                 .n_kv_heads = n_kv_heads,
                                 .head_dim = 8,
                                 .value_dim = 8});
    };
    grouped(4, 2, KvFormat::kF32, 4);  // this one fits
    EXPECT_DEATH(grouped(4, 3, KvFormat::kF32, 4), "n_kv_heads");
    EXPECT_DEATH(grouped(4, 2, KvFormat::kInt8, 4), "kInt8");
    EXPECT_DEATH(grouped(4, 2, KvFormat::kF32, 0), "n_rows");
    EXPECT_DEATH(grouped(4, 4, KvFormat::kF32, 4), "width");
}

}  // namespace
}  // namespace nereus
