// Products with a gate: the bits of two products and swiglu, for every format, table and number of
// threads.

#include <gtest/gtest.h>

#include "tests/conformance/panel_cases.h"

namespace nereus {
namespace {

using conformance::Machine;
using conformance::Matrix;
using conformance::OwnedWeight;
using conformance::PanelWeight;
using conformance::same_bits;

/// silu(gate x) * (up x) by three verbs.
Matrix by_three_verbs(Machine& machine, const Weight& gate, const Weight& up, const Matrix& x) {
    Matrix gate_out = Matrix::filled(x.n_rows, gate.rows, 0.0F);
    Matrix out = Matrix::filled(x.n_rows, gate.rows, 0.0F);
    const MatmulTask tasks[] = {{.weight = gate, .x = x.read(), .out = gate_out.rows()},
                                {.weight = up, .x = x.read(), .out = out.rows()}};
    machine->matmul(tasks);
    machine->swiglu(gate_out.read(), out.read(), out.rows());
    return out;
}

Matrix by_one(Machine& machine, const Weight& gate, const Weight& up, const Matrix& x) {
    Matrix gate_out = Matrix::filled(x.n_rows, gate.rows, 0.0F);
    Matrix out = Matrix::filled(x.n_rows, gate.rows, 0.0F);
    const MatmulTask task = {
        .weight = up, .x = x.read(), .out = out.rows(), .gate = gate, .gate_out = gate_out.rows()};
    machine->matmul({&task, 1});
    return out;
}

void expect_equal_everywhere(const Weight& gate, const Weight& up, int64_t tokens) {
    const Matrix x = Matrix::random(tokens, gate.cols, 5);
    Machine portable("portable", 1);
    const Matrix expected = by_three_verbs(portable, gate, up, x);
    for (const std::string& isa : available_isas()) {
        for (const int threads : {1, 3}) {
            Machine machine(isa, threads);
            EXPECT_TRUE(same_bits(expected, by_one(machine, gate, up, x)))
                << gate.format->name << ", " << isa << ", " << threads << " threads, " << gate.rows
                << " x " << gate.cols << ", " << tokens << " tokens";
        }
    }
}

TEST(Gated, block_formats_give_the_bits_of_the_three_verbs) {
    for (const FormatId id : conformance::weight_formats()) {
        const int64_t cols = 2 * format_of(id).block_elements + (id == FormatId::kF32 ? 3 : 0);
        for (const int64_t rows : {1, 37, 130}) {
            const OwnedWeight gate(id, rows, cols, 1);
            const OwnedWeight up(id, rows, cols, 2);
            for (const int64_t tokens : {1, 3, 9}) {
                expect_equal_everywhere(gate.get(), up.get(), tokens);
            }
        }
    }
}

TEST(Gated, panel_formats_give_the_bits_of_the_three_verbs) {
    for (const FormatId id : kPanelFormats) {
        for (const int64_t rows : {1, 47, 200}) {
            const PanelWeight gate(id, rows, 260, 1);
            const PanelWeight up(id, rows, 260, 2);
            for (const int64_t tokens : {1, 5, 20}) {
                expect_equal_everywhere(gate.get(), up.get(), tokens);
            }
        }
    }
}

/// As a layer of experts asks for: gated and plain products of several formats in one call.
TEST(Gated, products_of_one_call_do_not_touch_each_other) {
    const PanelWeight gate(FormatId::kQ4, 100, 128, 1);
    const PanelWeight up(FormatId::kQ4, 100, 128, 2);
    const OwnedWeight router(FormatId::kF32, 9, 128, 3);
    for (const std::string& isa : available_isas()) {
        Machine machine(isa, 2);
        const Matrix x = Matrix::random(2, 128, 4);
        Matrix gate_out = Matrix::filled(2, 100, 0.0F);
        Matrix inner = Matrix::filled(2, 100, 0.0F);
        Matrix logits = Matrix::filled(2, 9, 0.0F);
        Matrix alone = logits;
        const MatmulTask both[] = {{.weight = up.get(),
                                    .x = x.read(),
                                    .out = inner.rows(),
                                    .gate = gate.get(),
                                    .gate_out = gate_out.rows()},
                                   {.weight = router.get(), .x = x.read(), .out = logits.rows()}};
        machine->matmul(both);
        const MatmulTask one = {.weight = router.get(), .x = x.read(), .out = alone.rows()};
        machine->matmul({&one, 1});
        EXPECT_TRUE(same_bits(logits, alone)) << isa;
        EXPECT_TRUE(same_bits(inner, by_three_verbs(machine, gate.get(), up.get(), x))) << isa;
    }
}

}  // namespace
}  // namespace nereus
