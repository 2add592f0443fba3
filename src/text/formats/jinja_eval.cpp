#include "text/formats/jinja_eval.h"

#include <algorithm>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_functions.h"
#include "text/formats/jinja_operators.h"
#include "text/formats/jinja_tests.h"

namespace nereus::jinja {
namespace {

enum class Flow { kNext, kBreak, kContinue };

struct DepthGuard {
    explicit DepthGuard(int& depth_in) : depth(depth_in) {}
    ~DepthGuard() { --depth; }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;
    int& depth;
};

class Interpreter {
  public:
    explicit Interpreter(Scope variables) { scopes_.push_back(std::move(variables)); }

    Result<Text> run(const Block& block, std::string_view origin) {
        const Result<Flow> flow = execute(block);
        if (!flow.ok()) {
            return make_error(flow.error().code, "{}:{}: {}", origin, error_line_,
                              flow.error().message);
        }
        return std::move(out_);
    }

  private:
    using Execute = Result<Flow> (Interpreter::*)(const Statement& statement);
    using Evaluate = Result<Value> (Interpreter::*)(const Expression& expression);
    using Step = Result<Value> (Interpreter::*)(const Value& value, const Postfix& postfix);
    static const Execute kExecute[];
    static const Evaluate kEvaluate[];
    static const Step kSteps[];

    Status enter() {
        if (++depth_ > kEvaluatorDepthMax) {
            --depth_;
            return make_error(ErrorCode::kOverloaded,
                              "the template nests deeper than {} levels while it runs",
                              kEvaluatorDepthMax);
        }
        return machine_.budget.tick();
    }

    // ---- statements

    Result<Flow> execute(const Block& block) {
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

    /// Runs a block in a scope of its own.
    Result<Flow> execute_scoped(const Block& block, Scope scope) {
        scopes_.push_back(std::move(scope));
        Result<Flow> flow = execute(block);
        scopes_.pop_back();
        return flow;
    }

    /// Runs a block whose output becomes a value.
    Result<Text> capture(const Block& block, Scope scope) {
        Text outer = std::exchange(out_, Text());
        const Result<Flow> flow = execute_scoped(block, std::move(scope));
        Text inner = std::exchange(out_, std::move(outer));
        if (!flow.ok()) {
            return flow.error();
        }
        return inner;
    }

    Status write(const Text& text) {
        NEREUS_TRY(machine_.budget.spend_text(text.size()));
        if (out_.size() + text.size() > kOutputBytesMax) {
            return make_error(ErrorCode::kOverloaded, "the prompt is larger than {} bytes",
                              kOutputBytesMax);
        }
        out_.append(text);
        return {};
    }

    Result<Flow> run_text(const Statement& statement) {
        NEREUS_TRY(write(statement.text));
        return Flow::kNext;
    }

    Result<Flow> run_print(const Statement& statement) {
        const Value value = NEREUS_TRY(evaluate(*statement.expression));
        if (const Text* text = value.text()) {
            NEREUS_TRY(write(*text));
        } else {
            NEREUS_TRY(write(NEREUS_TRY(to_text(value, machine_.budget))));
        }
        return Flow::kNext;
    }

    Result<Flow> run_if(const Statement& statement) {
        for (const Branch& branch : statement.branches) {
            if (branch.condition == nullptr || NEREUS_TRY(evaluate(*branch.condition)).truthy()) {
                return execute(branch.body);
            }
        }
        return Flow::kNext;
    }

    Result<Flow> run_for(const Statement& statement) {
        const Value sequence = NEREUS_TRY(evaluate(*statement.expression));
        auto items = NEREUS_TRY(iterate(sequence, machine_.budget));
        if (statement.condition != nullptr) {
            items = NEREUS_TRY(filter_items(statement, *items));
        }
        if (items->items.empty()) {
            return execute_scoped(statement.otherwise, {});
        }
        for (size_t i = 0; i < items->items.size(); ++i) {
            Scope scope;
            NEREUS_TRY(machine_.budget.spend());
            NEREUS_TRY(bind_loop_targets(statement, items->items[i], scope));
            const Loop loop{items, static_cast<int64_t>(i)};
            scope["loop"] = Value(Value::State(std::make_shared<const Loop>(loop)));
            if (NEREUS_TRY(execute_scoped(statement.body, std::move(scope))) == Flow::kBreak) {
                break;
            }
        }
        return Flow::kNext;
    }

    /// `for x in items if condition`: loop counts only what passes.
    Result<std::shared_ptr<const List>> filter_items(const Statement& statement,
                                                     const List& items) {
        auto kept = std::make_shared<List>();
        for (const Value& item : items.items) {
            Scope scope;
            NEREUS_TRY(machine_.budget.spend());
            NEREUS_TRY(bind_loop_targets(statement, item, scope));
            scopes_.push_back(std::move(scope));
            const Result<Value> keep = evaluate(*statement.condition);
            scopes_.pop_back();
            if (!keep.ok()) {
                return keep.error();
            }
            if (keep->truthy()) {
                kept->items.push_back(item);
            }
        }
        return std::shared_ptr<const List>(std::move(kept));
    }

    Status bind_loop_targets(const Statement& statement, const Value& item, Scope& scope) {
        if (!statement.unpacks) {
            scope[statement.targets[0].name] = item;
            return {};
        }
        const auto parts = NEREUS_TRY(unpack(item, statement.targets.size()));
        for (size_t i = 0; i < parts.size(); ++i) {
            scope[statement.targets[i].name] = parts[i];
        }
        return {};
    }

    Result<std::vector<Value>> unpack(const Value& value, size_t n_targets) {
        const auto parts = NEREUS_TRY(iterate(value, machine_.budget));
        if (parts->items.size() != n_targets) {
            return make_error(ErrorCode::kInvalidArgument, "{} values where {} names are bound",
                              parts->items.size(), n_targets);
        }
        return parts->items;
    }

    Result<Flow> run_set(const Statement& statement) {
        const Value value = NEREUS_TRY(evaluate(*statement.expression));
        if (!statement.unpacks) {
            NEREUS_TRY(assign(statement.targets[0], value));
            return Flow::kNext;
        }
        const auto parts = NEREUS_TRY(unpack(value, statement.targets.size()));
        for (size_t i = 0; i < parts.size(); ++i) {
            NEREUS_TRY(assign(statement.targets[i], parts[i]));
        }
        return Flow::kNext;
    }

    Status assign(const Target& target, Value value) {
        if (target.field.empty()) {
            scopes_.back()[target.name] = std::move(value);
            return {};
        }
        const Value owner = look_up(target.name);
        if (owner.get<Namespace*>() == nullptr) {
            return make_error(ErrorCode::kInvalidArgument,
                              "'{}.{}' is set, but '{}' is not a namespace", target.name,
                              target.field, target.name);
        }
        (*owner.get<Namespace*>())->fields[target.field] = std::move(value);
        return {};
    }

    Result<Flow> run_set_block(const Statement& statement) {
        Value value = NEREUS_TRY(capture(statement.body, {}));
        for (const Postfix& filter : statement.postfixes) {
            value = NEREUS_TRY(apply_filter(value, filter));
        }
        NEREUS_TRY(assign(statement.targets[0], std::move(value)));
        return Flow::kNext;
    }

    Result<Flow> run_macro(const Statement& statement) {
        scopes_.back()[statement.name] = Value(Value::State(Macro{&statement}));
        return Flow::kNext;
    }

    Result<Flow> run_scope(const Statement& statement) { return execute(statement.body); }
    Result<Flow> run_break(const Statement&) { return Flow::kBreak; }
    Result<Flow> run_continue(const Statement&) { return Flow::kContinue; }

    // ---- expressions

    Result<Value> evaluate(const Expression& expression) {
        NEREUS_TRY(enter());
        const DepthGuard guard(depth_);
        return (this->*kEvaluate[static_cast<size_t>(expression.kind)])(expression);
    }

    /// A macro's body sees its own scopes and the template's outermost.
    Value look_up(const std::string& name) const {
        for (size_t i = scopes_.size(); i-- > macro_base_;) {
            if (const auto found = scopes_[i].find(name); found != scopes_[i].end()) {
                return found->second;
            }
        }
        if (const auto found = scopes_[0].find(name); found != scopes_[0].end()) {
            return found->second;
        }
        const Function* function = find_function(name);
        return function != nullptr ? Value(Value::State(function)) : Value::undefined(name);
    }

    Result<Value> eval_constant(const Expression& expression) { return expression.constant; }
    Result<Value> eval_name(const Expression& expression) { return look_up(expression.name); }

    Result<Value> eval_list(const Expression& expression) {
        const auto n_items = static_cast<int64_t>(expression.children.size());
        NEREUS_TRY(machine_.budget.spend_list(n_items));
        std::vector<Value> items;
        items.reserve(expression.children.size());
        for (const ExpressionPtr& child : expression.children) {
            items.push_back(NEREUS_TRY(evaluate(*child)));
        }
        return make_list(std::move(items), expression.kind == ExpressionKind::kTuple);
    }

    Result<Value> eval_dict(const Expression& expression) {
        Dict dict;
        for (size_t i = 0; i < expression.children.size(); i += 2) {
            Value key = NEREUS_TRY(evaluate(*expression.children[i]));
            NEREUS_TRY(machine_.budget.spend(key.extent().weight));
            if (key.list() != nullptr || key.dict() != nullptr || key.is_undefined()) {
                return make_error(ErrorCode::kInvalidArgument, "a {} cannot be the key of a dict",
                                  key.type_name());
            }
            dict.insert(std::move(key), NEREUS_TRY(evaluate(*expression.children[i + 1])));
        }
        return make_dict(std::move(dict));
    }

    Result<Value> eval_arithmetic(const Expression& expression) {
        Value value = NEREUS_TRY(evaluate(*expression.children[0]));
        for (size_t i = 0; i < expression.operators.size(); ++i) {
            const Value right = NEREUS_TRY(evaluate(*expression.children[i + 1]));
            value = NEREUS_TRY(
                apply_arithmetic(expression.operators[i], value, right, machine_.budget));
        }
        return value;
    }

    Result<Value> eval_comparison(const Expression& expression) {
        Value left = NEREUS_TRY(evaluate(*expression.children[0]));
        for (size_t i = 0; i < expression.operators.size(); ++i) {
            Value right = NEREUS_TRY(evaluate(*expression.children[i + 1]));
            if (!NEREUS_TRY(
                    apply_comparison(expression.operators[i], left, right, machine_.budget))) {
                return Value::boolean(false);
            }
            left = std::move(right);
        }
        return Value::boolean(true);
    }

    /// `and` and `or` give back the value that decided, as Python does.
    Result<Value> eval_words(const Expression& expression) {
        const bool stops_at = expression.kind == ExpressionKind::kOr;
        Value value;
        for (const ExpressionPtr& child : expression.children) {
            value = NEREUS_TRY(evaluate(*child));
            if (value.truthy() == stops_at) {
                break;
            }
        }
        return value;
    }

    Result<Value> eval_not(const Expression& expression) {
        return Value::boolean(!NEREUS_TRY(evaluate(*expression.children[0])).truthy());
    }

    Result<Value> eval_sign(const Expression& expression) {
        return apply_sign(expression.kind == ExpressionKind::kNegate,
                          NEREUS_TRY(evaluate(*expression.children[0])));
    }

    Result<Value> eval_conditional(const Expression& expression) {
        const auto& children = expression.children;
        if (NEREUS_TRY(evaluate(*children[1])).truthy()) {
            return evaluate(*children[0]);
        }
        return children.size() == 3 ? evaluate(*children[2])
                                    : Value::undefined("the value of an 'if' without 'else'");
    }

    Result<Value> eval_postfix(const Expression& expression) {
        Value value = NEREUS_TRY(evaluate(*expression.children[0]));
        for (const Postfix& postfix : expression.postfixes) {
            NEREUS_TRY(machine_.budget.tick());
            const Step step = kSteps[static_cast<size_t>(postfix.kind)];
            Result<Value> next = (this->*step)(value, postfix);
            if (!next.ok()) {
                error_line_ = error_line_ == 0 ? postfix.line : error_line_;
                return next;
            }
            value = std::move(next).value();
        }
        return value;
    }

    // ---- the steps of a postfix chain

    Result<Value> apply_attribute(const Value& value, const Postfix& postfix) {
        return attribute_of(value, postfix.name);
    }

    Result<Value> apply_item(const Value& value, const Postfix& postfix) {
        return item_of(value, NEREUS_TRY(evaluate(*postfix.index)), machine_.budget);
    }

    Result<Value> evaluate_or_none(const ExpressionPtr& expression) {
        return expression == nullptr ? Value::none() : evaluate(*expression);
    }
    Result<Value> apply_slice(const Value& value, const Postfix& postfix) {
        const Value start = NEREUS_TRY(evaluate_or_none(postfix.start));
        const Value stop = NEREUS_TRY(evaluate_or_none(postfix.stop));
        const Value step = NEREUS_TRY(evaluate_or_none(postfix.step));
        return slice_of(value, start, stop, step, machine_.budget);
    }

    Result<Arguments> evaluate_arguments(const ArgumentList& list) {
        Arguments arguments;
        for (const ExpressionPtr& positional : list.positional) {
            arguments.positional.push_back(NEREUS_TRY(evaluate(*positional)));
        }
        for (const NamedArgument& named : list.named) {
            arguments.named.emplace_back(named.name, NEREUS_TRY(evaluate(*named.value)));
        }
        return arguments;
    }

    Result<Value> apply_call(const Value& value, const Postfix& postfix) {
        const Arguments arguments = NEREUS_TRY(evaluate_arguments(postfix.arguments));
        if (const auto* function = value.get<const Function*>()) {
            return (*function)->call(arguments, machine_);
        }
        if (const Macro* macro = value.get<Macro>()) {
            return call_macro(*macro->statement, arguments);
        }
        if (const Undefined* undefined = value.get<Undefined>()) {
            return make_error(ErrorCode::kUnsupported, "'{}' is called but not defined",
                              undefined->name);
        }
        return make_error(ErrorCode::kInvalidArgument, "a {} cannot be called", value.type_name());
    }

    Result<Value> apply_method(const Value& value, const Postfix& postfix) {
        const Method* method = find_method(value, postfix.name);
        if (method != nullptr) {
            const Arguments arguments = NEREUS_TRY(evaluate_arguments(postfix.arguments));
            return method->call(value, arguments, machine_.budget);
        }
        const Value member = NEREUS_TRY(attribute_of(value, postfix.name));
        if (member.is_undefined()) {
            return make_error(ErrorCode::kUnsupported, "{} has no method '{}' here",
                              value.type_name(), postfix.name);
        }
        return apply_call(member, postfix);
    }

    Result<Value> apply_filter(const Value& value, const Postfix& postfix) {
        const Arguments arguments = NEREUS_TRY(evaluate_arguments(postfix.arguments));
        return find_filter(postfix.name)->apply(value, arguments, machine_.budget);
    }

    Result<Value> apply_test(const Value& value, const Postfix& postfix) {
        const Arguments arguments = NEREUS_TRY(evaluate_arguments(postfix.arguments));
        const bool holds =
            NEREUS_TRY(find_test(postfix.name)->holds(value, arguments, machine_.budget));
        return Value::boolean(holds != postfix.negated);
    }

    Result<Value> call_macro(const Statement& macro, const Arguments& arguments) {
        if (arguments.positional.size() > macro.parameters.size()) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' takes {} arguments, not {}",
                              macro.name, macro.parameters.size(), arguments.positional.size());
        }
        NEREUS_TRY(enter());
        const DepthGuard guard(depth_);
        NEREUS_TRY(machine_.budget.spend());
        const size_t outer_base = std::exchange(macro_base_, scopes_.size());
        Result<Value> result = run_macro_body(macro, arguments);
        macro_base_ = outer_base;
        return result;
    }

    Result<Value> run_macro_body(const Statement& macro, const Arguments& arguments) {
        Scope scope;
        for (size_t i = 0; i < macro.parameters.size(); ++i) {
            const Parameter& parameter = macro.parameters[i];
            const Value* given = arguments.find(i, parameter.name);
            scope[parameter.name] = given != nullptr ? *given
                                    : parameter.fallback != nullptr
                                        ? NEREUS_TRY(evaluate(*parameter.fallback))
                                        : Value::undefined(parameter.name);
        }
        return Value(NEREUS_TRY(capture(macro.body, std::move(scope))));
    }

    Machine machine_;
    std::vector<Scope> scopes_;
    size_t macro_base_ = 0;
    Text out_;
    int depth_ = 0;
    int error_line_ = 0;
};

// In the order of StatementKind, ExpressionKind and PostfixKind.
const Interpreter::Execute Interpreter::kExecute[] = {
    &Interpreter::run_text,     &Interpreter::run_print, &Interpreter::run_if,
    &Interpreter::run_for,      &Interpreter::run_set,   &Interpreter::run_set_block,
    &Interpreter::run_macro,    &Interpreter::run_scope, &Interpreter::run_break,
    &Interpreter::run_continue,
};
const Interpreter::Evaluate Interpreter::kEvaluate[] = {
    &Interpreter::eval_constant,   &Interpreter::eval_name,        &Interpreter::eval_list,
    &Interpreter::eval_list,       &Interpreter::eval_dict,        &Interpreter::eval_postfix,
    &Interpreter::eval_arithmetic, &Interpreter::eval_comparison,  &Interpreter::eval_words,
    &Interpreter::eval_words,      &Interpreter::eval_not,         &Interpreter::eval_sign,
    &Interpreter::eval_sign,       &Interpreter::eval_conditional,
};
const Interpreter::Step Interpreter::kSteps[] = {
    &Interpreter::apply_attribute, &Interpreter::apply_item,   &Interpreter::apply_slice,
    &Interpreter::apply_call,      &Interpreter::apply_method, &Interpreter::apply_filter,
    &Interpreter::apply_test,
};

}  // namespace

Result<Text> run_template(const Block& block, Scope variables, std::string_view origin) {
    return Interpreter(std::move(variables)).run(block, origin);
}

}  // namespace nereus::jinja
