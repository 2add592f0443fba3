#pragma once
// The verbs of compute/backend.h on shapes of real models, as cases that can be run, checked and
// timed. A case says how many bytes and multiply-adds it has to touch; it owns its data.

#include <functional>
#include <string>
#include <vector>

#include "compute/backend.h"

namespace nereus {

struct OpCase {
    std::string name;            ///< "matmul/q4/4096x4096/8"
    double bytes = 0;            ///< read or written at least once
    double multiply_adds = 0;    ///< 0: a verb that only moves numbers
    const char* number = "f32";  ///< the roof of the multiply-adds: "int8" for panel formats
    std::function<void(Backend&)> run;
    std::function<std::vector<float>()> answer;  ///< of the last run
};

/// Every case by its name and a function that makes it, so that only one holds its memory at a
/// time.
struct OpCaseRow {
    std::string name;
    std::function<OpCase()> make;
};
std::vector<OpCaseRow> all_op_cases();

}  // namespace nereus
