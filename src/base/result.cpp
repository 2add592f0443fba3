#include "base/result.h"

#include "base/check.h"

namespace nereus {

const char* error_code_name(ErrorCode code) {
    static constexpr const char* kNames[] = {"invalid_argument", "not_found",     "corrupt",
                                             "unsupported",      "out_of_memory", "io",
                                             "cancelled",        "overloaded"};
    return kNames[static_cast<int>(code)];
}

void check_failed(const char* expression, const char* file, int line) {
    fmt::print(stderr, "nereus: bug: check failed: {} at {}:{}\n", expression, file, line);
    std::abort();
}

}  // namespace nereus
