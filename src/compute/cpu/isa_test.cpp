#include "compute/cpu/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "compute/backend.h"

namespace nereus {
namespace {

TEST(Isa, portable_is_always_there_and_last) {
    ASSERT_FALSE(available_isas().empty());
    EXPECT_EQ("portable", available_isas().back());
}

TEST(Isa, every_available_name_selects_a_table_without_holes) {
    for (const std::string& isa : available_isas()) {
        const auto table = select_kernels(isa);
        ASSERT_TRUE(table.ok()) << isa;
        EXPECT_EQ(isa, table->name);
        EXPECT_NE(nullptr, table->products);
        EXPECT_NE(nullptr, table->accumulate);
        EXPECT_NE(nullptr, table->exp_row);
        EXPECT_NE(nullptr, table->softmax_row);
        EXPECT_NE(nullptr, table->rms_norm_row);
        EXPECT_NE(nullptr, table->swiglu_row);
        EXPECT_NE(nullptr, table->latent);
    }
}

TEST(Isa, no_name_selects_the_fastest) {
    EXPECT_EQ(available_isas().front(), select_kernels("")->name);
}

TEST(Isa, an_unknown_name_is_refused_with_the_names_there_are) {
    ThreadPool pool(1);
    const auto backend = create_cpu_backend(pool, "avx1024");
    ASSERT_FALSE(backend.ok());
    EXPECT_EQ(ErrorCode::kUnsupported, backend.error().code);
    EXPECT_THAT(backend.error().message, testing::HasSubstr("avx1024"));
    EXPECT_THAT(backend.error().message, testing::HasSubstr("portable"));
}

TEST(Isa, the_backend_says_which_table_it_took) {
    ThreadPool pool(1);
    for (const std::string& isa : available_isas()) {
        EXPECT_EQ(isa, create_cpu_backend(pool, isa).value()->isa());
    }
}

}  // namespace
}  // namespace nereus
