#pragma once
// Writing one row of a cache in its format (compute/kv_rows.h).

#include "compute/cpu/kernels.h"
#include "compute/kv_rows.h"

namespace nereus {

/// x [rows.width] to its place. The same bits in every table.
void append_kv_row(const KernelTable& kernels, const KvRows& rows, const float* x,
                   const KvPlace& place);

}  // namespace nereus
