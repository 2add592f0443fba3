#pragma once
// The name Json without its definition, for doors that only mention it.

#include <nlohmann/json_fwd.hpp>

namespace nereus {
using Json = nlohmann::ordered_json;
}
