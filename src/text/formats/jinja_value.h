#pragma once
// The values a template works with: Python's undefined, None, bool, int, float, str, list, tuple
// and dict, plus namespaces, loops, macros and functions. Lists and dicts never change once made,
// so values are cheap to copy and cannot form cycles; only namespaces, joiners and cyclers change,
// and the interpreter owns those.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/formats/jinja_complex.h"
#include "text/formats/jinja_limits.h"
#include "text/formats/jinja_text.h"

namespace nereus::jinja {

class Value;
struct Function;   // jinja_functions.h
struct LoopState;  // jinja_interpreter.h
struct Method;     // jinja_access.h
struct Statement;  // jinja_ast.h

struct Undefined {
    std::string name;  ///< what was looked up, for the error message
};
struct None {};

/// What a value holds in all, known when it is made: lists that share their parts can be far larger
/// than memory, so nothing may walk one before paying for it.
struct Extent {
    int depth = 0;        ///< levels of lists and dicts
    int64_t weight = 1;   ///< steps that walking everything inside costs
    bool trusted = true;  ///< no text inside came from the request

    void add(const Extent& part);
};

/// Python's kinds of sequence, which print, compare and index differently.
enum class ListKind {
    kList,
    kTuple,
    kGroup,     ///< the (grouper, list) of groupby, a tuple with names
    kIterator,  ///< what map, select and their kin give: can only be walked, always true
    kKeys,      ///< dict.keys(), values() and items() can be walked and counted
    kValues,
    kItems,
    kRange,
};

struct List {
    std::vector<Value> items;
    ListKind kind = ListKind::kList;
    Extent extent{1, 1, true};

    bool is_tuple() const { return kind == ListKind::kTuple || kind == ListKind::kGroup; }
    bool has_length() const { return kind != ListKind::kIterator; }
    /// Can be indexed and cut.
    bool has_items() const {
        return kind == ListKind::kList || is_tuple() || kind == ListKind::kRange;
    }
};

struct Dict {
    std::vector<std::pair<Value, Value>> items;  ///< in insertion order
    std::unordered_map<std::string, size_t> index;
    Extent extent{1, 1, true};

    const Value* find(const Value& key) const;
    const Value* find(std::string_view key) const;
    /// Replaces the value of a key that is there.
    void insert(Value key, Value value);
};

struct Namespace {
    std::unordered_map<std::string, Value> fields;
};

/// What joiner() gives: called, it is nothing the first time and then the separator.
struct Joiner;
/// What cycler() gives: one item after the other, round and round.
struct Cycler;

/// `loop` in one turn; what the turns share belongs to the interpreter.
struct Loop {
    std::shared_ptr<const List> items;
    int64_t index0 = 0;
    int64_t depth0 = 0;
    int levels = 0;  ///< of lists and dicts in the items
    LoopState* state = nullptr;
};

/// A scope of the interpreter's stack, by place and by an id that is never used again.
struct ScopeRef {
    size_t index = 0;
    uint64_t id = 0;
};

/// A macro (or the body of a call block) is its statement in the syntax tree, which outlives every
/// value, and the scope it was defined in, which may be gone.
struct Macro {
    const Statement* statement = nullptr;
    ScopeRef scope;
};

struct BoundMethod;

class Value {
  public:
    using State = std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                               std::shared_ptr<const List>, std::shared_ptr<const Dict>, Namespace*,
                               std::shared_ptr<const Loop>, Macro, const Function*,
                               std::shared_ptr<const BoundMethod>, Complex, Joiner*, Cycler*>;

    Value() = default;
    Value(State state) : state_(std::move(state)) {}                             // NOLINT
    Value(Text text) : state_(std::make_shared<const Text>(std::move(text))) {}  // NOLINT
    static Value none() { return Value(State(None{})); }
    static Value undefined(std::string name) { return Value(State(Undefined{std::move(name)})); }
    static Value boolean(bool value) { return Value(State(value)); }
    static Value integer(int64_t value) { return Value(State(value)); }
    static Value real(double value) { return Value(State(value)); }
    /// A constant of the engine or the template.
    static Value trusted(std::string_view text) { return Value(Text(std::string(text), true)); }

    template <typename T>
    const T* get() const {
        return std::get_if<T>(&state_);
    }
    bool is_undefined() const { return get<Undefined>() != nullptr; }
    bool is_none() const { return get<None>() != nullptr; }
    const Text* text() const { return pointee<Text>(); }
    const List* list() const { return pointee<List>(); }
    const Dict* dict() const { return pointee<Dict>(); }
    const Loop* loop() const { return pointee<Loop>(); }
    const BoundMethod* method() const { return pointee<BoundMethod>(); }
    /// bool and int, as Python counts with both.
    std::optional<int64_t> as_integer() const;
    /// bool, int and float.
    std::optional<double> as_number() const;
    /// All of them and complex.
    std::optional<Complex> as_complex() const;

    /// Python's truth.
    bool truthy() const;
    /// "str", "int", "dict", ...
    const char* type_name() const;
    Extent extent() const;
    const State& state() const { return state_; }

  private:
    template <typename T>
    const T* pointee() const {
        const auto* pointer = get<std::shared_ptr<const T>>();
        return pointer == nullptr ? nullptr : pointer->get();
    }

    State state_;
};

struct Joiner {
    Value separator;
    bool is_used = false;
};

struct Cycler {
    std::vector<Value> items;
    size_t at = 0;
};

/// `text.upper` without a call.
struct BoundMethod {
    Value self;
    const Method* method = nullptr;
};

/// errors: overloaded over kValueDepthMax levels, which a destructor walks as well
Status check_levels(int levels);
Result<Value> make_list(std::vector<Value> items, ListKind kind = ListKind::kList);
Result<Value> make_dict(Dict dict);

/// The caller pays the smaller weight first.
bool equal(const Value& a, const Value& b);
/// a < b for numbers, for texts and for lists of them; the caller pays as for equal.
/// errors: invalid_argument for other pairs
Result<bool> less(const Value& a, const Value& b);

/// str(value), as {{ value }} prints it: "" for undefined, "None", "True", "['a', 1]". The text of
/// a container is trusted only when every text inside is. errors: overloaded
Result<Text> to_text(const Value& value, Budget& budget);
/// repr(value): texts in quotes, as inside a list. errors: overloaded
Result<Text> to_repr(const Value& value, Budget& budget);

/// Which texts of a JSON document are trusted.
enum class Trust { kNone, kAll };
/// errors: overloaded when nested deeper than kValueDepthMax
Result<Value> value_from_json(const Json& json, Trust trust);

/// errors: invalid_argument for what JSON cannot say (undefined, macros, dict views, ...)
Result<Json> json_from_value(const Value& value, Budget& budget);

}  // namespace nereus::jinja
