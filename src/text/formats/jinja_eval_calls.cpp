#include <algorithm>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_interpreter.h"

namespace nereus::jinja {

Result<Interpreter::Flow> Interpreter::run_loop(const Statement& statement, const Value& sequence,
                                                int64_t depth0) {
    auto items = NEREUS_TRY(iterate(sequence, machine_.budget));
    if (statement.condition != nullptr) {
        items = NEREUS_TRY(filter_items(statement, *items));
    }
    if (items->items.empty()) {
        return execute_scoped(statement.otherwise, {});
    }
    int levels = 0;
    for (const Value& item : items->items) {
        levels = std::max(levels, item.extent().depth + 1);
    }
    NEREUS_TRY(check_levels(levels));
    LoopState state{&statement, here(), depth0, std::nullopt};
    loops_.push_back(std::make_unique<LoopState>(std::move(state)));
    LoopState* shared = loops_.back().get();
    for (size_t i = 0; i < items->items.size(); ++i) {
        NEREUS_TRY(machine_.budget.spend());
        Scope scope;
        NEREUS_TRY(bind(statement.target, items->items[i], scope));
        const Loop loop{items, static_cast<int64_t>(i), depth0, levels, shared};
        scope["loop"] = Value(Value::State(std::make_shared<const Loop>(loop)));
        if (NEREUS_TRY(execute_scoped(statement.body, std::move(scope))) == Flow::kBreak) {
            break;
        }
    }
    return Flow::kNext;
}

/// `for x in items if condition`: loop counts only what passes.
Result<std::shared_ptr<const List>> Interpreter::filter_items(const Statement& statement,
                                                              const List& items) {
    auto kept = std::make_shared<List>();
    for (const Value& item : items.items) {
        NEREUS_TRY(machine_.budget.spend());
        Scope scope;
        NEREUS_TRY(bind(statement.target, item, scope));
        const FrameGuard frame(*this, std::move(scope), current_);
        if (NEREUS_TRY(evaluate(*statement.condition)).truthy()) {
            kept->items.push_back(item);
        }
    }
    return std::shared_ptr<const List>(std::move(kept));
}

Result<Value> Interpreter::call_loop(const Loop& loop, const Arguments& arguments) {
    const LoopState& state = *loop.state;
    if (!state.statement->recursive) {
        return make_error(ErrorCode::kInvalidArgument,
                          "loop() is called, but the loop is not recursive");
    }
    NEREUS_TRY(check_arguments("loop", "iterable /", arguments));
    const size_t parent = NEREUS_TRY(place_of(state.outer, "loop"));
    NEREUS_TRY(enter());
    const DepthGuard guard(depth_);
    const FrameGuard frame(*this, {}, parent);
    Text outer = std::exchange(out_, Text());
    const Result<Flow> flow = run_loop(*state.statement, arguments.positional[0], loop.depth0 + 1);
    Text inner = std::exchange(out_, std::move(outer));
    return flow.ok() ? Result<Value>(std::move(inner)) : flow.error();
}

Result<Arguments> Interpreter::evaluate_arguments(const ArgumentList& list) {
    Arguments arguments;
    for (const ExpressionPtr& positional : list.positional) {
        arguments.positional.push_back(NEREUS_TRY(evaluate(*positional)));
    }
    for (const NamedArgument& named : list.named) {
        arguments.named.emplace_back(named.name, NEREUS_TRY(evaluate(*named.value)));
    }
    if (list.more_positional != nullptr) {
        const Value more = NEREUS_TRY(evaluate(*list.more_positional));
        const auto items = NEREUS_TRY(iterate(more, machine_.budget));
        NEREUS_TRY(machine_.budget.spend_list(static_cast<int64_t>(items->items.size())));
        arguments.positional.insert(arguments.positional.end(), items->items.begin(),
                                    items->items.end());
    }
    if (list.more_named == nullptr) {
        return arguments;
    }
    const Value more = NEREUS_TRY(evaluate(*list.more_named));
    if (more.dict() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "'**' takes a dict, not {}",
                          more.type_name());
    }
    NEREUS_TRY(machine_.budget.spend(more.extent().weight));
    for (const auto& [key, value] : more.dict()->items) {
        if (key.text() == nullptr || arguments.find(SIZE_MAX, key.text()->view()) != nullptr) {
            return make_error(ErrorCode::kInvalidArgument,
                              "'**' gives an argument twice or one whose name is no string");
        }
        arguments.named.emplace_back(key.text()->bytes(), value);
    }
    return arguments;
}

Result<Value> Interpreter::apply_call(const Value& value, const Postfix& postfix) {
    return call_value(value, NEREUS_TRY(evaluate_arguments(postfix.arguments)));
}

Result<Value> Interpreter::apply_method(const Value& value, const Postfix& postfix) {
    return call_member(value, postfix.name, NEREUS_TRY(evaluate_arguments(postfix.arguments)));
}

Result<Value> Interpreter::call_value(const Value& callee, const Arguments& arguments) {
    if (const auto* function = callee.get<const Function*>()) {
        return (*function)->call(arguments, machine_);
    }
    if (const Macro* macro = callee.get<Macro>()) {
        return call_macro(*macro, arguments);
    }
    if (const BoundMethod* bound = callee.method()) {
        return bound->method->call(bound->self, arguments, machine_.budget);
    }
    if (const Loop* loop = callee.loop()) {
        return call_loop(*loop, arguments);
    }
    if (const auto* joiner = callee.get<Joiner*>()) {
        NEREUS_TRY(check_arguments("joiner", "", arguments));
        return std::exchange((*joiner)->is_used, true) ? (*joiner)->separator : Value::trusted("");
    }
    if (const Undefined* undefined = callee.get<Undefined>()) {
        return make_error(ErrorCode::kUnsupported, "'{}' is called but not defined",
                          undefined->name);
    }
    return make_error(ErrorCode::kInvalidArgument, "a {} cannot be called", callee.type_name());
}

Result<Value> Interpreter::call_member(const Value& value, const std::string& name,
                                       const Arguments& arguments) {
    if (const Method* method = find_method(value, name)) {
        return method->call(value, arguments, machine_.budget);
    }
    const Value member = NEREUS_TRY(attribute_of(value, name));
    if (member.is_undefined()) {
        return make_error(ErrorCode::kUnsupported, "{} has no method '{}' here", value.type_name(),
                          name);
    }
    return call_value(member, arguments);
}

Result<Value> Interpreter::call_macro(const Macro& macro, const Arguments& arguments) {
    const Statement& statement = *macro.statement;
    const size_t parent = NEREUS_TRY(place_of(macro.scope, statement.name));
    if (arguments.positional.size() > statement.parameters.size() &&
        !statement.takes_more_positional) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' takes {} arguments, not {}",
                          statement.name, statement.parameters.size(), arguments.positional.size());
    }
    NEREUS_TRY(enter());
    const DepthGuard guard(depth_);
    NEREUS_TRY(machine_.budget.spend());
    return Value(NEREUS_TRY(run_macro_body(statement, arguments, parent)));
}

Result<Text> Interpreter::run_macro_body(const Statement& macro, const Arguments& arguments,
                                         size_t parent) {
    const FrameGuard frame(*this, {}, parent);
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
        const Parameter& parameter = macro.parameters[i];
        const Value* given = arguments.find(i, parameter.name);
        if (given != nullptr) {
            names()[parameter.name] = *given;
        } else if (parameter.fallback == nullptr) {
            names()[parameter.name] = Value::undefined(parameter.name);
        } else {  // a default sees the parameters before it
            Value fallback = NEREUS_TRY(evaluate(*parameter.fallback));
            names()[parameter.name] = std::move(fallback);
        }
    }
    NEREUS_TRY(bind_special_names(macro, arguments));
    return capture(macro.body, {}, current_);
}

Status Interpreter::bind_special_names(const Statement& macro, const Arguments& arguments) {
    const auto place_of_parameter = [&](const std::string& name) {
        const auto found = std::find_if(macro.parameters.begin(), macro.parameters.end(),
                                        [&](const Parameter& p) { return p.name == name; });
        return static_cast<size_t>(found - macro.parameters.begin());
    };
    Dict more_named;
    Value caller = Value::undefined("caller");
    for (const auto& [name, value] : arguments.named) {
        const size_t place = place_of_parameter(name);
        if (place < macro.parameters.size() && place >= arguments.positional.size()) {
            continue;
        }
        if (name == "caller" && macro.takes_caller) {
            caller = value;
        } else if (macro.takes_more_named) {
            more_named.insert(Value::trusted(name), value);
        } else {
            return make_error(ErrorCode::kInvalidArgument, "'{}' takes no argument called '{}'",
                              macro.name, name);
        }
    }
    if (macro.takes_caller && place_of_parameter("caller") == macro.parameters.size()) {
        names()["caller"] = caller;
    }
    if (macro.takes_more_named) {
        names()["kwargs"] = NEREUS_TRY(make_dict(std::move(more_named)));
    }
    if (macro.takes_more_positional) {
        const size_t n = std::min(macro.parameters.size(), arguments.positional.size());
        std::vector<Value> more(arguments.positional.begin() + static_cast<std::ptrdiff_t>(n),
                                arguments.positional.end());
        names()["varargs"] = NEREUS_TRY(make_list(std::move(more), ListKind::kTuple));
    }
    return {};
}

}  // namespace nereus::jinja
