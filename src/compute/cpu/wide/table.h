#pragma once
// Fills a KernelTable from a vocabulary of lanes.

#include "compute/cpu/wide/iq2_xxs.h"
#include "compute/cpu/wide/plain_formats.h"
#include "compute/cpu/wide/products.h"
#include "compute/cpu/wide/quant_formats.h"
#include "compute/cpu/wide/rows.h"

namespace nereus {
namespace {

template <class V>
constexpr KernelTable wide_table(const char* name, const Int8Kernels* int8,
                                 const BlockKernels* blocks, const LatentKernels* latent) {
    KernelTable table{};
    table.name = name;
    table.int8 = int8;
    table.blocks = blocks;
    table.latent = latent;
    const auto add = [&table]<class F>(FormatId id, F /*format*/) {
        table.formats[static_cast<int>(id)] = {dot_rows<V, F>, decode_rows<V, F>};
    };
    add(FormatId::kF32, F32<V>{});
    add(FormatId::kF16, F16<V>{});
    add(FormatId::kBf16, Bf16<V>{});
    add(FormatId::kF8E4m3, Fp8Block128<V>{});
    add(FormatId::kFp8Block128, Fp8Block128<V>{});
    add(FormatId::kQ8_0, Q8_0<V>{});
    add(FormatId::kQ4_0, Q4<V, 8, false>{});
    add(FormatId::kQ4_1, Q4<V, 0, true>{});
    add(FormatId::kQ5_0, Q5<V, 16, false>{});
    add(FormatId::kQ5_1, Q5<V, 0, true>{});
    add(FormatId::kQ2K, Q2K<V>{});
    add(FormatId::kQ3K, Q3K<V>{});
    add(FormatId::kQ4K, Q4K<V>{});
    add(FormatId::kQ5K, Q5K<V>{});
    add(FormatId::kQ6K, Q6K<V>{});
    add(FormatId::kIq2Xxs, Iq2Xxs<V>{});
    add(FormatId::kIq4Nl, Iq4Nl<V>{});
    add(FormatId::kMxfp4, Mxfp4<V>{});
    table.products = products<V>;
    table.accumulate = accumulate<V>;
    table.exp_row = exp_row<V>;
    table.softmax_row = softmax_row<V>;
    table.rms_norm_row = rms_norm_row<V>;
    table.swiglu_row = swiglu_row<V>;
    return table;
}

}  // namespace
}  // namespace nereus
