// Rows of bf16 and int8 caches: every table, thread count and batch gives the portable table's bits;
// what is stored is the definition's, and attention over it stays within the bound that follows.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compute/cpu/isa.h"
#include "compute/cpu/latent_kernels.h"
#include "tests/conformance/cases.h"

namespace nereus {
namespace {

using conformance::Machine;
using conformance::Matrix;
using conformance::random_floats;
using conformance::same_bits;

/// Latent rows appended to pages in any order, and queries.
struct LatentCache {
    int64_t latent, rope, n_heads, n_rows;
    KvFormat format;
    Matrix x, q;
    std::vector<std::vector<std::byte>> memory;
    std::vector<const std::byte*> pages;

    LatentCache(Machine& machine, KvFormat f, int64_t latent_width, int64_t rope_width,
                int64_t heads, int64_t rows)
        : latent(latent_width),
          rope(rope_width),
          n_heads(heads),
          n_rows(rows),
          format(f),
          x(Matrix::random(rows, latent_width + rope_width, 1)),
          q(Matrix::random(1, 1, 1)) {
        const int64_t tokens = kv_format_row(f).page_tokens;
        for (int64_t p = 0; p < ceil_div(rows, tokens); ++p) {
            // 0xff: NaN as float and bf16, so that unwritten rows would be noticed
            memory.emplace_back(static_cast<size_t>(layout().page_bytes(tokens)), std::byte{0xff});
        }
        std::vector<KvPlace> places;
        for (int64_t r = 0; r < rows; ++r) {
            places.push_back({memory[static_cast<size_t>(r / tokens)].data(), r % tokens});
        }
        for (const auto& page : memory) {
            pages.push_back(page.data());
        }
        machine->append_kv({x.read(), places, layout()});
    }

    KvRows layout() const { return {format, latent + rope, latent}; }

    /// Queries of n tokens; with a size of 4 some weights are near 1.
    void ask(int64_t n, float size) {
        q = Matrix::random(n, n_heads * (latent + rope), 2);
        for (float& value : q.values) {
            value *= size;
        }
    }

    /// Tokens [begin, begin + n), the last of the cache's when `visible` is 0.
    Matrix attend(Machine& machine, int64_t begin, int64_t n) const {
        std::vector<PagedRows> visible;
        for (int64_t t = begin; t < begin + n; ++t) {
            visible.push_back({pages.data(), kv_format_row(format).page_tokens, latent + rope,
                               n_rows - q.n_rows + 1 + t, format});
        }
        Matrix out = Matrix::filled(n, n_heads * latent, std::nanf(""));
        machine->attend_latent({.q = {q.row(begin), n, q.n_cols, q.n_cols},
                                .out = out.rows(),
                                .visible = visible,
                                .n_heads = n_heads,
                                .latent = latent,
                                .rope = rope,
                                .scale = 0.3F});
        return out;
    }
};

struct Shape {
    int64_t latent, rope, heads, rows, tokens;
};
constexpr Shape kShapes[] = {
    {32, 8, 1, 1, 1},      {512, 64, 16, 15, 1},  {512, 64, 16, 16, 3},   {64, 16, 4, 17, 17},
    {512, 64, 3, 63, 2},   {160, 64, 3, 64, 5},   {96, 32, 16, 65, 65},   {128, 0, 5, 127, 1},
    {130, 34, 3, 128, 7},  {512, 64, 128, 129, 2}, {256, 64, 16, 1000, 1}, {32, 8, 3, 1024, 30},
    {64, 16, 16, 1025, 1}, {40, 24, 3, 1026, 9},  {512, 64, 16, 2100, 1}, {64, 8, 3, 3100, 2},
};

TEST(KvFormats, every_table_writes_the_same_bytes) {
    Machine portable("portable", 1);
    for (const KvFormatRow& row : kKvFormats) {
        for (const Shape& s : kShapes) {
            const LatentCache expected(portable, row.format, s.latent, s.rope, 1, s.rows);
            for (const std::string& isa : available_isas()) {
                Machine machine(isa, 3);
                const LatentCache found(machine, row.format, s.latent, s.rope, 1, s.rows);
                EXPECT_EQ(expected.memory, found.memory) << row.name << ", " << isa;
            }
        }
    }
}

/// value = scale * (byte - 128), at most half a step from what was appended; remainders add to it.
TEST(KvFormats, int8_rows_are_what_the_header_says) {
    Machine machine("", 1);
    for (const Shape& s : kShapes) {
        const LatentCache cache(machine, KvFormat::kInt8, s.latent, s.rope, 1, s.rows);
        std::vector<double> decoded(cache.x.values.size());
        for (int64_t b = 0; b < cache.layout().n_blocks(); ++b) {
            const KvBlock block = cache.layout().block(b);
            for (int64_t r = 0; r < s.rows; ++r) {
                const std::byte* page = cache.memory[static_cast<size_t>(r / 128)].data();
                float scale = 0;
                std::memcpy(&scale, page + block.offset + r % 128 * 4, sizeof(scale));
                const float* x = cache.x.row(r) + block.column;
                float largest = 0;
                for (int64_t c = 0; c < block.n; ++c) {
                    largest = std::max(largest, std::fabs(x[c]));
                    const int64_t at = block.codes() + r % 128 / 16 * 16 * block.stored +
                                       c / 4 * 64 + r % 16 * 4 + c % 4;
                    const int byte = std::to_integer<int>(page[at]) - 128;
                    decoded[static_cast<size_t>(r * cache.x.n_cols + block.column + c)] +=
                        double{scale} * byte;
                    const double left = decoded[static_cast<size_t>(r * cache.x.n_cols +
                                                                    block.column + c)] -
                                        double{x[c]};
                    ASSERT_NEAR(left, 0, double{scale} * 0.501);
                }
                if (!block.is_remainder) {
                    ASSERT_EQ(scale, largest / 127.0F);
                } else {
                    ASSERT_LE(scale, largest / 127 / 127 * 0.51F);
                }
            }
        }
    }
}

TEST(KvFormats, bytes_of_a_row_are_counted_with_scales_and_padding) {
    EXPECT_EQ((KvRows{KvFormat::kF32, 576, 512}.row_bytes()), 2304);
    EXPECT_EQ((KvRows{KvFormat::kBf16, 576, 512}.row_bytes()), 1152);
    EXPECT_EQ((KvRows{KvFormat::kInt8, 576, 512}.row_bytes()), 512 + 2 * 64 + 6 * 4);
    EXPECT_EQ((KvRows{KvFormat::kInt8, 80, 64}.row_bytes()), 64 + 2 * 64 + 3 * 4);
    EXPECT_EQ((KvRows{KvFormat::kInt8, 128, 128}.row_bytes()), 128 + 4);
}

TEST(KvFormats, every_table_and_thread_count_gives_the_portable_bits) {
    Machine portable("portable", 1);
    for (const KvFormat format : {KvFormat::kBf16, KvFormat::kInt8}) {
        for (const Shape& s : kShapes) {
            LatentCache cache(portable, format, s.latent, s.rope, s.heads, s.rows);
            cache.ask(s.tokens, 4.0F);
            const Matrix expected = cache.attend(portable, 0, s.tokens);
            for (const std::string& isa : available_isas()) {
                for (const int threads : {1, 2, 7}) {
                    Machine machine(isa, threads);
                    EXPECT_TRUE(same_bits(expected, cache.attend(machine, 0, s.tokens)))
                        << kv_format_row(format).name << ", " << isa << ", " << threads << " threads, "
                        << s.rows << " rows of " << s.latent << " + " << s.rope;
                }
            }
        }
    }
}

TEST(KvFormats, a_token_alone_equals_the_token_in_a_batch) {
    for (const KvFormat format : {KvFormat::kBf16, KvFormat::kInt8}) {
        Machine machine("", 2);
        for (const Shape& s : kShapes) {
            LatentCache cache(machine, format, s.latent, s.rope, s.heads, s.rows);
            cache.ask(s.tokens, 4.0F);
            const Matrix batch = cache.attend(machine, 0, s.tokens);
            for (int64_t t = 0; t < s.tokens; ++t) {
                const Matrix alone = cache.attend(machine, t, 1);
                ASSERT_EQ(
                    0, std::memcmp(alone.row(0), batch.row(t), alone.values.size() * sizeof(float)))
                    << kv_format_row(format).name << ", token " << t << " of " << s.tokens;
            }
        }
    }
}

/// Later rows of the last page are there or not, and hold anything.
TEST(KvFormats, rows_that_a_token_does_not_see_leave_no_trace) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 1);
        for (const KvFormat format : {KvFormat::kBf16, KvFormat::kInt8}) {
            for (const int64_t rows : {1, 16, 100, 127, 1030}) {
                LatentCache longer(machine, format, 64, 16, 3, rows + 200);
                LatentCache shorter(machine, format, 64, 16, 3, rows);
                longer.ask(201, 4.0F);
                shorter.q = {1, longer.q.n_cols,
                             {longer.q.values.begin(),
                              longer.q.values.begin() + longer.q.n_cols}};
                EXPECT_TRUE(
                    same_bits(longer.attend(machine, 0, 1), shorter.attend(machine, 0, 1)))
                    << isa << ", " << rows;
            }
        }
    }
}

/// The textbook formula in double over the rows before they were rounded. With u the relative size
/// of a rounding (bf16: 2^-9; int8: half of 1/127 of a block's largest number, at most 1 here):
///   a score of at most d = scale * sum |q| errs by du from the rows and by du from the query;
///   its weight then by a factor of exp(2 du), an output of values below 1 by 2 (exp(2 du) - 1) + u
///   from values, and by 2^-14 from the digits of weights.
TEST(KvFormats, attention_stays_within_the_bound_of_the_rounding) {
    Machine machine("", 2);
    for (const KvFormat format : {KvFormat::kBf16, KvFormat::kInt8}) {
        const double u = format == KvFormat::kBf16 ? 0x1p-9 : 0.5 / 127;
        for (const Shape& s : kShapes) {
            LatentCache cache(machine, format, s.latent, s.rope, s.heads, s.rows);
            cache.ask(1, 0.25F);
            const Matrix out = cache.attend(machine, 0, 1);
            for (int64_t h = 0; h < s.heads; ++h) {
                const float* q = cache.q.row(0) + h * (s.latent + s.rope);
                double magnitudes = 0;
                for (int64_t c = 0; c < s.latent + s.rope; ++c) {
                    magnitudes += std::fabs(double{q[c]});
                }
                // int8 queries: half a step of a block's largest for every one of its columns
                const double from_query = format == KvFormat::kBf16
                                              ? 0
                                              : 0.25 * u * static_cast<double>(s.latent + s.rope);
                const double error = 0.3 * (magnitudes * u + from_query);
                std::vector<double> e;
                double sum = 0;
                for (int64_t r = 0; r < s.rows; ++r) {
                    double score = 0;
                    for (int64_t c = 0; c < s.latent + s.rope; ++c) {
                        score += double{q[c]} * double{cache.x.row(r)[c]};
                    }
                    e.push_back(std::exp(0.3 * score));
                    sum += e.back();
                }
                for (int64_t c = 0; c < s.latent; ++c) {
                    double expected = 0;
                    for (int64_t r = 0; r < s.rows; ++r) {
                        expected += e[static_cast<size_t>(r)] / sum * double{cache.x.row(r)[c]};
                    }
                    ASSERT_NEAR(expected, double{out.row(0)[h * s.latent + c]},
                                2 * std::expm1(2 * error) + u + 0x1p-13)
                        << kv_format_row(format).name << ", " << s.rows << " rows, head " << h;
                }
            }
        }
    }
}

/// What the bound above cannot show: one row that weighs all, and rows far below it.
TEST(KvFormats, weights_of_one_and_of_nearly_nothing_are_kept_apart) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 1);
        LatentCache cache(machine, KvFormat::kInt8, 128, 0, 1, 300);
        cache.ask(1, 0.0F);
        for (int64_t c = 0; c < 128; ++c) {
            cache.q.values[static_cast<size_t>(c)] = 100 * cache.x.row(77)[c];
        }
        const Matrix out = cache.attend(machine, 0, 1);
        for (int64_t c = 0; c < 128; ++c) {
            ASSERT_NEAR(double{out.values[static_cast<size_t>(c)]}, double{cache.x.row(77)[c]},
                        0.6 / 127)
                << isa;
        }
    }
}

TEST(KvFormats, numbers_that_are_not_finite_make_the_output_so_in_every_table) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 1);
        LatentCache cache(machine, KvFormat::kInt8, 64, 16, 2, 40);
        cache.ask(1, 1.0F);
        cache.q.values[3] = INFINITY;  // head 0
        const Matrix out = cache.attend(machine, 0, 1);
        EXPECT_TRUE(std::isnan(out.values[0])) << isa;
        EXPECT_TRUE(std::isfinite(out.values[64])) << isa;
    }
}

// ---- the kernels by themselves: shapes that no cache has

std::vector<uint8_t> random_bytes(int64_t n, uint64_t seed) {
    std::vector<uint8_t> bytes(static_cast<size_t>(n));
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<uint8_t>(random_bits(seed, i, 5));
    }
    return bytes;
}

using Product = void (*LatentKernels::*)(const LatentProductArgs&);

std::vector<float> product(const KernelTable& table, Product which, int64_t n_panels,
                           int64_t n_groups, int64_t n_x, bool add) {
    const bool keys = which == &LatentKernels::keys;
    std::vector<uint8_t> panels = random_bytes(n_panels * n_groups * 64, 1);
    std::vector<int8_t> x;
    for (const uint8_t byte : random_bytes(n_x * 128, 2)) {
        x.push_back(static_cast<int8_t>(keys ? byte % 255 - 127 : byte % 128));
    }
    for (uint8_t& byte : panels) {  // -127 .. 127, the extremes often
        const int value = byte < 64 ? 127 : byte < 128 ? -127 : byte % 255 - 127;
        byte = static_cast<uint8_t>(keys ? value + 128 : value);
    }
    std::vector<int32_t> totals;
    for (int64_t i = 0; i < n_x; ++i) {
        int32_t total = 0;
        for (int64_t c = 0; c < n_groups * 4; ++c) {
            total += x[static_cast<size_t>(i * 128 + c)];
        }
        totals.push_back(total);
    }
    const std::vector<float> scales = random_floats(n_panels * 16, 3);
    const std::vector<float> x_scales = random_floats(n_x, 4);
    std::vector<float> out = random_floats(n_x * (n_panels * 16 + 3), 5);
    (table.latent->*which)({.panels = panels.data(),
                            .panel_stride = n_groups * 64,
                            .n_panels = n_panels,
                            .n_groups = n_groups,
                            .scales = scales.data(),
                            .x = x.data(),
                            .x_scales = x_scales.data(),
                            .x_totals = totals.data(),
                            .n_x = n_x,
                            .out = out.data(),
                            .out_stride = n_panels * 16 + 3,
                            .add = add});
    return out;
}

TEST(LatentKernels, products_of_any_shape_have_the_portable_bits) {
    const KernelTable portable = select_kernels("portable").value();
    for (const std::string& isa : available_isas()) {
        const KernelTable table = select_kernels(isa).value();
        for (const Product which : {&LatentKernels::keys, &LatentKernels::values}) {
            for (const int64_t n_panels : {1, 2, 3, 8}) {
                for (const int64_t n_groups : {4, 16, 28, 32}) {
                    for (const int64_t n_x : {1, 2, 4, 5, 11, 12, 13, 25, 64}) {
                        const bool add = n_x % 2 == 0;
                        EXPECT_EQ(product(portable, which, n_panels, n_groups, n_x, add),
                                  product(table, which, n_panels, n_groups, n_x, add))
                            << isa << ", " << n_panels << " panels, " << n_groups << " groups, "
                            << n_x << " x, keys " << (which == &LatentKernels::keys);
                    }
                }
            }
        }
    }
}

TEST(LatentKernels, turned_bytes_are_the_same_numbers_rows_together) {
    for (const std::string& isa : available_isas()) {
        const KernelTable table = select_kernels(isa).value();
        for (const int64_t n_columns : {64, 128}) {
            for (const int64_t n_panels : {1, 3, 8}) {
                const std::vector<uint8_t> keys = random_bytes(n_panels * 16 * n_columns, 6);
                std::vector<uint8_t> values(static_cast<size_t>(128 * n_columns));
                table.latent->turn(keys.data(), n_panels, n_columns, values.data());
                for (int64_t r = 0; r < n_panels * 16; ++r) {
                    for (int64_t c = 0; c < n_columns; ++c) {
                        const int64_t from =
                            r / 16 * 16 * n_columns + c / 4 * 64 + r % 16 * 4 + c % 4;
                        const int64_t to = c / 16 * 2048 + r / 4 * 64 + c % 16 * 4 + r % 4;
                        ASSERT_EQ(static_cast<int8_t>(values[static_cast<size_t>(to)]),
                                  keys[static_cast<size_t>(from)] - 128)
                            << isa << ", row " << r << ", column " << c;
                    }
                }
            }
        }
    }
}

/// Both digits together are within half a unit of the weight, and zero beyond the rows.
TEST(LatentKernels, digits_of_weights_are_nearest_and_equal_in_every_table) {
    for (const float size : {1.0F, 1e-20F, 1e-38F, 0.0F}) {
        for (const int64_t n : {1, 15, 16, 17, 100, 128}) {
            std::vector<float> weights = random_floats(n, 7);
            for (float& weight : weights) {
                weight = weight * weight * size;
            }
            std::vector<float> scales = random_floats(n, 8);
            std::transform(scales.begin(), scales.end(), scales.begin(),
                           [](float s) { return std::fabs(s); });
            for (const std::string& isa : available_isas()) {
                int8_t high[128], low[128];
                float unit = -1;
                select_kernels(isa).value().latent->round_weights(
                    {weights.data(), scales.data(), n, high, low, &unit});
                for (int64_t r = 0; r < 128; ++r) {
                    const auto at = static_cast<size_t>(r);
                    ASSERT_GE(high[r], 0);
                    ASSERT_GE(low[r], 0);
                    const double expected =
                        r < n ? double{weights[at]} * double{scales[at]} : 0.0;
                    ASSERT_NEAR(expected, double{unit} * (128 * high[r] + low[r]),
                                0.501 * double{unit} + double{kWeightSmallest})
                        << isa << ", " << n << " rows, row " << r;
                }
            }
        }
    }
}

}  // namespace
}  // namespace nereus
