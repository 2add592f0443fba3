#include "compute/cpu/kernels.h"

namespace nereus {

extern const KernelTable kAvx2Kernels = {.name = "avx2",
                                         .formats = {},
                                         .products = nullptr,
                                         .accumulate = nullptr,
                                         .exp_row = nullptr,
                                         .softmax_row = nullptr,
                                         .rms_norm_row = nullptr,
                                         .swiglu_row = nullptr};

}  // namespace nereus
