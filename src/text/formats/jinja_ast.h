#pragma once
// The syntax tree of a template: plain data, built by jinja_parser, walked by jinja_eval. Chains
// ("a + b - c", "x.y[0] | trim") are flat lists, so depth grows only with real nesting.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/formats/jinja_value.h"

namespace nereus::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct NamedArgument {
    std::string name;
    ExpressionPtr value;
};

struct ArgumentList {
    std::vector<ExpressionPtr> positional;
    std::vector<NamedArgument> named;
    ExpressionPtr more_positional;  ///< *list
    ExpressionPtr more_named;       ///< **dict
};

enum class PostfixKind { kAttribute, kItem, kSlice, kCall, kMethod, kFilter, kTest };

/// One step of a chain behind a value: .name  [index]  [a:b:c]  (args)  .name(args)  | name(args)
/// is [not] name(args)
struct Postfix {
    PostfixKind kind = PostfixKind::kAttribute;
    int line = 0;
    std::string name;
    bool negated = false;
    ArgumentList arguments;
    ExpressionPtr index;              ///< kItem
    ExpressionPtr start, stop, step;  ///< kSlice; null where absent
};

enum class ExpressionKind {
    kConstant,     ///< constant
    kName,         ///< name
    kList,         ///< children
    kTuple,        ///< children
    kDict,         ///< children: key, value, key, value, ...
    kPostfix,      ///< children[0], then every postfix
    kArithmetic,   ///< children[0] operators[0] children[1] operators[1] ...: left to right
    kComparison,   ///< the same, as Python chains comparisons
    kAnd,          ///< children
    kOr,           ///< children
    kNot,          ///< children[0]
    kNegate,       ///< children[0]
    kPlus,         ///< children[0]
    kConditional,  ///< children: value, condition, and the value otherwise where there is one
};

struct Expression {
    ExpressionKind kind = ExpressionKind::kConstant;
    int line = 0;
    Value constant;
    std::string name;
    std::vector<ExpressionPtr> children;
    std::vector<std::string> operators;
    std::vector<Postfix> postfixes;
};

struct Statement;
using Block = std::vector<Statement>;

/// name, name.field for a namespace, or a tuple of targets.
struct Target {
    std::string name;
    std::string field;
    std::vector<Target> parts;  ///< not empty: what is bound is taken apart
};

struct Branch {
    ExpressionPtr condition;  ///< null: else
    Block body;
};

struct Parameter {
    std::string name;
    ExpressionPtr fallback;  ///< null: undefined when not given
};

enum class StatementKind {
    kText,      ///< text
    kPrint,     ///< expression
    kIf,        ///< branches
    kFor,       ///< target, expression (what to walk), condition, body, otherwise
    kSet,       ///< target, expression
    kSetBlock,  ///< target, postfixes (filters), body
    kMacro,     ///< name, parameters, body
    kCall,      ///< expression (what is called), postfixes[0] (the call), parameters, body
    kFilter,    ///< postfixes (filters), body
    kWith,      ///< parameters, body
    kScope,     ///< body (a generation tag)
    kBlock,     ///< body, scoped
    kBreak,
    kContinue,
};

struct Statement {
    StatementKind kind = StatementKind::kText;
    int line = 0;
    Text text;
    std::string name;
    ExpressionPtr expression;
    ExpressionPtr condition;
    Target target;
    bool recursive = false;              ///< a loop that may call itself
    bool scoped = false;                 ///< a block that sees the names around it
    bool takes_caller = false;           ///< a macro whose body says `caller`, ...
    bool takes_more_positional = false;  ///< `varargs`
    bool takes_more_named = false;       ///< or `kwargs`
    std::vector<Parameter> parameters;
    std::vector<Postfix> postfixes;
    std::vector<Branch> branches;
    Block body;
    Block otherwise;
};

}  // namespace nereus::jinja
