#pragma once
// The functions every template may call: namespace, dict, range, joiner, cycler, raise_exception,
// strftime_now.

#include <memory>
#include <string_view>
#include <vector>

#include "text/formats/jinja_arguments.h"

namespace nereus::jinja {

/// What lives as long as one run: the account, and what can change, whose parts may point to each
/// other.
struct Machine {
    Budget budget;
    std::vector<std::unique_ptr<Namespace>> namespaces;
    std::vector<std::unique_ptr<Joiner>> joiners;
    std::vector<std::unique_ptr<Cycler>> cyclers;
};

struct Function {
    std::string_view name;
    std::string_view parameters;  ///< what check_arguments reads
    Result<Value> (*run)(const Arguments& arguments, Machine& machine);

    /// errors: invalid_argument for arguments it does not take, and the function's own
    Result<Value> call(const Arguments& arguments, Machine& machine) const {
        NEREUS_TRY(check_arguments(name, parameters, arguments));
        return run(arguments, machine);
    }
};

/// Null when there is no function of that name.
const Function* find_function(std::string_view name);

}  // namespace nereus::jinja
