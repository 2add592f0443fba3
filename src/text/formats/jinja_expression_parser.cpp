#include <algorithm>
#include <charconv>

#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_tests.h"
#include "text/formats/jinja_token_stream.h"

namespace nereus::jinja {
namespace {

struct DepthGuard {
    explicit DepthGuard(int& depth_in) : depth(depth_in) {}
    ~DepthGuard() { --depth; }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;
    int& depth;
};

constexpr std::string_view kComparisons[] = {"==", "!=", "<", "<=", ">", ">="};

bool starts_test_argument(const Token& token) {
    static constexpr std::string_view kNotArguments[] = {"else", "or", "and", "if",
                                                         "not",  "in", "is",  "recursive"};
    if (token.kind == TokenKind::kName) {
        return std::find(std::begin(kNotArguments), std::end(kNotArguments), token.text) ==
               std::end(kNotArguments);
    }
    return token.kind == TokenKind::kString || token.kind == TokenKind::kInteger ||
           token.kind == TokenKind::kFloat ||
           (token.kind == TokenKind::kOperator && (token.text == "[" || token.text == "{"));
}

}  // namespace

ExpressionPtr ExpressionParser::make(ExpressionKind kind) const {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->line = stream_.line();
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse(bool allow_conditional) {
    NEREUS_TRY(stream_.enter(depth_));
    const DepthGuard guard(depth_);
    return allow_conditional ? parse_conditional() : parse_or();
}

Result<ExpressionPtr> ExpressionParser::parse_tuple_or_one(bool allow_conditional) {
    ExpressionPtr first = NEREUS_TRY(parse(allow_conditional));
    if (!stream_.is_operator(",")) {
        return first;
    }
    ExpressionPtr tuple = make(ExpressionKind::kTuple);
    tuple->children.push_back(std::move(first));
    while (stream_.skip_operator(",")) {
        const bool ends = stream_.is(TokenKind::kPrintEnd) || stream_.is(TokenKind::kBlockEnd) ||
                          stream_.is_operator(")");
        if (ends) {
            break;
        }
        tuple->children.push_back(NEREUS_TRY(parse(allow_conditional)));
    }
    return tuple;
}

Result<ExpressionPtr> ExpressionParser::parse_conditional() {
    ExpressionPtr value = NEREUS_TRY(parse_or());
    while (stream_.skip_name("if")) {
        ExpressionPtr node = make(ExpressionKind::kConditional);
        node->children.push_back(std::move(value));
        node->children.push_back(NEREUS_TRY(parse_or()));
        if (stream_.skip_name("else")) {
            node->children.push_back(NEREUS_TRY(parse()));
            return node;
        }
        if (stream_.is_name("if")) {
            return stream_.unsupported("'a if b if c'");
        }
        value = std::move(node);
    }
    return value;
}

Result<ExpressionPtr> ExpressionParser::parse_words(std::string_view word, ExpressionKind kind,
                                                    Level inner) {
    ExpressionPtr first = NEREUS_TRY((this->*inner)());
    if (!stream_.is_name(word)) {
        return first;
    }
    ExpressionPtr node = make(kind);
    node->children.push_back(std::move(first));
    while (stream_.skip_name(word)) {
        node->children.push_back(NEREUS_TRY((this->*inner)()));
    }
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_or() {
    return parse_words("or", ExpressionKind::kOr, &ExpressionParser::parse_and);
}

Result<ExpressionPtr> ExpressionParser::parse_and() {
    return parse_words("and", ExpressionKind::kAnd, &ExpressionParser::parse_not);
}

Result<ExpressionPtr> ExpressionParser::parse_not() {
    if (!stream_.is_name("not")) {
        return parse_comparison();
    }
    NEREUS_TRY(stream_.enter(depth_));
    const DepthGuard guard(depth_);
    ExpressionPtr node = make(ExpressionKind::kNot);
    stream_.skip_name("not");
    node->children.push_back(NEREUS_TRY(parse_not()));
    return node;
}

/// The comparison operator that stands next, taken; "" when there is none.
Result<std::string> ExpressionParser::take_comparison() {
    for (const std::string_view comparison : kComparisons) {
        if (stream_.skip_operator(comparison)) {
            return std::string(comparison);
        }
    }
    if (stream_.skip_name("in")) {
        return std::string("in");
    }
    const Token& next = stream_.next();
    if (stream_.is_name("not") && next.kind == TokenKind::kName && next.text == "in") {
        stream_.skip_name("not");
        stream_.skip_name("in");
        return std::string("not in");
    }
    return std::string();
}

Result<ExpressionPtr> ExpressionParser::parse_comparison() {
    ExpressionPtr first = NEREUS_TRY(parse_sum());
    std::string comparison = NEREUS_TRY(take_comparison());
    if (comparison.empty()) {
        return first;
    }
    ExpressionPtr node = make(ExpressionKind::kComparison);
    node->children.push_back(std::move(first));
    while (!comparison.empty()) {
        node->operators.push_back(std::move(comparison));
        node->children.push_back(NEREUS_TRY(parse_sum()));
        comparison = NEREUS_TRY(take_comparison());
    }
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_chain(
    std::initializer_list<std::string_view> operators, Level inner) {
    ExpressionPtr first = NEREUS_TRY((this->*inner)());
    const auto stands_next = [&](std::string_view text) { return stream_.is_operator(text); };
    if (std::none_of(operators.begin(), operators.end(), stands_next)) {
        return first;
    }
    ExpressionPtr node = make(ExpressionKind::kArithmetic);
    node->children.push_back(std::move(first));
    while (std::any_of(operators.begin(), operators.end(), stands_next)) {
        node->operators.push_back(stream_.take().text);
        node->children.push_back(NEREUS_TRY((this->*inner)()));
    }
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_sum() {
    return parse_chain({"+", "-"}, &ExpressionParser::parse_concatenation);
}

Result<ExpressionPtr> ExpressionParser::parse_concatenation() {
    return parse_chain({"~"}, &ExpressionParser::parse_product);
}

Result<ExpressionPtr> ExpressionParser::parse_product() {
    return parse_chain({"*", "/", "//", "%"}, &ExpressionParser::parse_power);
}

Result<ExpressionPtr> ExpressionParser::parse_power() {
    return parse_chain({"**"}, &ExpressionParser::parse_unary);
}

Result<ExpressionPtr> ExpressionParser::parse_unary() { return parse_signed(true); }

Result<ExpressionPtr> ExpressionParser::parse_signed(bool with_filters) {
    const bool negative = stream_.is_operator("-");
    ExpressionPtr value;
    if (negative || stream_.is_operator("+")) {
        NEREUS_TRY(stream_.enter(depth_));
        const DepthGuard guard(depth_);
        value = make(negative ? ExpressionKind::kNegate : ExpressionKind::kPlus);
        stream_.take();
        value->children.push_back(NEREUS_TRY(parse_signed(false)));
    } else {
        value = NEREUS_TRY(parse_primary());
    }
    value = NEREUS_TRY(parse_postfixes(std::move(value)));
    return with_filters ? parse_filters(std::move(value)) : Result(std::move(value));
}

Result<ExpressionPtr> ExpressionParser::parse_primary() {
    if (stream_.is_operator("(")) {
        return parse_parenthesis();
    }
    if (stream_.is_operator("[")) {
        return parse_list();
    }
    if (stream_.is_operator("{")) {
        return parse_dict();
    }
    return parse_constant();
}

Result<ExpressionPtr> ExpressionParser::parse_constant() {
    ExpressionPtr node = make(ExpressionKind::kConstant);
    if (stream_.is(TokenKind::kName)) {
        const std::string name = stream_.take().text;
        if (name == "true" || name == "True" || name == "false" || name == "False") {
            node->constant = Value::boolean(name == "true" || name == "True");
        } else if (name == "none" || name == "None") {
            node->constant = Value::none();
        } else {
            special_names_.add(name);
            node->kind = ExpressionKind::kName;
            node->name = name;
        }
        return node;
    }
    if (stream_.is(TokenKind::kString)) {
        std::string text;
        while (stream_.is(TokenKind::kString)) {  // neighbours are one string
            text += stream_.take().text;
        }
        node->constant = Text(std::move(text), true);
        return node;
    }
    const bool is_integer = stream_.is(TokenKind::kInteger);
    if (!is_integer && !stream_.is(TokenKind::kFloat)) {
        return stream_.unexpected("a value");
    }
    const std::string& digits = stream_.current().text;
    int64_t integer = 0;
    double real = 0;
    const char* end = digits.data() + digits.size();
    const auto parsed = is_integer ? std::from_chars(digits.data(), end, integer)
                                   : std::from_chars(digits.data(), end, real);
    if (parsed.ec != std::errc()) {
        return stream_.unsupported("the number " + digits);
    }
    node->constant = is_integer ? Value::integer(integer) : Value::real(real);
    stream_.take();
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_parenthesis() {
    ExpressionPtr empty = make(ExpressionKind::kTuple);
    stream_.take();
    if (stream_.skip_operator(")")) {
        return empty;
    }
    ExpressionPtr inner = NEREUS_TRY(parse_tuple_or_one());
    NEREUS_TRY(stream_.expect_operator(")"));
    return inner;
}

Result<ExpressionPtr> ExpressionParser::parse_list() {
    ExpressionPtr node = make(ExpressionKind::kList);
    stream_.take();
    while (!stream_.skip_operator("]")) {
        if (!node->children.empty()) {
            NEREUS_TRY(stream_.expect_operator(","));
            if (stream_.skip_operator("]")) {
                break;
            }
        }
        node->children.push_back(NEREUS_TRY(parse()));
    }
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_dict() {
    ExpressionPtr node = make(ExpressionKind::kDict);
    stream_.take();
    while (!stream_.skip_operator("}")) {
        if (!node->children.empty()) {
            NEREUS_TRY(stream_.expect_operator(","));
            if (stream_.skip_operator("}")) {
                break;
            }
        }
        node->children.push_back(NEREUS_TRY(parse()));
        NEREUS_TRY(stream_.expect_operator(":"));
        node->children.push_back(NEREUS_TRY(parse()));
    }
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_postfixes(ExpressionPtr value) {
    std::vector<Postfix> postfixes;
    for (;;) {
        if (stream_.is_operator(".")) {
            postfixes.push_back(NEREUS_TRY(parse_attribute()));
        } else if (stream_.is_operator("[")) {
            postfixes.push_back(NEREUS_TRY(parse_subscript()));
        } else if (stream_.is_operator("(")) {
            Postfix call;
            call.kind = PostfixKind::kCall;
            call.line = stream_.line();
            stream_.take();
            call.arguments = NEREUS_TRY(parse_arguments());
            postfixes.push_back(std::move(call));
        } else {
            break;
        }
    }
    if (postfixes.empty()) {
        return value;
    }
    ExpressionPtr node = make(ExpressionKind::kPostfix);
    node->children.push_back(std::move(value));
    node->postfixes = std::move(postfixes);
    return node;
}

Result<ExpressionPtr> ExpressionParser::parse_filters(ExpressionPtr value) {
    std::vector<Postfix> postfixes;
    for (;;) {
        if (stream_.is_operator("|")) {
            stream_.take();
            postfixes.push_back(NEREUS_TRY(parse_filter()));
        } else if (stream_.is_name("is")) {
            postfixes.push_back(NEREUS_TRY(parse_test()));
        } else {
            break;
        }
    }
    if (postfixes.empty()) {
        return value;
    }
    ExpressionPtr node = make(ExpressionKind::kPostfix);
    node->children.push_back(std::move(value));
    node->postfixes = std::move(postfixes);
    return node;
}

Result<Postfix> ExpressionParser::parse_attribute() {
    Postfix postfix;
    postfix.line = stream_.line();
    stream_.take();
    if (stream_.is(TokenKind::kInteger)) {  // x.0 is x[0]
        postfix.kind = PostfixKind::kItem;
        postfix.index = NEREUS_TRY(parse_constant());
        return postfix;
    }
    postfix.name = NEREUS_TRY(stream_.expect_any_name());
    if (stream_.skip_operator("(")) {
        postfix.kind = PostfixKind::kMethod;
        postfix.arguments = NEREUS_TRY(parse_arguments());
    }
    return postfix;
}

Result<Postfix> ExpressionParser::parse_subscript() {
    Postfix postfix;
    postfix.kind = PostfixKind::kItem;
    postfix.line = stream_.line();
    stream_.take();
    if (!stream_.is_operator(":")) {
        postfix.index = NEREUS_TRY(parse());
    }
    if (stream_.skip_operator(":")) {
        postfix.kind = PostfixKind::kSlice;
        postfix.start = std::move(postfix.index);
        if (!stream_.is_operator(":") && !stream_.is_operator("]")) {
            postfix.stop = NEREUS_TRY(parse());
        }
        if (stream_.skip_operator(":") && !stream_.is_operator("]")) {
            postfix.step = NEREUS_TRY(parse());
        }
    }
    NEREUS_TRY(stream_.expect_operator("]"));
    return postfix;
}

Result<Postfix> ExpressionParser::parse_filter() {
    Postfix postfix;
    postfix.kind = PostfixKind::kFilter;
    postfix.line = stream_.line();
    postfix.name = NEREUS_TRY(stream_.expect_any_name());
    if (find_filter(postfix.name) == nullptr) {
        return stream_.unsupported(fmt::format("the filter '{}'", postfix.name));
    }
    if (stream_.skip_operator("(")) {
        postfix.arguments = NEREUS_TRY(parse_arguments());
    }
    return postfix;
}

Result<Postfix> ExpressionParser::parse_test() {
    Postfix postfix;
    postfix.kind = PostfixKind::kTest;
    postfix.line = stream_.line();
    stream_.take();
    postfix.negated = stream_.skip_name("not");
    postfix.name = NEREUS_TRY(stream_.expect_any_name());
    if (find_test(postfix.name) == nullptr) {
        return stream_.unsupported(fmt::format("the test '{}'", postfix.name));
    }
    if (stream_.skip_operator("(")) {
        postfix.arguments = NEREUS_TRY(parse_arguments());
    } else if (stream_.is_name("is")) {
        return stream_.corrupt("one 'is' cannot follow another");
    } else if (starts_test_argument(stream_.current())) {
        NEREUS_TRY(stream_.enter(depth_));
        const DepthGuard guard(depth_);
        ExpressionPtr argument = NEREUS_TRY(parse_primary());
        postfix.arguments.positional.push_back(NEREUS_TRY(parse_postfixes(std::move(argument))));
    }
    return postfix;
}

Result<ArgumentList> ExpressionParser::parse_arguments() {
    ArgumentList arguments;
    bool first = true;
    while (!stream_.skip_operator(")")) {
        if (!first) {
            NEREUS_TRY(stream_.expect_operator(","));
            if (stream_.skip_operator(")")) {
                break;
            }
        }
        first = false;
        NEREUS_TRY(parse_argument(arguments));
    }
    return arguments;
}

/// value, name=value, *list or **dict: in this order, each of the last two once.
Status ExpressionParser::parse_argument(ArgumentList& arguments) {
    const Token& next = stream_.next();
    const bool is_named =
        stream_.is(TokenKind::kName) && next.kind == TokenKind::kOperator && next.text == "=";
    const bool is_more = stream_.is_operator("*");
    const bool is_more_named = stream_.is_operator("**");
    const bool after_named = !arguments.named.empty() || arguments.more_positional != nullptr;
    if (arguments.more_named != nullptr || (is_more && arguments.more_positional != nullptr) ||
        (!is_named && !is_more && !is_more_named && after_named)) {
        return stream_.corrupt("an argument behind those it has to stand before");
    }
    if (is_more || is_more_named) {
        stream_.take();
        (is_more ? arguments.more_positional : arguments.more_named) = NEREUS_TRY(parse());
        return {};
    }
    if (!is_named) {
        arguments.positional.push_back(NEREUS_TRY(parse()));
        return {};
    }
    NamedArgument named;
    named.name = stream_.take().text;
    stream_.take();
    named.value = NEREUS_TRY(parse());
    arguments.named.push_back(std::move(named));
    return {};
}

}  // namespace nereus::jinja
