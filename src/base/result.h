#pragma once
// Result<T>: a value or an Error. What the world does wrong (files, users, disks) travels as a
// Result; what we do wrong is a NEREUS_CHECK (check.h).

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace nereus {

/// The eight ways in which the world can be wrong.
enum class ErrorCode {
    kInvalidArgument,  ///< a request that makes no sense: wrong flag, bad id, context too long
    kNotFound,         ///< a file, tensor, key or token that should exist does not
    kCorrupt,          ///< bytes that contradict their format
    kUnsupported,      ///< a valid thing this build cannot handle
    kOutOfMemory,      ///< a budget or the machine is too small; the message says by how much
    kIo,               ///< the operating system refused a read, a write or a mapping
    kCancelled,        ///< the user asked to stop
    kOverloaded,       ///< a bounded queue or cache is full
};

/// "corrupt", "not_found", ...: the same word in logs, JSON and exit messages.
const char* error_code_name(ErrorCode code);

/// What went wrong: a code to act on and one line for a person, with file, offset, expected and
/// found where they apply.
struct Error {
    ErrorCode code = ErrorCode::kInvalidArgument;
    std::string message;
};

template <typename... Args>
Error make_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
    return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

/// Either a T or an Error. Implicit from both, so `return value;` and `return make_error(...)` read
/// well. value() on an error is a bug of the caller (checked).
template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const& { return std::get<1>(state_); }
    Error&& error() && { return std::get<1>(std::move(state_)); }

  private:
    std::variant<T, Error> state_;
};

/// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    void value() const {}
    const Error& error() const& { return error_.value(); }
    Error&& error() && { return std::move(error_).value(); }

  private:
    std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace nereus

#define NEREUS_JOIN_NAMES(a, b) a##b
#define NEREUS_JOIN(a, b) NEREUS_JOIN_NAMES(a, b)
#define NEREUS_TRY_NAMED(expression, name)                                 \
    __extension__({                                                        \
        auto name = (expression); /* NOLINT(bugprone-macro-parentheses) */ \
        if (!name.ok()) {         /* NOLINT(bugprone-macro-parentheses) */ \
            return std::move(name).error();                                \
        }                                                                  \
        std::move(name).value();                                           \
    })

/// Evaluates a Result; on error returns it from the enclosing function, else yields the value:
///   auto file = NEREUS_TRY(File::open(path));      NEREUS_TRY(check_header(file));
/// The counter keeps the hidden names of nested uses apart.
#define NEREUS_TRY(expression) \
    NEREUS_TRY_NAMED(expression, NEREUS_JOIN(nereus_try_result_, __COUNTER__))
