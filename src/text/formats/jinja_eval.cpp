#include "text/formats/jinja_eval.h"

#include "text/formats/jinja_filters.h"

namespace nereus::jinja {

Interpreter::Interpreter(Scope variables) { frames_.push_back({std::move(variables), 0, 0}); }

Result<Text> Interpreter::run(const Block& block, std::string_view origin) {
    const Result<Flow> flow = execute(block);
    if (!flow.ok()) {
        return make_error(flow.error().code, "{}:{}: {}", origin, error_line_,
                          flow.error().message);
    }
    return std::move(out_);
}

Interpreter::FrameGuard::FrameGuard(Interpreter& interpreter, Scope names, size_t parent)
    : interpreter_(interpreter), outer_(interpreter.current_) {
    interpreter_.frames_.push_back({std::move(names), parent, interpreter_.next_id_++});
    interpreter_.current_ = interpreter_.frames_.size() - 1;
}

Interpreter::FrameGuard::~FrameGuard() {
    interpreter_.frames_.pop_back();
    interpreter_.current_ = outer_;
}

Status Interpreter::enter() {
    if (++depth_ > kEvaluatorDepthMax) {
        --depth_;
        return make_error(ErrorCode::kOverloaded,
                          "the template nests deeper than {} levels while it runs",
                          kEvaluatorDepthMax);
    }
    return machine_.budget.tick();
}

Result<size_t> Interpreter::place_of(ScopeRef scope, std::string_view what) const {
    if (scope.index >= frames_.size() || frames_[scope.index].id != scope.id) {
        return make_error(ErrorCode::kUnsupported,
                          "'{}' is called after the block it was defined in has ended", what);
    }
    return scope.index;
}

Value Interpreter::look_up(const std::string& name) const {
    for (size_t place = current_;; place = frames_[place].parent) {
        const Scope& scope = frames_[place].names;
        if (const auto found = scope.find(name); found != scope.end()) {
            return found->second;
        }
        if (place == 0) {
            break;
        }
    }
    const Function* function = find_function(name);
    return function != nullptr ? Value(Value::State(function)) : Value::undefined(name);
}

Result<Interpreter::Flow> Interpreter::execute(const Block& block) {
    NEREUS_TRY(enter());
    const DepthGuard guard(depth_);
    for (const Statement& statement : block) {
        const Execute step = kExecute[static_cast<size_t>(statement.kind)];
        Result<Flow> flow = (this->*step)(statement);
        if (!flow.ok() && error_line_ == 0) {
            error_line_ = statement.line;
        }
        if (!flow.ok() || *flow != Flow::kNext) {
            return flow;
        }
    }
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_scoped(const Block& block, Scope scope) {
    const FrameGuard frame(*this, std::move(scope), current_);
    return execute(block);
}

Result<Text> Interpreter::capture(const Block& block, Scope scope, size_t parent) {
    const FrameGuard frame(*this, std::move(scope), parent);
    Text outer = std::exchange(out_, Text());
    const Result<Flow> flow = execute(block);
    Text inner = std::exchange(out_, std::move(outer));
    if (!flow.ok()) {
        return flow.error();
    }
    return inner;
}

Status Interpreter::write(const Text& text) {
    NEREUS_TRY(machine_.budget.spend_text(text.size()));
    if (out_.size() + text.size() > kOutputBytesMax) {
        return make_error(ErrorCode::kOverloaded, "the prompt is larger than {} bytes",
                          kOutputBytesMax);
    }
    out_.append(text);
    return {};
}

Status Interpreter::write_value(const Value& value) {
    const Text* text = value.text();
    return text != nullptr ? write(*text) : write(NEREUS_TRY(to_text(value, machine_.budget)));
}

Result<Interpreter::Flow> Interpreter::run_text(const Statement& statement) {
    NEREUS_TRY(write(statement.text));
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_print(const Statement& statement) {
    NEREUS_TRY(write_value(NEREUS_TRY(evaluate(*statement.expression))));
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_if(const Statement& statement) {
    for (const Branch& branch : statement.branches) {
        if (branch.condition == nullptr || NEREUS_TRY(evaluate(*branch.condition)).truthy()) {
            return execute(branch.body);
        }
    }
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_for(const Statement& statement) {
    return run_loop(statement, NEREUS_TRY(evaluate(*statement.expression)), 0);
}

Result<std::vector<Value>> Interpreter::unpack(const Value& value, size_t n_targets) {
    const auto parts = NEREUS_TRY(iterate(value, machine_.budget));
    if (parts->items.size() != n_targets) {
        return make_error(ErrorCode::kInvalidArgument, "{} values where {} names are bound",
                          parts->items.size(), n_targets);
    }
    return parts->items;
}

Status Interpreter::bind(const Target& target, const Value& value, Scope& scope) {
    if (!target.field.empty()) {
        return set_field(target, value);
    }
    if (target.parts.empty()) {
        scope[target.name] = value;
        return {};
    }
    const auto parts = NEREUS_TRY(unpack(value, target.parts.size()));
    for (size_t i = 0; i < parts.size(); ++i) {
        NEREUS_TRY(bind(target.parts[i], parts[i], scope));
    }
    return {};
}

Status Interpreter::assign(const Target& target, const Value& value) {
    return bind(target, value, names());
}

Status Interpreter::set_field(const Target& target, const Value& value) {
    const Value owner = look_up(target.name);
    if (owner.get<Namespace*>() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}.{}' is set, but '{}' is not a namespace", target.name, target.field,
                          target.name);
    }
    (*owner.get<Namespace*>())->fields[target.field] = value;
    return {};
}

Result<Interpreter::Flow> Interpreter::run_set(const Statement& statement) {
    NEREUS_TRY(assign(statement.target, NEREUS_TRY(evaluate(*statement.expression))));
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_set_block(const Statement& statement) {
    Value value = NEREUS_TRY(capture(statement.body, {}, current_));
    for (const Postfix& filter : statement.postfixes) {
        value = NEREUS_TRY(apply_filter(value, filter));
    }
    NEREUS_TRY(assign(statement.target, value));
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_macro(const Statement& statement) {
    names()[statement.name] = Value(Value::State(Macro{&statement, here()}));
    return Flow::kNext;
}

/// The callee gets the block as an argument called `caller`.
Result<Interpreter::Flow> Interpreter::run_call(const Statement& statement) {
    const Postfix& call = statement.postfixes[0];
    const Value callee = NEREUS_TRY(evaluate(*statement.expression));
    Arguments arguments = NEREUS_TRY(evaluate_arguments(call.arguments));
    arguments.named.emplace_back("caller", Value(Value::State(Macro{&statement, here()})));
    const Value result =
        NEREUS_TRY(call.kind == PostfixKind::kMethod ? call_member(callee, call.name, arguments)
                                                     : call_value(callee, arguments));
    NEREUS_TRY(write_value(result));
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_filter(const Statement& statement) {
    Value value = NEREUS_TRY(capture(statement.body, {}, current_));
    for (const Postfix& filter : statement.postfixes) {
        value = NEREUS_TRY(apply_filter(value, filter));
    }
    NEREUS_TRY(write_value(value));
    return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_with(const Statement& statement) {
    Scope scope;
    for (const Parameter& parameter : statement.parameters) {
        scope[parameter.name] = NEREUS_TRY(evaluate(*parameter.fallback));
    }
    return execute_scoped(statement.body, std::move(scope));
}

Result<Interpreter::Flow> Interpreter::run_scope(const Statement& statement) {
    return execute_scoped(statement.body, {});
}

/// Sees the names of the whole template, those around it only where it is scoped.
Result<Interpreter::Flow> Interpreter::run_block(const Statement& statement) {
    const FrameGuard frame(*this, {}, statement.scoped ? current_ : 0);
    return execute(statement.body);
}

// In the order of StatementKind.
const Interpreter::Execute Interpreter::kExecute[] = {
    &Interpreter::run_text,  &Interpreter::run_print,    &Interpreter::run_if,
    &Interpreter::run_for,   &Interpreter::run_set,      &Interpreter::run_set_block,
    &Interpreter::run_macro, &Interpreter::run_call,     &Interpreter::run_filter,
    &Interpreter::run_with,  &Interpreter::run_scope,    &Interpreter::run_block,
    &Interpreter::run_break, &Interpreter::run_continue,
};

Result<Text> run_template(const Block& block, Scope variables, std::string_view origin) {
    return Interpreter(std::move(variables)).run(block, origin);
}

}  // namespace nereus::jinja
