// The verbs that work row by row: every table and thread count gives the portable table's bits, and
// the portable table stays within stated bounds of double precision.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/conformance/cases.h"

namespace nereus {
namespace {

using conformance::Machine;
using conformance::Matrix;
using conformance::OwnedWeight;
using conformance::same_bits;

constexpr int64_t kColumns[] = {1, 2, 15, 16, 17, 130, 576, 2048};
constexpr int64_t kRows[] = {1, 2, 9, 33};

/// A verb under test: from rows x columns to what it wrote.
using Verb = std::function<Matrix(Machine&, int64_t rows, int64_t cols)>;

struct NamedVerb {
    const char* name;
    Verb verb;
};

Matrix run_rms_norm(Machine& machine, int64_t rows, int64_t cols) {
    Matrix x = Matrix::random(rows, cols, 1);
    const Matrix gain = Matrix::random(1, cols, 2);
    machine->rms_norm(x.read(), gain.row(0), 1e-6F, x.rows());
    return x;
}

Matrix run_add(Machine& machine, int64_t rows, int64_t cols) {
    Matrix out = Matrix::random(rows, cols, 1);
    const Matrix x = Matrix::random(rows, cols, 2);
    machine->add(x.read(), out.rows());
    return out;
}

Matrix run_swiglu(Machine& machine, int64_t rows, int64_t cols) {
    Matrix gate = Matrix::random(rows, cols, 1);
    for (float& value : gate.values) {
        value *= 30.0F;
    }
    gate.values[0] = -200.0F;  // exp overflows: the result is -0
    const Matrix up = Matrix::random(rows, cols, 2);
    machine->swiglu(gate.read(), up.read(), gate.rows());
    return gate;
}

Matrix run_rope(Machine& machine, int64_t rows, int64_t cols, RopeLayout layout) {
    Matrix x = Matrix::random(rows, 3 * cols + 5, 1);
    const int64_t width = cols / 2 * 2;
    const Matrix cos = Matrix::random(50, cols / 2, 2);
    const Matrix sin = Matrix::random(50, cols / 2, 3);
    std::vector<int32_t> positions(static_cast<size_t>(rows));
    for (size_t i = 0; i < positions.size(); ++i) {
        positions[i] = static_cast<int32_t>(i * 7 % 50);
    }
    machine->rope({.x = x.rows(),
                   .offset = 5,
                   .head_stride = cols,
                   .n_heads = 3,
                   .width = width,
                   .layout = layout,
                   .positions = positions,
                   .cos = cos.row(0),
                   .sin = sin.row(0)});
    return x;
}

Matrix run_gather(Machine& machine, int64_t rows, int64_t cols) {
    const Matrix x = Matrix::random(rows, cols, 1);
    std::vector<int32_t> order(static_cast<size_t>(rows));
    for (size_t i = 0; i < order.size(); ++i) {
        order[i] = static_cast<int32_t>((i * 5 + 3) % order.size());
    }
    Matrix out = Matrix::filled(rows, cols, 0);
    machine->gather_rows(x.read(), order, out.rows());
    return out;
}

Matrix run_combine(Machine& machine, int64_t rows, int64_t cols) {
    constexpr int64_t kTopK = 3;
    const Matrix x = Matrix::random(rows * kTopK, cols, 1);
    const Matrix weights = Matrix::random(rows, kTopK, 2);
    std::vector<int32_t> slots(static_cast<size_t>(rows * kTopK));
    for (size_t i = 0; i < slots.size(); ++i) {
        slots[i] = static_cast<int32_t>(slots.size() - 1 - i);
    }
    Matrix out = Matrix::random(rows, cols, 3);
    machine->combine_rows(x.read(), slots.data(), weights.row(0), kTopK, out.rows());
    return out;
}

Matrix run_route(Machine& machine, int64_t rows, int64_t cols) {
    const Matrix logits = Matrix::random(rows, cols, 1);
    const int64_t top_k = std::min<int64_t>(cols, 6);
    std::vector<int32_t> ids(static_cast<size_t>(rows * top_k));
    Matrix weights = Matrix::filled(rows, top_k, 0);
    machine->route_experts(logits.read(),
                           {.scoring = RouterScoring::kSigmoid,
                            .top_k = top_k,
                            .norm_topk_prob = true,
                            .routed_scaling_factor = 2.5F},
                           ids.data(), weights.values.data());
    for (size_t i = 0; i < ids.size(); ++i) {
        weights.values.push_back(static_cast<float>(ids[i]));
    }
    return weights;
}

const NamedVerb kVerbs[] = {
    {"rms_norm", run_rms_norm},
    {"add", run_add},
    {"swiglu", run_swiglu},
    {"rope_interleaved",
     [](Machine& machine, int64_t rows, int64_t cols) {
         return run_rope(machine, rows, cols, RopeLayout::kInterleaved);
     }},
    {"rope_rotate_half",
     [](Machine& machine, int64_t rows, int64_t cols) {
         return run_rope(machine, rows, cols, RopeLayout::kRotateHalf);
     }},
    {"gather_rows", run_gather},
    {"combine_rows", run_combine},
    {"route_experts", run_route},
};

TEST(RowVerbs, every_table_and_thread_count_gives_the_portable_bits) {
    Machine portable("portable", 1);
    for (const std::string& isa : available_isas()) {
        for (const int threads : {1, 3}) {
            Machine machine(isa, threads);
            for (const NamedVerb& verb : kVerbs) {
                for (const int64_t cols : kColumns) {
                    for (const int64_t rows : kRows) {
                        EXPECT_TRUE(same_bits(verb.verb(portable, rows, cols),
                                              verb.verb(machine, rows, cols)))
                            << verb.name << ", " << isa << ", " << threads << " threads, " << rows
                            << " x " << cols;
                    }
                }
            }
        }
    }
}

TEST(RowVerbs, enough_rows_for_the_pool_change_no_bit) {
    for (const NamedVerb& verb : kVerbs) {
        Machine one(available_isas().front(), 1);
        Machine three(available_isas().front(), 3);
        EXPECT_TRUE(same_bits(verb.verb(one, 300, 576), verb.verb(three, 300, 576))) << verb.name;
    }
}

TEST(RowVerbs, rms_norm_is_the_formula_within_a_few_roundings) {
    Machine portable("portable", 1);
    for (const int64_t cols : kColumns) {
        const Matrix x = Matrix::random(1, cols, 1);
        const Matrix gain = Matrix::random(1, cols, 2);
        const Matrix out = run_rms_norm(portable, 1, cols);
        double squares = 0;
        for (const float value : x.values) {
            squares += double{value} * double{value};
        }
        const double root = std::sqrt(squares / static_cast<double>(cols) + double{1e-6F});
        for (int64_t c = 0; c < cols; ++c) {
            const double expected = double{x.row(0)[c]} / root * double{gain.row(0)[c]};
            // The sum is within cols / 16 + 5 roundings, and halved by the root; four more follow.
            const double bound = static_cast<double>(cols / 32 + 8) * 0x1p-24 * std::fabs(expected);
            ASSERT_NEAR(expected, double{out.row(0)[c]}, bound) << cols;
        }
    }
}

TEST(RowVerbs, swiglu_is_the_formula_within_a_few_roundings) {
    Machine portable("portable", 1);
    Matrix gate = Matrix::random(1, 576, 1);
    for (float& value : gate.values) {
        value *= 30.0F;
    }
    const Matrix up = Matrix::random(1, 576, 2);
    const Matrix out = run_swiglu(portable, 1, 576);
    EXPECT_EQ(0.0F, out.values[0]);
    for (int64_t c = 1; c < 576; ++c) {
        const double g = gate.row(0)[c];
        const double expected = g / (1.0 + std::exp(-g)) * double{up.row(0)[c]};
        ASSERT_NEAR(expected, double{out.row(0)[c]}, 6 * 0x1p-24 * std::fabs(expected)) << c;
    }
}

TEST(RowVerbs, rope_rotates_the_pairs_of_its_layout_and_nothing_else) {
    Machine portable("portable", 1);
    const float cos[2] = {0.5F, 0.25F};
    const float sin[2] = {2.0F, 4.0F};
    const std::vector<int32_t> positions = {0};
    Matrix x = {1, 6, {9, 1, 2, 3, 4, 9}};
    portable->rope({.x = x.rows(),
                    .offset = 1,
                    .head_stride = 4,
                    .n_heads = 1,
                    .width = 4,
                    .layout = RopeLayout::kInterleaved,
                    .positions = positions,
                    .cos = cos,
                    .sin = sin});
    // (1, 2) by the first angle, (3, 4) by the second.
    EXPECT_EQ((std::vector<float>{9, 0.5F - 4, 2 + 1, 0.75F - 16, 12 + 1, 9}), x.values);
    x.values = {9, 1, 2, 3, 4, 9};
    portable->rope({.x = x.rows(),
                    .offset = 1,
                    .head_stride = 4,
                    .n_heads = 1,
                    .width = 4,
                    .layout = RopeLayout::kRotateHalf,
                    .positions = positions,
                    .cos = cos,
                    .sin = sin});
    // (1, 3) by the first angle, (2, 4) by the second.
    EXPECT_EQ((std::vector<float>{9, 0.5F - 6, 0.5F - 16, 2 + 1.5F, 8 + 1, 9}), x.values);
}

TEST(RowVerbs, combine_adds_weighted_rows_in_order) {
    Machine portable("portable", 1);
    const Matrix x = {2, 2, {1, 2, 3, 4}};
    const std::vector<int32_t> slots = {1, 0};
    const std::vector<float> weights = {2, 10};
    Matrix out = {1, 2, {100, 200}};
    portable->combine_rows(x.read(), slots.data(), weights.data(), 2, out.rows());
    EXPECT_EQ((std::vector<float>{100 + 6 + 10, 200 + 8 + 20}), out.values);
}

TEST(RowVerbs, embed_gives_the_decoded_row_in_every_format) {
    for (const FormatId id : conformance::weight_formats()) {
        const OwnedWeight table(id, 6, 256, 1);
        const std::vector<int32_t> ids = {5, 0, 5};
        for (const std::string& isa : available_isas()) {
            Machine machine(isa, 2);
            Matrix out = Matrix::filled(3, 256, 0);
            machine->embed(table.get(), ids, out.rows());
            for (int64_t i = 0; i < 3; ++i) {
                std::vector<float> row(256);
                const int32_t token = ids[static_cast<size_t>(i)];
                table.get().format->decode_row(table.get().row(token), 256, row.data());
                EXPECT_EQ(0, std::memcmp(row.data(), out.row(i), 256 * sizeof(float)))
                    << format_of(id).name << ", " << isa;
            }
        }
    }
}

}  // namespace
}  // namespace nereus
