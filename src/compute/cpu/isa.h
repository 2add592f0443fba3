#pragma once
// Which kernel tables this CPU can run, and the complete table for a name.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compute/cpu/kernels.h"

namespace nereus {

/// The table named `isa` ("" = the fastest) with its null entries filled from slower ones; entries
/// of `formats` that no table has stay null. errors: unsupported.
Result<KernelTable> select_kernels(std::string_view isa);

}  // namespace nereus
