// The AVX-VNNI kernel table: integer products of panels; everything else is inherited from AVX2.

#include "compute/cpu/kernels.h"

#include "compute/cpu/avx_vnni/int8.h"

namespace nereus {
namespace {

inline constexpr Int8Kernels kAvxVnniInt8 = avx_vnni_int8();

constexpr KernelTable avx_vnni_table() {
    KernelTable table{};
    table.name = "avx_vnni";
    table.int8 = &kAvxVnniInt8;
    return table;
}

}  // namespace

extern constexpr KernelTable kAvxVnniKernels = avx_vnni_table();

}  // namespace nereus
