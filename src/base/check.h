#pragma once
// Checks for our own bugs. They are always on; a failing one stops the process with file and line.
// Bad input is never a check: it is an Error (result.h).

#include <cstdlib>

namespace nereus {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define NEREUS_CHECK(condition)                                     \
    do {                                                            \
        if (!(condition)) {                                         \
            ::nereus::check_failed(#condition, __FILE__, __LINE__); \
        }                                                           \
    } while (false)

/// As NEREUS_CHECK, in debug builds only: for inner loops.
#ifdef NDEBUG
#define NEREUS_ASSERT(condition) ((void)0)
#else
#define NEREUS_ASSERT(condition) NEREUS_CHECK(condition)
#endif
