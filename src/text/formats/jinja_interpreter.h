#pragma once
// The machine that walks a syntax tree: scopes, the text written so far and the account. Statements
// are in jinja_eval.cpp, expressions in jinja_eval_expressions.cpp, what is called (macros,
// callers, loops) in jinja_eval_calls.cpp.

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "text/formats/jinja_ast.h"
#include "text/formats/jinja_functions.h"

namespace nereus::jinja {

using Scope = std::unordered_map<std::string, Value>;

/// What the turns of one loop share. Lives as long as the run, for a `loop` may be kept.
struct LoopState {
    const Statement* statement = nullptr;
    ScopeRef outer;  ///< the scope the loop stands in
    int64_t depth0 = 0;
    std::optional<std::vector<Value>> last_changed;
};

class Interpreter {
  public:
    explicit Interpreter(Scope variables);

    /// errors: those of run_template
    Result<Text> run(const Block& block, std::string_view origin);

  private:
    enum class Flow { kNext, kBreak, kContinue };
    using Execute = Result<Flow> (Interpreter::*)(const Statement& statement);
    using Evaluate = Result<Value> (Interpreter::*)(const Expression& expression);
    using Step = Result<Value> (Interpreter::*)(const Value& value, const Postfix& postfix);
    static const Execute kExecute[];
    static const Evaluate kEvaluate[];
    static const Step kSteps[];

    /// Counts one level of nesting for as long as it lives.
    struct DepthGuard {
        explicit DepthGuard(int& depth_in) : depth(depth_in) {}
        ~DepthGuard() { --depth; }
        DepthGuard(const DepthGuard&) = delete;
        DepthGuard& operator=(const DepthGuard&) = delete;
        int& depth;
    };

    /// A scope on the stack. Its parent lies below it and need not be its neighbour: the body of a
    /// macro stands on the scope it was defined in, whoever calls it.
    struct Frame {
        Scope names;
        size_t parent = 0;
        uint64_t id = 0;
    };
    /// Puts a scope on the stack, above `parent`, and takes it away again.
    class FrameGuard {
      public:
        FrameGuard(Interpreter& interpreter, Scope names, size_t parent);
        ~FrameGuard();
        FrameGuard(const FrameGuard&) = delete;
        FrameGuard& operator=(const FrameGuard&) = delete;

      private:
        Interpreter& interpreter_;
        size_t outer_;
    };

    /// One level deeper. errors: overloaded
    Status enter();
    Scope& names() { return frames_[current_].names; }
    ScopeRef here() const { return {current_, frames_[current_].id}; }
    /// Where the scope lies. errors: unsupported when it has ended
    Result<size_t> place_of(ScopeRef scope, std::string_view what) const;
    Value look_up(const std::string& name) const;

    // ---- statements
    Result<Flow> execute(const Block& block);
    /// Runs a block in a scope of its own.
    Result<Flow> execute_scoped(const Block& block, Scope scope);
    /// Runs a block in a scope of its own above `parent`; its output becomes a value.
    Result<Text> capture(const Block& block, Scope scope, size_t parent);
    Status write(const Text& text);
    Status write_value(const Value& value);
    Result<Flow> run_text(const Statement& statement);
    Result<Flow> run_print(const Statement& statement);
    Result<Flow> run_if(const Statement& statement);
    Result<Flow> run_for(const Statement& statement);
    Result<Flow> run_set(const Statement& statement);
    Result<Flow> run_set_block(const Statement& statement);
    Result<Flow> run_macro(const Statement& statement);
    Result<Flow> run_call(const Statement& statement);
    Result<Flow> run_filter(const Statement& statement);
    Result<Flow> run_with(const Statement& statement);
    Result<Flow> run_scope(const Statement& statement);
    Result<Flow> run_block(const Statement& statement);
    Result<Flow> run_break(const Statement&) { return Flow::kBreak; }
    Result<Flow> run_continue(const Statement&) { return Flow::kContinue; }
    /// Binds a target's names in `scope`; fields are those of namespaces.
    Status bind(const Target& target, const Value& value, Scope& scope);
    Status assign(const Target& target, const Value& value);
    Status set_field(const Target& target, const Value& value);
    Result<std::vector<Value>> unpack(const Value& value, size_t n_targets);

    // ---- loops
    Result<Flow> run_loop(const Statement& statement, const Value& sequence, int64_t depth0);
    Result<std::shared_ptr<const List>> filter_items(const Statement& statement, const List& items);
    /// loop(items) inside a recursive loop.
    Result<Value> call_loop(const Loop& loop, const Arguments& arguments);

    // ---- expressions
    Result<Value> evaluate(const Expression& expression);
    Result<Value> eval_constant(const Expression& expression) { return expression.constant; }
    Result<Value> eval_name(const Expression& expression) { return look_up(expression.name); }
    Result<Value> eval_list(const Expression& expression);
    Result<Value> eval_dict(const Expression& expression);
    Result<Value> eval_postfix(const Expression& expression);
    Result<Value> eval_arithmetic(const Expression& expression);
    Result<Value> eval_comparison(const Expression& expression);
    Result<Value> eval_words(const Expression& expression);
    Result<Value> eval_not(const Expression& expression);
    Result<Value> eval_sign(const Expression& expression);
    Result<Value> eval_conditional(const Expression& expression);
    Result<Value> apply_attribute(const Value& value, const Postfix& postfix);
    Result<Value> apply_item(const Value& value, const Postfix& postfix);
    Result<Value> apply_slice(const Value& value, const Postfix& postfix);
    Result<Value> apply_call(const Value& value, const Postfix& postfix);
    Result<Value> apply_method(const Value& value, const Postfix& postfix);
    Result<Value> apply_filter(const Value& value, const Postfix& postfix);
    Result<Value> apply_test(const Value& value, const Postfix& postfix);
    Result<Value> evaluate_or_none(const ExpressionPtr& expression);

    // ---- calls
    Result<Arguments> evaluate_arguments(const ArgumentList& list);
    Result<Value> call_value(const Value& callee, const Arguments& arguments);
    Result<Value> call_member(const Value& value, const std::string& name,
                              const Arguments& arguments);
    Result<Value> call_macro(const Macro& macro, const Arguments& arguments);
    Result<Text> run_macro_body(const Statement& macro, const Arguments& arguments, size_t parent);
    /// What `varargs`, `kwargs` and `caller` are in a macro that names them.
    Status bind_special_names(const Statement& macro, const Arguments& arguments);

    Machine machine_;
    std::vector<std::unique_ptr<LoopState>> loops_;
    std::vector<Frame> frames_;
    size_t current_ = 0;
    uint64_t next_id_ = 1;
    Text out_;
    int depth_ = 0;
    int error_line_ = 0;
};

}  // namespace nereus::jinja
