// The AVX-512 VBMI kernel table: FP8 by looking up; everything else is inherited from AVX-512.

#include "compute/cpu/kernels.h"

#include "compute/cpu/avx512_vbmi/fp8.h"

namespace nereus {
namespace {

constexpr KernelTable vbmi_table() {
    KernelTable table{};
    table.name = "avx512_vbmi";
    for (const FormatId id : {FormatId::kF8E4m3, FormatId::kFp8Block128}) {
        table.formats[static_cast<int>(id)] = {dot_rows<Avx512, Fp8Lookup>,
                                               decode_rows<Avx512, Fp8Lookup>};
    }
    return table;
}

}  // namespace

extern constexpr KernelTable kAvx512VbmiKernels = vbmi_table();

}  // namespace nereus
