#pragma once
// Products with panel formats: computes panels of output columns, straight from the codes for a few
// rows and by unpacked blocks for many. Both give the same bits.

#include <cstdint>

#include "compute/backend.h"
#include "compute/cpu/int8.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/scratch.h"

namespace nereus {

/// Floats of scratch that panel_product may lease.
int64_t panel_scratch_floats();

/// Output columns [begin, end) of a task; begin is a multiple of kOutColumns.
void panel_product(const MatmulTask& task, const Int8Rows& x, const Int8Kernels& kernels,
                   int64_t begin, int64_t end, Scratch& scratch);

}  // namespace nereus
