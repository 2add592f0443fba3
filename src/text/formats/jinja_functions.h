#pragma once
// The functions every template may call: namespace, dict, range, raise_exception, strftime_now.

#include <memory>
#include <string_view>
#include <vector>

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

/// What lives as long as one run: the account, and the namespaces, which may point to each other.
struct Machine {
    Budget budget;
    std::vector<std::unique_ptr<Namespace>> namespaces;
};

struct Function {
    std::string_view name;
    Result<Value> (*call)(const Arguments& arguments, Machine& machine);
};

/// Null when there is no function of that name.
const Function* find_function(std::string_view name);

}  // namespace nereus::jinja
