// Block formats with int8 activations: every table gives the portable table's bits whatever the
// shape, the batch and the threads, and those are the definition's up to float rounding, computed
// here from decode_row and in double.

#include "compute/cpu/int8_blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>

#include "tests/conformance/cases.h"

namespace nereus {
namespace {

using conformance::Machine;
using conformance::Matrix;
using conformance::OwnedWeight;
using conformance::same_bits;

Matrix multiply(Machine& machine, const Weight& weight, const Matrix& x) {
    Matrix out = Matrix::filled(x.n_rows, weight.rows, std::nanf(""));
    const MatmulTask task = {.weight = weight, .x = x.read(), .out = out.rows()};
    machine->matmul({&task, 1});
    return out;
}

std::vector<FormatId> int8_block_formats() {
    std::vector<FormatId> ids;
    for (const Format& format : all_formats()) {
        if (format.activations == Activations::kInt8Per32 ||
            format.activations == Activations::kInt8Per256) {
            ids.push_back(format.id);
        }
    }
    return ids;
}

struct Shape2 {
    int64_t rows;
    int64_t cols;
};

/// Odd numbers of rows; blocks up to more than a chunk of 256 columns and a half.
std::vector<Shape2> shapes_of(const Format& format) {
    const int64_t block = format.block_elements;
    return {{1, block}, {3, 2 * block}, {5, 3 * block}, {11, 9 * block}, {70, 17 * 256}};
}

constexpr int64_t kTokens[] = {1, 2, 3, 4, 5, 7, 8, 9, 33};

/// A row of activations as llama.cpp rounds it, from its definition.
struct Rounded {
    std::vector<double> values;   ///< d * x8
    std::vector<double> missing;  ///< a block of 32: offset - d * sum of x8
};

Rounded round_activations(const float* x, int64_t cols, bool per_32) {
    Rounded rounded;
    const int64_t block = per_32 ? 32 : 256;
    for (int64_t b = 0; b < cols; b += block) {
        float largest = 0;
        for (int64_t c = b; c < b + block; ++c) {
            largest = std::fabs(x[c]) > std::fabs(largest) ? x[c] : largest;
        }
        const float inverse =
            largest == 0 ? 0.0F : 127.0F / (per_32 ? std::fabs(largest) : -largest);
        const float exact = largest == 0 ? 0.0F
                            : per_32     ? std::fabs(largest) / 127.0F
                                         : 1.0F / inverse;
        const float d = per_32 ? f16_to_f32(f32_to_f16(exact)) : exact;
        float sum = 0;
        for (int64_t c = b; c < b + block; ++c) {
            const float x8 = std::min(std::nearbyint(inverse * x[c]), 127.0F);
            rounded.values.push_back(double{d} * double{x8});
            sum += x8;
        }
        const float offset = f16_to_f32(f32_to_f16(exact * sum));
        rounded.missing.push_back(per_32 ? double{offset} - double{d} * double{sum} : 0.0);
    }
    return rounded;
}

/// Where a format of 32 numbers has a minimum, it is the second half float of the block.
double minimum_of(const Weight& weight, int64_t row, int64_t block) {
    if (weight.format->id != FormatId::kQ4_1 && weight.format->id != FormatId::kQ5_1) {
        return 0.0;
    }
    uint16_t bits = 0;
    std::memcpy(&bits, weight.row(row).data + block * weight.format->block_bytes + 2, sizeof(bits));
    return double{f16_to_f32(bits)};
}

/// |found - sum in double| <= (terms + 5) * 2^-24 * sum |w x|.
void expect_the_definition(const Weight& weight, const Matrix& x, const Matrix& found) {
    const bool per_32 = weight.format->activations == Activations::kInt8Per32;
    std::vector<float> w(static_cast<size_t>(weight.cols));
    for (int64_t t = 0; t < x.n_rows; ++t) {
        const Rounded rounded = round_activations(x.row(t), weight.cols, per_32);
        for (int64_t r = 0; r < weight.rows; ++r) {
            weight.format->decode_row(weight.row(r), weight.cols, w.data());
            double sum = 0;
            double size = 0;
            for (size_t c = 0; c < w.size(); ++c) {
                sum += double{w[c]} * rounded.values[c];
                size += std::fabs(double{w[c]} * rounded.values[c]);
            }
            for (size_t b = 0; b < rounded.missing.size(); ++b) {
                const double m = minimum_of(weight, r, static_cast<int64_t>(b));
                sum += m * rounded.missing[b];
                size += std::fabs(m) * 32;
            }
            const double bound = static_cast<double>(weight.cols + 5) * 0x1p-23 * size + 1e-40;
            ASSERT_NEAR(sum, double{found.row(t)[r]}, bound) << "row " << r << ", token " << t;
        }
    }
}

/// Equal bits, or both not a number.
void expect_same(const Matrix& expected, const Matrix& found, const std::string& what) {
    ASSERT_EQ(expected.values.size(), found.values.size());
    for (size_t i = 0; i < found.values.size(); ++i) {
        if (!std::isnan(expected.values[i])) {
            ASSERT_EQ(std::bit_cast<uint32_t>(expected.values[i]),
                      std::bit_cast<uint32_t>(found.values[i]))
                << what << ", number " << i << ": " << expected.values[i] << " and "
                << found.values[i];
        } else {
            ASSERT_TRUE(std::isnan(found.values[i])) << what << ", number " << i;
        }
    }
}

class Int8Blocks : public testing::TestWithParam<FormatId> {
  protected:
    const Format& format() const { return format_of(GetParam()); }

    void expect_all_tables_agree(const Weight& weight, const Matrix& x) const {
        Machine portable("portable", 1);
        const Matrix expected = multiply(portable, weight, x);
        for (const std::string& isa : available_isas()) {
            for (const int threads : {1, 3}) {
                Machine machine(isa, threads);
                expect_same(expected, multiply(machine, weight, x),
                            isa + ", " + std::to_string(threads) + " threads, " +
                                std::to_string(weight.rows) + " x " + std::to_string(weight.cols) +
                                ", " + std::to_string(x.n_rows) + " tokens");
            }
        }
    }
};

TEST_P(Int8Blocks, every_table_and_thread_count_gives_the_portable_bits) {
    for (const Shape2& shape : shapes_of(format())) {
        const OwnedWeight weight(GetParam(), shape.rows, shape.cols, 17);
        for (const int64_t tokens : kTokens) {
            expect_all_tables_agree(weight.get(), Matrix::random(tokens, shape.cols, 5));
        }
    }
}

TEST_P(Int8Blocks, a_row_alone_equals_the_row_in_a_batch) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 2);
        const OwnedWeight weight(GetParam(), 67, 1024, 3);
        const Matrix x = Matrix::random(70, 1024, 5);
        const Matrix batch = multiply(machine, weight.get(), x);
        for (int64_t t = 0; t < x.n_rows; t += 3) {
            const Matrix one = {1, x.n_cols, {x.row(t), x.row(t) + x.n_cols}};
            const Matrix alone = multiply(machine, weight.get(), one);
            EXPECT_EQ(0, std::memcmp(alone.row(0), batch.row(t), 67 * sizeof(float)))
                << isa << ", token " << t;
        }
    }
}

TEST_P(Int8Blocks, products_are_the_definitions_within_float_rounding) {
    Machine machine("portable", 1);
    for (const Shape2& shape : shapes_of(format())) {
        const OwnedWeight weight(GetParam(), std::min<int64_t>(shape.rows, 11), shape.cols, 4);
        const Matrix x = Matrix::random(3, shape.cols, 8);
        expect_the_definition(weight.get(), x, multiply(machine, weight.get(), x));
    }
}

/// A file of tests/data/formats as bytes.
std::vector<std::byte> read_vectors(const std::string& name) {
    const std::string path = std::string(NEREUS_SOURCE_DIR) + "/tests/data/formats/" + name;
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    NEREUS_CHECK(text.size() > 8);
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    return {bytes, bytes + text.size()};
}

template <typename T>
T value_at(const std::vector<std::byte>& bytes, size_t offset) {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
}

/// Made by llama.cpp's own functions, tools/make_dot_vectors.py.
TEST_P(Int8Blocks, products_are_llama_cpps_up_to_the_order_of_sums) {
    const std::vector<std::byte> stored = read_vectors(std::string(format().name) + ".bin");
    const std::vector<std::byte> products = read_vectors(std::string(format().name) + "-dots.bin");
    const auto n_bytes = value_at<uint32_t>(stored, 4);
    std::vector<std::byte> twice(stored.begin() + 8, stored.begin() + 8 + n_bytes);
    twice.insert(twice.end(), stored.begin() + 8, stored.begin() + 8 + n_bytes);
    Machine machine("portable", 1);
    const auto n_products = value_at<uint32_t>(products, 0);
    ASSERT_GE(n_products, 8U);
    for (size_t i = 0; i < n_products; ++i) {
        Matrix x = Matrix::filled(1, 256, 0.0F);
        std::memcpy(x.values.data(), products.data() + 4 + i * 1028, 1024);
        const auto expected = value_at<float>(products, 4 + i * 1028 + 1024);
        const Weight weight = {
            .format = &format(),
            .rows = 1,
            .cols = 256,
            .data = twice.data() + static_cast<int64_t>(i) * format().block_bytes,
            .row_stride_bytes = format().row_bytes(256)};
        std::vector<float> w(256);
        format().decode_row(weight.row(0), 256, w.data());
        double size = 0;
        for (size_t c = 0; c < w.size(); ++c) {
            size += std::fabs(double{w[c]} * double{x.values[c]});
        }
        const float found = multiply(machine, weight, x).row(0)[0];
        if (std::isfinite(expected)) {
            EXPECT_NEAR(expected, found, 1e-6 * size + 1e-35) << "product " << i;
        } else {
            EXPECT_FALSE(std::isfinite(found)) << "product " << i;
        }
    }
}

TEST_P(Int8Blocks, halves_round_to_even_and_blocks_of_zeros_stay_zeros) {
    const OwnedWeight weight(GetParam(), 4, 1024, 2);
    Matrix x = Matrix::filled(1, 1024, 0.0F);
    for (int64_t c = 0; c < 700; ++c) {
        x.values[static_cast<size_t>(c)] = (static_cast<float>(c * 37 % 127) - 63.0F) / 2.0F;
        if (c % 32 == 5) {
            x.values[static_cast<size_t>(c)] = c % 64 == 5 ? 63.5F : -63.5F;
        }
    }
    x.values[3] = 1e-39F;
    Machine machine("portable", 1);
    expect_the_definition(weight.get(), x, multiply(machine, weight.get(), x));
    expect_all_tables_agree(weight.get(), x);
}

/// All codes, scales and minima at once at their ends: sums must neither saturate nor wrap.
TEST_P(Int8Blocks, extreme_codes_and_activations_do_not_saturate) {
    for (const int byte : {0x00, 0x0f, 0x7f, 0x80, 0xf0, 0xff}) {
        OwnedWeight random(GetParam(), 5, 512, 6);
        const Weight& like = random.get();
        std::vector<std::byte> bytes(static_cast<size_t>(5 * like.row_stride_bytes),
                                     static_cast<std::byte>(byte));
        Weight weight = like;
        weight.data = bytes.data();
        for (int64_t r = 0; r < 5; ++r) {
            for (int64_t b = 0; b < 512 / format().block_elements; ++b) {
                conformance::OwnedWeight::set_factors(
                    GetParam(), bytes.data() + r * like.row_stride_bytes + b * format().block_bytes,
                    static_cast<uint64_t>(r * 100 + b));
            }
        }
        Matrix x = Matrix::filled(6, 512, 1.0F);
        for (size_t i = 0; i < x.values.size(); ++i) {
            const size_t t = i / 512;
            x.values[i] = t == 0 ? 2.0F : t == 1 ? -2.0F : i % t == 0 ? -3.0F : 3.0F;
        }
        SCOPED_TRACE(testing::Message() << "byte " << byte);
        Machine machine("portable", 1);
        expect_the_definition(weight, x, multiply(machine, weight, x));
        expect_all_tables_agree(weight, x);
    }
}

TEST_P(Int8Blocks, any_bytes_and_any_activations_give_the_same_numbers_in_every_table) {
    const OwnedWeight like(GetParam(), 7, 768, 6);
    std::vector<std::byte> bytes(static_cast<size_t>(7 * like.get().row_stride_bytes));
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(random_bits(5, i, 9));
    }
    Weight weight = like.get();
    weight.data = bytes.data();
    Matrix x = Matrix::random(5, 768, 9);
    x.values[3] = std::nanf("");
    x.values[768 + 400] = -INFINITY;
    x.values[2 * 768 + 5] = 3e38F;
    x.values[3 * 768 + 5] = 1e-40F;
    expect_all_tables_agree(weight, x);
    const OwnedWeight finite(GetParam(), 7, 768, 6);
    Machine machine("", 1);
    const Matrix found = multiply(machine, finite.get(), x);
    EXPECT_TRUE(std::isnan(found.row(0)[2]));
    EXPECT_TRUE(std::isnan(found.row(1)[2]));
    EXPECT_FALSE(std::isnan(found.row(4)[2]));
}

INSTANTIATE_TEST_SUITE_P(formats, Int8Blocks, testing::ValuesIn(int8_block_formats()),
                         [](const auto& param) {
                             return std::string(format_of(param.param).name);
                         });

TEST(Int8BlocksTogether, one_x_is_rounded_as_each_of_its_formats_asks) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 2);
        const OwnedWeight a(FormatId::kQ8_0, 40, 512, 1);
        const OwnedWeight b(FormatId::kQ4K, 70, 512, 2);
        const OwnedWeight c(FormatId::kBf16, 33, 512, 3);
        const OwnedWeight d(FormatId::kQ4_1, 9, 512, 4);
        const Matrix x = Matrix::random(6, 512, 4);
        Matrix out[4];
        std::vector<MatmulTask> tasks;
        const OwnedWeight* weights[] = {&a, &b, &c, &d};
        for (size_t i = 0; i < 4; ++i) {
            out[i] = Matrix::filled(6, weights[i]->get().rows, 0);
            tasks.push_back({.weight = weights[i]->get(), .x = x.read(), .out = out[i].rows()});
        }
        machine->matmul(tasks);
        for (size_t i = 0; i < 4; ++i) {
            EXPECT_TRUE(same_bits(out[i], multiply(machine, weights[i]->get(), x)))
                << isa << ", task " << i;
        }
    }
}

TEST(Int8BlocksTogether, rows_of_x_may_lie_apart_and_the_bias_is_added_last) {
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 2);
        const OwnedWeight weight(FormatId::kQ4K, 30, 512, 1);
        const Matrix wide = Matrix::random(5, 800, 2);
        const Matrix bias = Matrix::random(1, 30, 3);
        Matrix packed = Matrix::filled(5, 512, 0);
        for (int64_t t = 0; t < 5; ++t) {
            std::copy_n(wide.row(t) + 100, 512, packed.values.data() + t * 512);
        }
        Matrix out = Matrix::filled(5, 30, 0);
        const MatmulTask task = {.weight = weight.get(),
                                 .x = {wide.values.data() + 100, 5, 512, 800},
                                 .out = out.rows(),
                                 .bias = bias.row(0)};
        machine->matmul({&task, 1});
        const Matrix plain = multiply(machine, weight.get(), packed);
        for (int64_t t = 0; t < 5; ++t) {
            for (int64_t r = 0; r < 30; ++r) {
                ASSERT_EQ(plain.row(t)[r] + bias.row(0)[r], out.row(t)[r]) << isa;
            }
        }
    }
}

}  // namespace
}  // namespace nereus
