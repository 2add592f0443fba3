#include <algorithm>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_interpreter.h"
#include "text/formats/jinja_operators.h"
#include "text/formats/jinja_tests.h"

namespace nereus::jinja {

Result<Value> Interpreter::evaluate(const Expression& expression) {
    NEREUS_TRY(enter());
    const DepthGuard guard(depth_);
    return (this->*kEvaluate[static_cast<size_t>(expression.kind)])(expression);
}

Result<Value> Interpreter::eval_list(const Expression& expression) {
    const auto n_items = static_cast<int64_t>(expression.children.size());
    NEREUS_TRY(machine_.budget.spend_list(n_items));
    std::vector<Value> items;
    items.reserve(expression.children.size());
    for (const ExpressionPtr& child : expression.children) {
        items.push_back(NEREUS_TRY(evaluate(*child)));
    }
    return make_list(std::move(items), expression.kind == ExpressionKind::kTuple ? ListKind::kTuple
                                                                                 : ListKind::kList);
}

Result<Value> Interpreter::eval_dict(const Expression& expression) {
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

Result<Value> Interpreter::eval_arithmetic(const Expression& expression) {
    Value value = NEREUS_TRY(evaluate(*expression.children[0]));
    for (size_t i = 0; i < expression.operators.size(); ++i) {
        const Value right = NEREUS_TRY(evaluate(*expression.children[i + 1]));
        value =
            NEREUS_TRY(apply_arithmetic(expression.operators[i], value, right, machine_.budget));
    }
    return value;
}

Result<Value> Interpreter::eval_comparison(const Expression& expression) {
    Value left = NEREUS_TRY(evaluate(*expression.children[0]));
    for (size_t i = 0; i < expression.operators.size(); ++i) {
        Value right = NEREUS_TRY(evaluate(*expression.children[i + 1]));
        if (!NEREUS_TRY(apply_comparison(expression.operators[i], left, right, machine_.budget))) {
            return Value::boolean(false);
        }
        left = std::move(right);
    }
    return Value::boolean(true);
}

/// `and` and `or` give back the value that decided, as Python does.
Result<Value> Interpreter::eval_words(const Expression& expression) {
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

Result<Value> Interpreter::eval_not(const Expression& expression) {
    return Value::boolean(!NEREUS_TRY(evaluate(*expression.children[0])).truthy());
}

Result<Value> Interpreter::eval_sign(const Expression& expression) {
    return apply_sign(expression.kind == ExpressionKind::kNegate,
                      NEREUS_TRY(evaluate(*expression.children[0])));
}

Result<Value> Interpreter::eval_conditional(const Expression& expression) {
    const auto& children = expression.children;
    if (NEREUS_TRY(evaluate(*children[1])).truthy()) {
        return evaluate(*children[0]);
    }
    return children.size() == 3 ? evaluate(*children[2])
                                : Value::undefined("the value of an 'if' without 'else'");
}

Result<Value> Interpreter::eval_postfix(const Expression& expression) {
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

Result<Value> Interpreter::apply_attribute(const Value& value, const Postfix& postfix) {
    return attribute_of(value, postfix.name);
}

Result<Value> Interpreter::apply_item(const Value& value, const Postfix& postfix) {
    return item_of(value, NEREUS_TRY(evaluate(*postfix.index)), machine_.budget);
}

Result<Value> Interpreter::evaluate_or_none(const ExpressionPtr& expression) {
    return expression == nullptr ? Value::none() : evaluate(*expression);
}
Result<Value> Interpreter::apply_slice(const Value& value, const Postfix& postfix) {
    const Value start = NEREUS_TRY(evaluate_or_none(postfix.start));
    const Value stop = NEREUS_TRY(evaluate_or_none(postfix.stop));
    const Value step = NEREUS_TRY(evaluate_or_none(postfix.step));
    return slice_of(value, start, stop, step, machine_.budget);
}

Result<Value> Interpreter::apply_filter(const Value& value, const Postfix& postfix) {
    const Arguments arguments = NEREUS_TRY(evaluate_arguments(postfix.arguments));
    return find_filter(postfix.name)->apply(value, arguments, machine_.budget);
}

Result<Value> Interpreter::apply_test(const Value& value, const Postfix& postfix) {
    const Arguments arguments = NEREUS_TRY(evaluate_arguments(postfix.arguments));
    const bool holds =
        NEREUS_TRY(find_test(postfix.name)->check(value, arguments, machine_.budget));
    return Value::boolean(holds != postfix.negated);
}

// In the order of ExpressionKind and PostfixKind.
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

}  // namespace nereus::jinja
