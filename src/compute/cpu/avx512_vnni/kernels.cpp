// The AVX-512 VNNI kernel table: integer products; everything else is inherited from AVX-512.

#include "compute/cpu/kernels.h"

#include "compute/cpu/avx512_vnni/bytes.h"
#include "compute/cpu/avx512_vnni/int8.h"
#include "compute/cpu/avx512_vnni/latent.h"
#include "compute/cpu/wide/int8_blocks.h"

namespace nereus {
namespace {

inline constexpr BlockKernels kVnniBlocks = wide_blocks<VnniBytes>();

constexpr KernelTable vnni_table() {
    KernelTable table{};
    table.name = "avx512_vnni";
    table.int8 = &kVnniInt8;
    table.blocks = &kVnniBlocks;
    table.latent = &kVnniLatent;
    return table;
}

}  // namespace

extern constexpr KernelTable kAvx512VnniKernels = vnni_table();

}  // namespace nereus
