#include "text/formats/jinja_parser.h"

#include <algorithm>

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
        NEREUS_TRY(parse_targets(statement, false));
        NEREUS_TRY(stream_.expect_name("in"));
        statement.expression = NEREUS_TRY(expressions_.parse_tuple_or_one(false));
        if (stream_.skip_name("if")) {
            statement.condition = NEREUS_TRY(expressions_.parse(true));
        }
        if (stream_.is_name("recursive")) {
            return stream_.unsupported("a recursive loop");
        }
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

    Status parse_targets(Statement& statement, bool allow_fields) {
        const bool parenthesis = stream_.skip_operator("(");
        do {
            if (stream_.is_operator(")")) {
                break;
            }
            if (stream_.is_operator("(")) {
                return stream_.unsupported("a tuple of names inside a tuple of names");
            }
            Target target;
            target.name = NEREUS_TRY(stream_.expect_any_name());
            if (allow_fields && stream_.skip_operator(".")) {
                target.field = NEREUS_TRY(stream_.expect_any_name());
            }
            statement.targets.push_back(std::move(target));
            statement.unpacks = statement.unpacks || stream_.is_operator(",");
        } while (stream_.skip_operator(","));
        return parenthesis ? stream_.expect_operator(")") : Status();
    }

    Result<Statement> parse_set(Statement statement) {
        statement.kind = StatementKind::kSet;
        NEREUS_TRY(parse_targets(statement, true));
        if (stream_.skip_operator("=")) {
            statement.expression = NEREUS_TRY(expressions_.parse_tuple_or_one());
            NEREUS_TRY(stream_.expect_block_end());
            return statement;
        }
        statement.kind = StatementKind::kSetBlock;
        if (statement.unpacks) {
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

    Result<Statement> parse_macro(Statement statement) {
        statement.kind = StatementKind::kMacro;
        statement.name = NEREUS_TRY(stream_.expect_any_name());
        NEREUS_TRY(stream_.expect_operator("("));
        while (!stream_.skip_operator(")")) {
            if (!statement.parameters.empty()) {
                NEREUS_TRY(stream_.expect_operator(","));
            }
            Parameter parameter;
            parameter.name = NEREUS_TRY(stream_.expect_any_name());
            if (stream_.skip_operator("=")) {
                parameter.fallback = NEREUS_TRY(expressions_.parse());
            }
            statement.parameters.push_back(std::move(parameter));
        }
        NEREUS_TRY(stream_.expect_block_end());
        const int outer_loops = std::exchange(open_loops_, 0);
        statement.body = NEREUS_TRY(parse_block({"endmacro"}));
        open_loops_ = outer_loops;
        stream_.expect_name("endmacro").value();
        stream_.skip_name(statement.name);
        NEREUS_TRY(stream_.expect_block_end());
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
    ExpressionParser expressions_;
};

const StatementParser::Tag StatementParser::kTags[] = {
    {"if", &StatementParser::parse_if},
    {"for", &StatementParser::parse_for},
    {"set", &StatementParser::parse_set},
    {"macro", &StatementParser::parse_macro},
    {"generation", &StatementParser::parse_generation},
    {"break", &StatementParser::parse_break},
    {"continue", &StatementParser::parse_continue},
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
