#include "text/formats/jinja_functions.h"

#include <algorithm>
#include <ctime>

namespace nereus::jinja {
namespace {

/// Adds what dict(value) holds: the items of a dict, or of a list of pairs.
Status add_fields(Dict& fields, const Value& value, Budget& budget) {
    NEREUS_TRY(budget.spend(value.extent().weight));
    if (const Dict* dict = value.dict()) {
        for (const auto& [key, item] : dict->items) {
            fields.insert(key, item);
        }
        return {};
    }
    const auto pairs = value.list() != nullptr ? value.list()->items : std::vector<Value>();
    for (const Value& pair : pairs) {
        const bool is_pair = pair.list() != nullptr && pair.list()->items.size() == 2;
        if (!is_pair || pair.list()->items[0].list() != nullptr ||
            pair.list()->items[0].dict() != nullptr) {
            return make_error(ErrorCode::kInvalidArgument, "a dict is made of pairs");
        }
        fields.insert(pair.list()->items[0], pair.list()->items[1]);
    }
    return value.list() != nullptr
               ? Status()
               : Status(make_error(ErrorCode::kInvalidArgument, "a dict is expected, not {}",
                                   value.type_name()));
}

/// Named arguments, and the items of what is given by position.
Result<Dict> collect_fields(const Arguments& arguments, Budget& budget) {
    Dict fields;
    for (const Value& value : arguments.positional) {
        NEREUS_TRY(add_fields(fields, value, budget));
    }
    for (const auto& [name, value] : arguments.named) {
        fields.insert(Value::trusted(name), value);
    }
    return fields;
}

Result<Value> make_namespace(const Arguments& arguments, Machine& machine) {
    const Dict fields = NEREUS_TRY(collect_fields(arguments, machine.budget));
    auto space = std::make_unique<Namespace>();
    for (const auto& [key, value] : fields.items) {
        if (const Text* name = key.text()) {
            space->fields[name->bytes()] = value;
        }
    }
    machine.namespaces.push_back(std::move(space));
    return Value(Value::State(machine.namespaces.back().get()));
}

Result<Value> make_dict_value(const Arguments& arguments, Machine& machine) {
    return make_dict(NEREUS_TRY(collect_fields(arguments, machine.budget)));
}

Result<Value> make_range(const Arguments& arguments, Machine& machine) {
    for (const Value& bound : arguments.positional) {
        if (!bound.as_integer()) {
            return make_error(ErrorCode::kInvalidArgument, "range takes integers, not {}",
                              bound.type_name());
        }
    }
    const bool has_start = arguments.positional.size() > 1;
    const int64_t start = has_start ? NEREUS_TRY(arguments.integer(0, "start", 0)) : 0;
    const int64_t stop = NEREUS_TRY(arguments.integer(has_start ? 1 : 0, "stop", 0));
    const int64_t step = NEREUS_TRY(arguments.integer(2, "step", 1));
    if (step == 0) {
        return make_error(ErrorCode::kInvalidArgument, "range with step 0");
    }
    // In 128 bits, where no pair of bounds overflows.
    const __int128 distance = static_cast<__int128>(stop) - start;
    const __int128 n_items = distance == 0 || (distance < 0) != (step < 0)
                                 ? 0
                                 : (distance + step - (step > 0 ? 1 : -1)) / step;
    const auto bounded = static_cast<int64_t>(std::min<__int128>(n_items, INT64_MAX - 1));
    NEREUS_TRY(machine.budget.spend_list(bounded));
    std::vector<Value> items;
    items.reserve(static_cast<size_t>(bounded));
    for (int64_t i = 0; i < bounded; ++i) {
        items.push_back(Value::integer(start + i * step));
    }
    return make_list(std::move(items), ListKind::kRange);
}

Result<Value> raise_exception(const Arguments& arguments, Machine& machine) {
    const Value message = NEREUS_TRY(arguments.required(0, "message"));
    const Text text = NEREUS_TRY(to_text(message, machine.budget));
    return make_error(ErrorCode::kInvalidArgument, "the template refuses this conversation: {}",
                      text.bytes());
}

/// The date in UTC: the local zone would be a read of the environment.
Result<Value> strftime_now(const Arguments& arguments, Machine& machine) {
    NEREUS_TRY(arguments.required(0, "format"));
    const Text format = NEREUS_TRY(arguments.text(0, "format", ""));
    NEREUS_TRY(machine.budget.spend_text(format.size()));
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::string out;
    for (size_t i = 0; i < format.size(); ++i) {
        static constexpr std::string_view kConversions = "aAbBdeHIjklmMpSuUwWyYZzDFTRh%nt";
        const char c = format.bytes()[i];
        if (c != '%' || i + 1 == format.size()) {
            out += c;
            continue;
        }
        bool no_zero = format.bytes()[i + 1] == '-' && i + 2 < format.size();
        i += no_zero ? 2 : 1;
        const char conversion = format.bytes()[i];
        if (kConversions.find(conversion) == std::string_view::npos) {
            return make_error(ErrorCode::kUnsupported, "'%{}' in strftime_now", conversion);
        }
        const char pattern[] = {'%', conversion, '\0'};
        char buffer[64];
        const size_t size = std::strftime(buffer, sizeof buffer, pattern, &utc);
        no_zero = no_zero && size > 1 && buffer[0] == '0';
        out.append(buffer + (no_zero ? 1 : 0), size - (no_zero ? 1 : 0));
    }
    return Value(Text(std::move(out), format.trusted()));
}

Result<Value> make_joiner(const Arguments& arguments, Machine& machine) {
    const Value* separator = arguments.find(0, "sep");
    NEREUS_TRY(machine.budget.spend());
    machine.joiners.push_back(
        std::make_unique<Joiner>(Joiner{separator != nullptr ? *separator : Value::trusted(", ")}));
    return Value(Value::State(machine.joiners.back().get()));
}

Result<Value> make_cycler(const Arguments& arguments, Machine& machine) {
    if (arguments.positional.empty()) {
        return make_error(ErrorCode::kInvalidArgument, "cycler without items");
    }
    NEREUS_TRY(machine.budget.spend_list(static_cast<int64_t>(arguments.positional.size())));
    machine.cyclers.push_back(std::make_unique<Cycler>(Cycler{arguments.positional}));
    return Value(Value::State(machine.cyclers.back().get()));
}

constexpr Function kFunctions[] = {
    {"namespace", "fields? / **", make_namespace},
    {"dict", "fields? / **", make_dict_value},
    {"range", "start stop? step? /", make_range},
    {"raise_exception", "message", raise_exception},
    {"strftime_now", "format", strftime_now},
    {"joiner", "sep?", make_joiner},
    {"cycler", "*", make_cycler},
};

}  // namespace

const Function* find_function(std::string_view name) {
    const auto* row = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const Function& f) { return f.name == name; });
    return row == std::end(kFunctions) ? nullptr : row;
}

}  // namespace nereus::jinja
