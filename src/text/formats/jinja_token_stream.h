#pragma once
// A reader over template tokens with the errors and the depth account the two parsers share.

#include <string_view>
#include <utility>
#include <vector>

#include "text/formats/jinja_ast.h"
#include "text/formats/jinja_lexer.h"
#include "text/formats/jinja_limits.h"

namespace nereus::jinja {

class TokenStream {
  public:
    TokenStream(std::vector<Token> tokens, std::string_view origin)
        : tokens_(std::move(tokens)), origin_(origin) {}

    const Token& current() const { return tokens_[at_]; }
    const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
    int line() const { return current().line; }
    Token take() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_[at_]; }

    bool is(TokenKind kind) const { return current().kind == kind; }
    bool is_operator(std::string_view text) const {
        return is(TokenKind::kOperator) && current().text == text;
    }
    bool is_name(std::string_view text) const {
        return is(TokenKind::kName) && current().text == text;
    }
    bool skip_operator(std::string_view text) { return is_operator(text) && skip(); }
    bool skip_name(std::string_view text) { return is_name(text) && skip(); }

    Status expect_operator(std::string_view text) {
        return skip_operator(text) ? Status() : Status(unexpected(text));
    }
    Status expect_name(std::string_view text) {
        return skip_name(text) ? Status() : Status(unexpected(text));
    }
    Result<std::string> expect_any_name() {
        if (!is(TokenKind::kName)) {
            return unexpected("a name");
        }
        return take().text;
    }
    Status expect_block_end() {
        return is(TokenKind::kBlockEnd) && skip() ? Status() : Status(unexpected("%}"));
    }

    Error unexpected(std::string_view wanted) const {
        const std::string found =
            is(TokenKind::kEnd) ? "the template ends" : fmt::format("'{}' stands", current().text);
        return corrupt(fmt::format("{} where {} is expected", found, wanted));
    }
    Error corrupt(std::string_view what) const {
        return make_error(ErrorCode::kCorrupt, "{}:{}: {}", origin_, line(), what);
    }
    Error unsupported(std::string_view what) const {
        return make_error(ErrorCode::kUnsupported,
                          "{}:{}: the template uses {}, which Nereus has not", origin_, line(),
                          what);
    }

    /// One more level of nesting, until `depth` goes out of scope. errors: overloaded
    Status enter(int& depth) const {
        if (++depth > kParserDepthMax) {
            return make_error(ErrorCode::kOverloaded, "{}:{}: nested deeper than {} levels",
                              origin_, line(), kParserDepthMax);
        }
        return {};
    }

  private:
    bool skip() {
        at_ += at_ + 1 < tokens_.size() ? 1 : 0;
        return true;
    }

    std::vector<Token> tokens_;
    std::string_view origin_;
    size_t at_ = 0;
};

/// Which of the names that a macro gets for the asking stood in an expression.
struct SpecialNames {
    bool caller = false;
    bool varargs = false;
    bool kwargs = false;

    void add(std::string_view name) {
        caller = caller || name == "caller";
        varargs = varargs || name == "varargs";
        kwargs = kwargs || name == "kwargs";
    }
    void add(const SpecialNames& other) {
        caller = caller || other.caller;
        varargs = varargs || other.varargs;
        kwargs = kwargs || other.kwargs;
    }
};

/// Parses expressions from a stream.
class ExpressionParser {
  public:
    ExpressionParser(TokenStream& stream, int& depth) : stream_(stream), depth_(depth) {}

    /// What was named since the last call.
    SpecialNames take_special_names() { return std::exchange(special_names_, {}); }
    void add_special_names(const SpecialNames& names) { special_names_.add(names); }

    /// A whole expression, `a if b else c` included where allowed.
    Result<ExpressionPtr> parse(bool allow_conditional = true);
    /// The same, or a tuple without parentheses: `for x in a, b`.
    Result<ExpressionPtr> parse_tuple_or_one(bool allow_conditional = true);
    /// `name`, `name(args)` after a `|`.
    Result<Postfix> parse_filter();
    /// Called behind `(`; reads up to and with `)`.
    Result<ArgumentList> parse_arguments();

  private:
    using Level = Result<ExpressionPtr> (ExpressionParser::*)();

    Result<ExpressionPtr> parse_conditional();
    Result<ExpressionPtr> parse_or();
    Result<ExpressionPtr> parse_and();
    Result<ExpressionPtr> parse_not();
    Result<ExpressionPtr> parse_comparison();
    Result<ExpressionPtr> parse_sum();
    Result<ExpressionPtr> parse_concatenation();
    Result<ExpressionPtr> parse_product();
    Result<ExpressionPtr> parse_power();
    Result<ExpressionPtr> parse_unary();
    Result<ExpressionPtr> parse_signed(bool with_filters);
    Result<ExpressionPtr> parse_primary();
    Result<ExpressionPtr> parse_constant();
    Result<ExpressionPtr> parse_parenthesis();
    Result<ExpressionPtr> parse_list();
    Result<ExpressionPtr> parse_dict();
    Result<ExpressionPtr> parse_postfixes(ExpressionPtr value);
    Result<ExpressionPtr> parse_filters(ExpressionPtr value);
    Result<Postfix> parse_attribute();
    Result<Postfix> parse_subscript();
    Result<Postfix> parse_test();
    Status parse_argument(ArgumentList& arguments);
    Result<ExpressionPtr> parse_words(std::string_view word, ExpressionKind kind, Level inner);
    Result<ExpressionPtr> parse_chain(std::initializer_list<std::string_view> operators,
                                      Level inner);
    Result<std::string> take_comparison();
    ExpressionPtr make(ExpressionKind kind) const;

    TokenStream& stream_;
    int& depth_;
    SpecialNames special_names_;
};

}  // namespace nereus::jinja
