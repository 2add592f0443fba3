// The tile kernels of AMX over their software twin: they give the portable table's bits on every
// CPU. (Where the CPU has the instructions, panels_test runs the table "amx" itself.)

#include <gtest/gtest.h>

#include "compute/cpu/isa.h"
#include "compute/cpu/matmul.h"
#include "compute/cpu/wide/int8_tiles.h"
#include "tests/conformance/panel_cases.h"
#include "tests/support/software_tiles.h"

namespace nereus {
namespace {

using conformance::kPanelShapes;
using conformance::kPanelTokens;
using conformance::Matrix;
using conformance::PanelShape;
using conformance::PanelWeight;
using test::PlainLanes;
using test::SoftwareTiles;

/// The portable table with block products on software tiles, for rows > direct_rows.
class TwinTable {
  public:
    explicit TwinTable(int64_t direct_rows)
        : table_(select_kernels("portable").value()), int8_(*table_.int8) {
        int8_.begin = SoftwareTiles::configure;
        int8_.end = SoftwareTiles::release;
        int8_.formats[0].unpack = test::unpack_biased<0>;
        int8_.formats[1].unpack = test::unpack_biased<1>;
        int8_.formats[2].unpack = test::unpack_biased<2>;
        for (PanelKernels& format : int8_.formats) {
            format.multiply = multiply_on_tiles<SoftwareTiles, PlainLanes>;
        }
        set_direct_rows(int8_, direct_rows, direct_rows, direct_rows);
        table_.int8 = &int8_;
    }
    TwinTable(const TwinTable&) = delete;

    Matrix multiply(const Weight& weight, const Matrix& x, int n_threads) const {
        ThreadPool pool(n_threads);
        Scratch scratch(n_threads);
        Matmul matmul(pool, table_, scratch, ActivationsChoice::kOfFormat);
        Matrix out = Matrix::filled(x.n_rows, weight.rows, std::nanf(""));
        const MatmulTask task = {.weight = weight, .x = x.read(), .out = out.rows()};
        matmul.run({&task, 1});
        return out;
    }

  private:
    KernelTable table_;
    Int8Kernels int8_;
};

Matrix portable_product(const Weight& weight, const Matrix& x) {
    conformance::Machine portable("portable", 1);
    Matrix out = Matrix::filled(x.n_rows, weight.rows, 0.0F);
    const MatmulTask task = {.weight = weight, .x = x.read(), .out = out.rows()};
    portable->matmul({&task, 1});
    return out;
}

class Tiles : public testing::TestWithParam<FormatId> {};

TEST_P(Tiles, the_twin_gives_the_portable_bits_on_odd_shapes) {
    const TwinTable twin(0);
    for (const PanelShape& shape : kPanelShapes) {
        const PanelWeight weight(GetParam(), shape.rows, shape.cols, 17);
        for (const int64_t tokens : kPanelTokens) {
            const Matrix x = Matrix::random(tokens, shape.cols, 5);
            const Matrix expected = portable_product(weight.get(), x);
            for (const int threads : {1, 3}) {
                EXPECT_TRUE(
                    conformance::same_bits(expected, twin.multiply(weight.get(), x, threads)))
                    << threads << " threads, " << shape.rows << " x " << shape.cols << ", "
                    << tokens << " tokens";
            }
        }
    }
}

TEST_P(Tiles, dots_below_a_number_of_rows_and_tiles_above_it_give_the_same_bits) {
    const PanelWeight weight(GetParam(), 50, 300, 3);
    const Matrix x = Matrix::random(20, 300, 4);
    EXPECT_TRUE(conformance::same_bits(TwinTable(19).multiply(weight.get(), x, 2),
                                       TwinTable(20).multiply(weight.get(), x, 2)));
}

INSTANTIATE_TEST_SUITE_P(formats, Tiles, testing::ValuesIn(kPanelFormats), [](const auto& param) {
    return std::string(format_of(param.param).name);
});

/// Random bytes of all values.
std::vector<uint8_t> random_bytes(uint64_t seed) {
    std::vector<uint8_t> bytes(16 * 64);
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<uint8_t>(random_bits(seed, i, 3) >> 56);
    }
    return bytes;
}

TEST(SoftwareTiles, a_dot_adds_the_product_of_a_signed_and_an_unsigned_matrix) {
    const std::vector<uint8_t> a = random_bytes(1);
    const std::vector<uint8_t> b = random_bytes(2);
    std::vector<int32_t> sums(16 * 16, 1000);
    SoftwareTiles::configure();
    SoftwareTiles::load<2>(sums.data(), 64);
    SoftwareTiles::load<5>(a.data(), 64);
    SoftwareTiles::load<7>(b.data(), 64);
    SoftwareTiles::dot<2, 5, 7>();
    SoftwareTiles::store<2>(sums.data(), 64);
    SoftwareTiles::release();
    for (size_t m = 0; m < 16; ++m) {
        for (size_t n = 0; n < 16; ++n) {
            int32_t expected = 1000;
            for (size_t k = 0; k < 64; ++k) {
                // b's columns lie in groups of four
                expected +=
                    static_cast<int8_t>(a[m * 64 + k]) * int32_t{b[k / 4 * 64 + n * 4 + k % 4]};
            }
            EXPECT_EQ(expected, sums[m * 16 + n]) << m << ", " << n;
        }
    }
}

TEST(SoftwareTiles, rows_are_loaded_and_stored_at_a_stride_and_configuring_clears_them) {
    std::vector<uint8_t> wide(16 * 100, 7);
    std::vector<uint8_t> narrow(16 * 64, 1);
    SoftwareTiles::configure();
    SoftwareTiles::load<0>(wide.data(), 100);
    SoftwareTiles::store<0>(narrow.data(), 64);
    EXPECT_EQ(narrow, std::vector<uint8_t>(16 * 64, 7));
    SoftwareTiles::configure();
    SoftwareTiles::store<0>(wide.data(), 100);
    EXPECT_EQ(0, wide[0]);
    EXPECT_EQ(7, wide[64]) << "between rows";
    EXPECT_EQ(0, wide[100]);
    SoftwareTiles::release();
}

TEST(SoftwareTilesDeathTest, tiles_that_are_not_configured_end_the_program) {
    std::vector<uint8_t> bytes(16 * 64);
    EXPECT_DEATH(SoftwareTiles::load<0>(bytes.data(), 64), "configured");
}

}  // namespace
}  // namespace nereus
