// Rotary tables against a slow double-precision computation from the papers' formulas, and what
// the tables promise: limits, bands, magnitudes, and that the two layouts are one rotation.

#include "model/blocks/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "base/thread_pool.h"

namespace nereus {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

ModelConfig plain(double theta) {
    ModelConfig config;
    config.rope_theta = theta;
    return config;
}

ModelConfig yarn(double theta, double factor, int64_t original) {
    ModelConfig config = plain(theta);
    config.rope_scaling.type = RopeScalingType::kYarn;
    config.rope_scaling.factor = factor;
    config.rope_scaling.original_max_position_embeddings = original;
    return config;
}

ModelConfig llama3(double factor) {
    ModelConfig config = plain(500000);
    config.rope_scaling.type = RopeScalingType::kLlama3;
    config.rope_scaling.factor = factor;
    config.rope_scaling.original_max_position_embeddings = 8192;
    return config;
}

double plain_frequency(double theta, size_t i, int64_t width) {
    return std::exp(-2.0 * static_cast<double>(i) / static_cast<double>(width) * std::log(theta));
}

/// YaRN by its paper: dimensions that turn more than beta_fast times over the original context are
/// left alone, those below beta_slow are slowed down by the factor, between them a ramp.
double yarn_frequency(const ModelConfig& c, size_t i, int64_t width) {
    const RopeScaling& s = c.rope_scaling;
    const auto d = static_cast<double>(width);
    const auto original = static_cast<double>(s.original_max_position_embeddings);
    const auto dimension_of = [&](double turns) {
        return d * std::log(original / (turns * kTurn)) / (2 * std::log(c.rope_theta));
    };
    const double low = std::fmax(std::floor(dimension_of(s.beta_fast)), 0);
    double high = std::fmin(std::ceil(dimension_of(s.beta_slow)), d - 1);
    high = high == low ? high + 0.001 : high;
    const double ramp = std::fmin(1, std::fmax(0, (static_cast<double>(i) - low) / (high - low)));
    const double f = plain_frequency(c.rope_theta, i, width);
    return f / s.factor * ramp + f * (1 - ramp);
}

void expect_close(const std::vector<float>& found, const std::vector<double>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(static_cast<double>(found[i]), expected[i], expected[i] * 1e-6) << i;
    }
}

TEST(RopeTable, plain_frequencies_are_powers_of_theta) {
    for (const double theta : {10000.0, 500000.0, 1e6, 500.5}) {
        for (const int64_t width : {2, 4, 64, 128}) {
            std::vector<double> expected;
            for (size_t i = 0; i < static_cast<size_t>(width / 2); ++i) {
                expected.push_back(plain_frequency(theta, i, width));
            }
            expect_close(rope_frequencies(plain(theta), width), expected);
        }
    }
}

TEST(RopeTable, yarn_equals_its_formula_over_thetas_factors_and_contexts) {
    for (const double theta : {10000.0, 160000.0}) {
        for (const double factor : {1.0, 4.0, 16.0, 40.0}) {
            for (const int64_t original : {64, 4096, 65536}) {
                const ModelConfig config = yarn(theta, factor, original);
                std::vector<double> expected;
                for (size_t i = 0; i < 32; ++i) {
                    expected.push_back(yarn_frequency(config, i, 64));
                }
                expect_close(rope_frequencies(config, 64), expected);
            }
        }
    }
}

/// models.md 3.6: theta 1.6e5, factor 16, original 65536.
TEST(RopeTable, yarn_has_the_published_values_of_v4_too) {
    const std::vector<float> f = rope_frequencies(yarn(160000, 16, 65536), 64);
    const std::pair<size_t, double> expected[] = {{1, 0.687656022},
                                                  {16, 0.002265625},
                                                  {20, 2.96977778e-4},
                                                  {24, 1.953125e-5},
                                                  {31, 5.68052904e-7}};
    for (const auto& [i, value] : expected) {
        EXPECT_NEAR(static_cast<double>(f[i]), value, value * 1e-6) << i;
    }
}

TEST(RopeTable, yarn_never_speeds_up_and_never_slows_by_more_than_its_factor) {
    for (const int64_t original : {16, 100, 4096}) {
        const ModelConfig config = yarn(10000, 40, original);
        const std::vector<float> stretched = rope_frequencies(config, 64);
        const std::vector<float> base = rope_frequencies(plain(10000), 64);
        for (size_t i = 0; i < base.size(); ++i) {
            EXPECT_LE(stretched[i], base[i]);
            EXPECT_GE(stretched[i], base[i] / 40 * 0.999999F);
            EXPECT_LE(i == 0 ? 0 : stretched[i], i == 0 ? 0 : stretched[i - 1]) << "not monotonic";
        }
    }
}

TEST(RopeTable, a_yarn_factor_of_one_changes_nothing) {
    const std::vector<float> one = rope_frequencies(yarn(10000, 1, 4096), 64);
    const std::vector<float> base = rope_frequencies(plain(10000), 64);
    for (size_t i = 0; i < base.size(); ++i) {
        EXPECT_FLOAT_EQ(one[i], base[i]);
    }
    EXPECT_EQ(yarn_mscale(1, 0.707), 1.0);
    EXPECT_EQ(yarn_mscale(0.5, 0.707), 1.0) << "a shrunk context has no factor";
}

TEST(RopeTable, mscale_has_the_published_values) {
    EXPECT_NEAR(yarn_mscale(40, 1.0), 1.3688879454, 1e-9);
    EXPECT_NEAR(yarn_mscale(40, 0.707), 1.2608037774, 1e-9);
    EXPECT_EQ(yarn_mscale(40, 0), 1.0);
}

/// cos and sin are scaled by m(mscale) / m(mscale_all_dim).
TEST(RopeTable, the_magnitude_is_the_quotient_of_the_two_mscales) {
    ModelConfig config = yarn(10000, 40, 4096);
    config.rope_scaling.mscale = 1;
    config.rope_scaling.mscale_all_dim = 1;
    RopeTable equal(config, 64);
    equal.ensure(1);
    EXPECT_EQ(equal.cos()[0], 1.0F);
    config.rope_scaling.mscale_all_dim = 0;
    RopeTable scaled(config, 64);
    scaled.ensure(100);
    EXPECT_NEAR(static_cast<double>(scaled.cos()[0]), 0.1 * std::log(40.0) + 1, 1e-6);
    for (size_t at = 0; at < 100 * 32; ++at) {
        const double c = static_cast<double>(scaled.cos()[at]);
        const double s = static_cast<double>(scaled.sin()[at]);
        ASSERT_NEAR(std::hypot(c, s), 0.1 * std::log(40.0) + 1, 1e-6);
    }
}

/// Llama 3.1: waves shorter than 8192/4 positions stay, longer than 8192 are divided by the factor,
/// between them linear in the number of turns.
TEST(RopeTable, llama3_has_three_bands_that_meet) {
    const ModelConfig config = llama3(8);
    const std::vector<float> scaled = rope_frequencies(config, 128);
    int n_kept = 0, n_between = 0, n_divided = 0;
    for (size_t i = 0; i < 64; ++i) {
        const double f = plain_frequency(500000, i, 128);
        const double turns = 8192 * f / kTurn;
        const double found = static_cast<double>(scaled[i]);
        if (turns > 4) {
            EXPECT_NEAR(found, f, f * 1e-6) << i;
            ++n_kept;
        } else if (turns < 1) {
            EXPECT_NEAR(found, f / 8, f * 1e-6) << i;
            ++n_divided;
        } else {
            const double share = (turns - 1) / 3;
            EXPECT_NEAR(found, f * share + f / 8 * (1 - share), f * 1e-6) << i;
            ++n_between;
        }
    }
    EXPECT_EQ(n_kept, 29);  // as in transformers' rope_utils for Llama-3.1-8B
    EXPECT_EQ(n_between, 6);
    EXPECT_EQ(n_divided, 29);
}

TEST(RopeTable, linear_scaling_and_stored_factors_divide_every_frequency) {
    ModelConfig config = plain(10000);
    const std::vector<float> base = rope_frequencies(config, 8);
    config.rope_scaling.factors = {1, 2, 4, 8};
    const std::vector<float> divided = rope_frequencies(config, 8);
    config.rope_scaling.factors.clear();
    config.rope_scaling.type = RopeScalingType::kLinear;
    config.rope_scaling.factor = 4;
    const std::vector<float> linear = rope_frequencies(config, 8);
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(divided[i], base[i] / static_cast<float>(1 << i));
        EXPECT_EQ(linear[i], base[i] / 4);
    }
}

/// Whatever config_from_json accepts (its ends among these) is a finite rotation.
TEST(RopeTable, no_accepted_scaling_gives_a_frequency_that_is_no_number) {
    for (const double theta : {1.01, 1.5, 10000.0, 1e15}) {
        for (const double factor : {1e-9, 1.0, 40.0, 1e9}) {
            for (const int64_t original : {int64_t{1}, int64_t{4096}, int64_t{1} << 26}) {
                for (const double beta_fast : {1e-9, 1.0, 32.0, 1e9}) {
                    ModelConfig config = yarn(theta, factor, original);
                    config.rope_scaling.beta_fast = beta_fast;
                    for (const float f : rope_frequencies(config, 64)) {
                        ASSERT_TRUE(std::isfinite(f) && f >= 0)
                            << theta << " " << factor << " " << original << " " << beta_fast;
                    }
                }
            }
        }
    }
}

/// Angles are float products (as in the reference), cosines exact to a rounding of those.
TEST(RopeTable, entries_are_the_cosine_and_sine_of_the_float_angle_up_to_163840) {
    ModelConfig config = yarn(10000, 40, 4096);
    config.rope_scaling.mscale_all_dim = 1;  // as V3: a magnitude of 1
    RopeTable table(config, 64);
    const std::vector<float> f = rope_frequencies(config, 64);
    table.ensure(163840);
    for (const int64_t p : {0, 1, 4095, 4096, 100000, 163839}) {
        for (size_t i = 0; i < 32; ++i) {
            const float angle = static_cast<float>(p) * f[i];
            const size_t at = static_cast<size_t>(p) * 32 + i;
            ASSERT_NEAR(static_cast<double>(table.cos()[at]), std::cos(double{angle}), 6e-8);
            ASSERT_NEAR(static_cast<double>(table.sin()[at]), std::sin(double{angle}), 6e-8);
        }
    }
}

class Layouts : public ::testing::Test {
  protected:
    static std::vector<float> random_row(uint64_t seed, size_t n) {
        std::vector<float> row;
        for (uint64_t i = 0; i < n; ++i) {
            row.push_back(static_cast<float>(random_unit(seed, 0, i) - 0.5));
        }
        return row;
    }
    static std::vector<float> rotated(std::vector<float> row, int32_t position, RopeLayout layout) {
        ThreadPool pool(1);
        const auto backend = create_cpu_backend(pool, "").value();
        const auto n = static_cast<int64_t>(row.size());
        RopeTable table(plain(10000), n);
        table.ensure(position + 1);
        RopeArgs args;
        args.x = {row.data(), 1, n, n};
        args.head_stride = n;
        args.width = n;
        args.layout = layout;
        args.positions = {&position, 1};
        args.cos = table.cos();
        args.sin = table.sin();
        backend->rope(args);
        return row;
    }
};

TEST_F(Layouts, interleaved_is_rotate_half_of_the_permuted_row) {
    const size_t n = 64;
    const std::vector<float> pairs = random_row(1, n);
    std::vector<float> halves(n);
    for (size_t i = 0; i < n / 2; ++i) {
        halves[i] = pairs[2 * i];
        halves[i + n / 2] = pairs[2 * i + 1];
    }
    for (const int32_t position : {0, 1, 77, 4095}) {
        const auto a = rotated(pairs, position, RopeLayout::kInterleaved);
        const auto b = rotated(halves, position, RopeLayout::kRotateHalf);
        for (size_t i = 0; i < n / 2; ++i) {
            ASSERT_EQ(a[2 * i], b[i]);
            ASSERT_EQ(a[2 * i + 1], b[i + n / 2]);
        }
    }
}

TEST_F(Layouts, scores_depend_on_the_distance_of_positions_alone) {
    for (const RopeLayout layout : {RopeLayout::kInterleaved, RopeLayout::kRotateHalf}) {
        const std::vector<float> q = random_row(2, 64), k = random_row(3, 64);
        const auto score = [&](int32_t a, int32_t b) {
            const auto x = rotated(q, a, layout), y = rotated(k, b, layout);
            double sum = 0;
            for (size_t i = 0; i < x.size(); ++i) {
                sum += double{x[i]} * double{y[i]};
            }
            return sum;
        };
        EXPECT_NEAR(score(10, 3), score(1010, 1003), 1e-4);
        EXPECT_NEAR(score(5, 5), score(0, 0), 1e-5);
        EXPECT_GT(std::abs(score(10, 3) - score(10, 4)), 1e-3) << "positions do not matter at all";
    }
}

}  // namespace
}  // namespace nereus
