#include "text/formats/jinja_parser.h"

#include <algorithm>
#include <set>

#include "text/formats/jinja_token_stream.h"

namespace nereus::jinja {
namespace {

/// Parses tags and the blocks between them.
class StatementParser {
  public:
    explicit StatementParser(TokenStream& stream) : stream_(stream), expressions_(stream, depth_) {}

    Result<Block> parse_all() {
        Block block = NEREUS_TRY(parse_block({}));
        if (!stream_.is(TokenKind::kEnd)) {
            return stream_.corrupt(
                fmt::format("{{% {} %}} has nothing to end or continue", stream_.current().text));
        }
        return block;
    }

  private:
    using EndNames = std::initializer_list<std::string_view>;
    struct Tag {
        std::string_view name;
        Result<Statement> (StatementParser::*parse)(Statement statement);
    };
    static const Tag kTags[];

    bool ends_block(EndNames end_names) const {
        return stream_.is(TokenKind::kName) && std::find(end_names.begin(), end_names.end(),
                                                         stream_.current().text) != end_names.end();
    }

    /// Statements up to one of the tags named, whose `{%` is read and whose name stands next. With
    /// no names, up to the end or to a tag that cannot stand here.
    Result<Block> parse_block(EndNames end_names) {
        NEREUS_TRY(stream_.enter(depth_));
        Block block;
        while (!stream_.is(TokenKind::kEnd)) {
            if (stream_.is(TokenKind::kData)) {
                Statement text;
                text.line = stream_.line();
                text.text = Text(stream_.take().text, true);
                block.push_back(std::move(text));
            } else if (stream_.is(TokenKind::kPrintBegin)) {
                block.push_back(NEREUS_TRY(parse_print()));
            } else {
                stream_.take();
                if (ends_block(end_names) || is_end_tag()) {
                    break;
                }
                block.push_back(NEREUS_TRY(parse_tag()));
            }
        }
        --depth_;
        if (end_names.size() > 0 && !ends_block(end_names)) {
            return stream_.unexpected(fmt::format("{{% {} %}}", *std::prev(end_names.end())));
        }
        return block;
    }
    bool is_end_tag() const {
        const std::string& name = stream_.current().text;
        return name.starts_with("end") || name == "else" || name == "elif";
    }

    Result<Statement> parse_print() {
        Statement statement;
        statement.kind = StatementKind::kPrint;
        statement.line = stream_.line();
        stream_.take();
        statement.expression = NEREUS_TRY(expressions_.parse_tuple_or_one());
        if (!stream_.is(TokenKind::kPrintEnd)) {
            return stream_.unexpected("}}");
        }
        stream_.take();
        return statement;
    }

    Result<Statement> parse_tag();

    Status end_tag(std::string_view name) {
        NEREUS_TRY(stream_.expect_name(name));
        return stream_.expect_block_end();
    }

    Result<Statement> parse_if(Statement statement) {
        statement.kind = StatementKind::kIf;
        for (;;) {
            Branch branch;
            branch.condition = NEREUS_TRY(expressions_.parse_tuple_or_one(false));
            NEREUS_TRY(stream_.expect_block_end());
            branch.body = NEREUS_TRY(parse_block({"elif", "else", "endif"}));
            statement.branches.push_back(std::move(branch));
            if (!stream_.skip_name("elif")) {
                break;
            }
        }
        if (stream_.skip_name("else")) {
            NEREUS_TRY(stream_.expect_block_end());
            Branch branch;
            branch.body = NEREUS_TRY(parse_block({"endif"}));
            statement.branches.push_back(std::move(branch));
        }
        NEREUS_TRY(end_tag("endif"));
        return statement;
    }

    Result<Statement> parse_for(Statement statement) {
        statement.kind = StatementKind::kFor;
        statement.target = NEREUS_TRY(parse_target(false));
        NEREUS_TRY(stream_.expect_name("in"));
        statement.expression = NEREUS_TRY(expressions_.parse_tuple_or_one(false));
        if (stream_.skip_name("if")) {
            statement.condition = NEREUS_TRY(expressions_.parse(true));
        }
        statement.recursive = stream_.skip_name("recursive");
        NEREUS_TRY(stream_.expect_block_end());
        ++open_loops_;
        statement.body = NEREUS_TRY(parse_block({"else", "endfor"}));
        --open_loops_;
        if (stream_.skip_name("else")) {
            NEREUS_TRY(stream_.expect_block_end());
            statement.otherwise = NEREUS_TRY(parse_block({"endfor"}));
        }
        NEREUS_TRY(end_tag("endfor"));
        return statement;
    }

    /// One target, or several with commas, which are a tuple of them.
    Result<Target> parse_target(bool allow_fields) {
        NEREUS_TRY(stream_.enter(depth_));
        Target tuple;
        bool has_comma = false;
        do {
            if (has_comma &&
                (stream_.is_operator(")") || stream_.is_operator("=") || stream_.is_name("in"))) {
                break;
            }
            tuple.parts.push_back(NEREUS_TRY(parse_one_target(allow_fields)));
            has_comma = has_comma || stream_.is_operator(",");
        } while (stream_.skip_operator(","));
        --depth_;
        if (has_comma) {
            return tuple;
        }
        Target only = std::move(tuple.parts[0]);
        return only;
    }

    Result<Target> parse_one_target(bool allow_fields) {
        if (stream_.skip_operator("(")) {
            Target inner = NEREUS_TRY(parse_target(allow_fields));
            NEREUS_TRY(stream_.expect_operator(")"));
            return inner;
        }
        Target target;
        target.name = NEREUS_TRY(stream_.expect_any_name());
        if (allow_fields && stream_.skip_operator(".")) {
            target.field = NEREUS_TRY(stream_.expect_any_name());
        }
        return target;
    }

    Result<Statement> parse_set(Statement statement) {
        statement.kind = StatementKind::kSet;
        statement.target = NEREUS_TRY(parse_target(true));
        if (stream_.skip_operator("=")) {
            statement.expression = NEREUS_TRY(expressions_.parse_tuple_or_one());
            NEREUS_TRY(stream_.expect_block_end());
            return statement;
        }
        statement.kind = StatementKind::kSetBlock;
        if (!statement.target.parts.empty()) {
            return stream_.corrupt("a set block has one name");
        }
        while (stream_.skip_operator("|")) {
            statement.postfixes.push_back(NEREUS_TRY(expressions_.parse_filter()));
        }
        NEREUS_TRY(stream_.expect_block_end());
        statement.body = NEREUS_TRY(parse_block({"endset"}));
        NEREUS_TRY(end_tag("endset"));
        return statement;
    }

    /// `(a, b=1)` of a macro or a call block; a parameter with a default ends those without.
    Status parse_parameters(Statement& statement) {
        NEREUS_TRY(stream_.expect_operator("("));
        while (!stream_.skip_operator(")")) {
            if (!statement.parameters.empty()) {
                NEREUS_TRY(stream_.expect_operator(","));
            }
            Parameter parameter;
            parameter.name = NEREUS_TRY(stream_.expect_any_name());
            if (stream_.skip_operator("=")) {
                parameter.fallback = NEREUS_TRY(expressions_.parse());
            } else if (!statement.parameters.empty() &&
                       statement.parameters.back().fallback != nullptr) {
                return stream_.corrupt(fmt::format(
                    "the parameter '{}' has no default but follows one that has", parameter.name));
            }
            statement.parameters.push_back(std::move(parameter));
        }
        return {};
    }

    /// The body of a macro or a call block: no break leads out of it, and the special names in it
    /// are arguments.
    Status parse_macro_body(Statement& statement, std::string_view end_name) {
        const SpecialNames outer_names = expressions_.take_special_names();
        const int outer_loops = std::exchange(open_loops_, 0);
        statement.body = NEREUS_TRY(parse_block({end_name}));
        open_loops_ = outer_loops;
        const SpecialNames names = expressions_.take_special_names();
        statement.takes_caller = names.caller;
        statement.takes_more_positional = names.varargs;
        statement.takes_more_named = names.kwargs;
        expressions_.add_special_names(outer_names);
        expressions_.add_special_names(names);
        return stream_.expect_name(end_name);
    }

    Result<Statement> parse_macro(Statement statement) {
        statement.kind = StatementKind::kMacro;
        statement.name = NEREUS_TRY(stream_.expect_any_name());
        NEREUS_TRY(parse_parameters(statement));
        NEREUS_TRY(stream_.expect_block_end());
        NEREUS_TRY(parse_macro_body(statement, "endmacro"));
        stream_.skip_name(statement.name);
        NEREUS_TRY(stream_.expect_block_end());
        return statement;
    }

    /// {% call(parameters) callee(arguments) %}body{% endcall %}
    Result<Statement> parse_call(Statement statement) {
        statement.kind = StatementKind::kCall;
        statement.name = "caller";
        if (stream_.is_operator("(")) {
            NEREUS_TRY(parse_parameters(statement));
        }
        statement.expression = NEREUS_TRY(expressions_.parse());
        auto& steps = statement.expression->postfixes;
        if (steps.empty() || (steps.back().kind != PostfixKind::kCall &&
                              steps.back().kind != PostfixKind::kMethod)) {
            return stream_.corrupt("a call block calls something");
        }
        statement.postfixes.push_back(std::move(steps.back()));
        steps.pop_back();
        NEREUS_TRY(stream_.expect_block_end());
        NEREUS_TRY(parse_macro_body(statement, "endcall"));
        NEREUS_TRY(stream_.expect_block_end());
        return statement;
    }

    Result<Statement> parse_filter_block(Statement statement) {
        statement.kind = StatementKind::kFilter;
        do {
            statement.postfixes.push_back(NEREUS_TRY(expressions_.parse_filter()));
        } while (stream_.skip_operator("|"));
        NEREUS_TRY(stream_.expect_block_end());
        statement.body = NEREUS_TRY(parse_block({"endfilter"}));
        NEREUS_TRY(end_tag("endfilter"));
        return statement;
    }

    /// {% with a = 1, b = 2 %}: the values are those from outside.
    Result<Statement> parse_with(Statement statement) {
        statement.kind = StatementKind::kWith;
        while (!stream_.is(TokenKind::kBlockEnd)) {
            if (!statement.parameters.empty()) {
                NEREUS_TRY(stream_.expect_operator(","));
            }
            Parameter parameter;
            parameter.name = NEREUS_TRY(stream_.expect_any_name());
            NEREUS_TRY(stream_.expect_operator("="));
            parameter.fallback = NEREUS_TRY(expressions_.parse());
            statement.parameters.push_back(std::move(parameter));
        }
        NEREUS_TRY(stream_.expect_block_end());
        statement.body = NEREUS_TRY(parse_block({"endwith"}));
        NEREUS_TRY(end_tag("endwith"));
        return statement;
    }

    /// Hugging Face's mark of what a training run learns from; nothing to us.
    Result<Statement> parse_generation(Statement statement) {
        statement.kind = StatementKind::kScope;
        NEREUS_TRY(stream_.expect_block_end());
        statement.body = NEREUS_TRY(parse_block({"endgeneration"}));
        NEREUS_TRY(end_tag("endgeneration"));
        return statement;
    }

    /// {% block name scoped %}: without a template that extends this one, a place to stay.
    Result<Statement> parse_named_block(Statement statement) {
        statement.kind = StatementKind::kBlock;
        statement.name = NEREUS_TRY(stream_.expect_any_name());
        if (!block_names_.insert(statement.name).second) {
            return stream_.corrupt(fmt::format("two blocks are called '{}'", statement.name));
        }
        statement.scoped = stream_.skip_name("scoped");
        if (stream_.is_name("required")) {
            return stream_.unsupported("a block that another template has to fill");
        }
        NEREUS_TRY(stream_.expect_block_end());
        const int outer_loops = std::exchange(open_loops_, 0);  // no break leads out of it
        statement.body = NEREUS_TRY(parse_block({"endblock"}));
        open_loops_ = outer_loops;
        NEREUS_TRY(stream_.expect_name("endblock"));
        stream_.skip_name(statement.name);
        NEREUS_TRY(stream_.expect_block_end());
        return statement;
    }

    Result<Statement> parse_jump(Statement statement, StatementKind kind) {
        statement.kind = kind;
        if (open_loops_ == 0) {
            return stream_.corrupt("break or continue outside a loop");
        }
        NEREUS_TRY(stream_.expect_block_end());
        return statement;
    }
    Result<Statement> parse_break(Statement statement) {
        return parse_jump(std::move(statement), StatementKind::kBreak);
    }
    Result<Statement> parse_continue(Statement statement) {
        return parse_jump(std::move(statement), StatementKind::kContinue);
    }

    TokenStream& stream_;
    int depth_ = 0;
    int open_loops_ = 0;
    std::set<std::string> block_names_;
    ExpressionParser expressions_;
};

const StatementParser::Tag StatementParser::kTags[] = {
    {"if", &StatementParser::parse_if},
    {"for", &StatementParser::parse_for},
    {"set", &StatementParser::parse_set},
    {"macro", &StatementParser::parse_macro},
    {"call", &StatementParser::parse_call},
    {"filter", &StatementParser::parse_filter_block},
    {"with", &StatementParser::parse_with},
    {"generation", &StatementParser::parse_generation},
    {"break", &StatementParser::parse_break},
    {"continue", &StatementParser::parse_continue},
    {"block", &StatementParser::parse_named_block},
};

Result<Statement> StatementParser::parse_tag() {
    Statement statement;
    statement.line = stream_.line();
    const std::string name = stream_.current().text;
    for (const Tag& tag : kTags) {
        if (stream_.is_name(tag.name)) {
            stream_.take();
            return (this->*tag.parse)(std::move(statement));
        }
    }
    return stream_.unsupported(fmt::format("the tag '{}'", name));
}

}  // namespace

Result<Block> parse_template(std::string_view source, std::string_view origin) {
    TokenStream stream(NEREUS_TRY(tokenize_template(source, origin)), origin);
    return StatementParser(stream).parse_all();
}

}  // namespace nereus::jinja
