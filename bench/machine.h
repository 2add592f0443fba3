#pragma once
// What a measurement has to say about where it was taken: processor, cores, load, commit.

#include <string>

#include "base/json.h"

namespace nereus {

/// "cpu", "cores" (usable), "memory_gb", "flags" (those that matter to kernels), "load" (of the
/// last minute), "others_running" (tasks that wanted a core just before), "commit" (of the source
/// tree; "unknown" without git).
Json machine_json();

/// One line of it for people.
std::string machine_line(const Json& machine);

/// The value of the first line `key : value` of a /proc file's text; "" when there is none.
std::string proc_value(const std::string& text, const std::string& key);

}  // namespace nereus
