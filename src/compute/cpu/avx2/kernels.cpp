// The AVX2 kernel table: the kernels of wide/ over this folder's lanes.

#include "compute/cpu/kernels.h"

#include "compute/cpu/avx2/bytes.h"
#include "compute/cpu/avx2/int8.h"
#include "compute/cpu/avx2/lanes.h"
#include "compute/cpu/avx2/latent.h"
#include "compute/cpu/wide/int8_blocks.h"
#include "compute/cpu/wide/table.h"

namespace nereus {
namespace {

inline constexpr BlockKernels kAvx2Blocks = wide_blocks<Avx2Bytes>();

}  // namespace

extern constexpr KernelTable kAvx2Kernels = 
    wide_table<Avx2>("avx2", &kAvx2Int8, &kAvx2Blocks, &kAvx2Latent);

}  // namespace nereus
