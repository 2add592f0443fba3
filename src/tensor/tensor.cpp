#include "tensor/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nereus {

int64_t Shape::n_elements() const {
    int64_t n = 1;
    for (const int64_t dim : dims) {
        n *= dim;
    }
    return n;
}

std::string Shape::to_string() const { return fmt::format("[{}]", fmt::join(dims, ", ")); }

}  // namespace nereus
