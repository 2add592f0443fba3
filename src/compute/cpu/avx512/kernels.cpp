// The AVX-512 kernel table: the kernels of wide/ over this folder's lanes.

#include "compute/cpu/kernels.h"

#include "compute/cpu/avx512/lanes.h"
#include "compute/cpu/wide/table.h"

namespace nereus {

extern constexpr KernelTable kAvx512Kernels =
    wide_table<Avx512>("avx512", nullptr, nullptr, nullptr);

}  // namespace nereus
