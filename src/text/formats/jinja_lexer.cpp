#include "text/formats/jinja_lexer.h"

#include <algorithm>
#include <charconv>

#include "base/unicode.h"
#include "text/formats/jinja_limits.h"
#include "text/formats/jinja_text.h"

namespace nereus::jinja {
namespace {

constexpr auto kNone = std::string_view::npos;
constexpr std::string_view kTwoCharOperators[] = {"==", "!=", "<=", ">=", "//", "**"};
constexpr std::string_view kOneCharOperators = "+-*/%~<>=()[]{}.,:|";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// Bytes above 0x7f are letters of some script; Jinja allows them in names.
bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

/// Line ends become \n and one at the very end goes away, as Jinja does before it looks.
std::string normalize_newlines(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            i += i + 1 < source.size() && source[i + 1] == '\n' ? 1 : 0;
        } else {
            out += source[i];
        }
    }
    if (!out.empty() && out.back() == '\n') {
        out.pop_back();
    }
    return out;
}

class Lexer {
  public:
    Lexer(std::string_view source, std::string_view origin)
        : source_(normalize_newlines(source)), text_(source_), origin_(origin) {}

    Result<std::vector<Token>> run() {
        while (at_ < text_.size()) {
            NEREUS_TRY(read_data());
        }
        add(TokenKind::kEnd, "");
        return std::move(tokens_);
    }

  private:
    Error corrupt(std::string_view what) const {
        return make_error(ErrorCode::kCorrupt, "{}:{}: {}", origin_, line_, what);
    }
    void add(TokenKind kind, std::string text) {
        tokens_.push_back({kind, std::move(text), line_});
    }
    bool starts(std::string_view prefix, size_t at) const {
        return text_.substr(at, prefix.size()) == prefix;
    }
    char peek(size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
    void advance_to(size_t end) {
        line_ +=
            static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                        text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
        at_ = end;
    }
    void skip_spaces() {
        const Span rest = strip_spaces(text_.substr(at_), true, false);
        advance_to(at_ + rest.begin);
    }

    /// Text up to the next tag, then that tag.
    Status read_data() {
        const size_t open = find_tag(at_);
        if (open == kNone) {
            add_data(text_.substr(at_));
            advance_to(text_.size());
            return {};
        }
        const char kind = text_[open + 1];
        const char sign = peek(open + 2);
        add_data(strip_before_tag(text_.substr(at_, open - at_), kind, sign));
        advance_to(open + (sign == '-' || sign == '+' ? 3 : 2));
        if (kind == '#') {
            return read_comment();
        }
        return kind == '{' ? read_print() : read_block();
    }
    size_t find_tag(size_t from) const {
        for (size_t at = text_.find('{', from); at != kNone; at = text_.find('{', at + 1)) {
            const char next = peek(at + 1);
            if (next == '{' || next == '%' || next == '#') {
                return at;
            }
        }
        return kNone;
    }
    /// "-" takes all whitespace before the tag; otherwise lstrip_blocks takes the blanks between
    /// the start of a line and a block or comment, unless the tag says "+".
    std::string_view strip_before_tag(std::string_view data, char kind, char sign) const {
        if (sign == '-') {
            return data.substr(0, strip_spaces(data, false, true).end);
        }
        if (sign == '+' || kind == '{') {
            return data;
        }
        const size_t newline = data.rfind('\n');
        if (newline == kNone && !line_starting_) {
            return data;
        }
        const size_t line = newline == kNone ? 0 : newline + 1;
        const Span rest = strip_spaces(data.substr(line), true, false);
        return rest.begin == rest.end ? data.substr(0, line) : data;
    }
    void add_data(std::string_view data) {
        if (!data.empty()) {
            add(TokenKind::kData, std::string(data));
        }
    }

    /// What follows the end of a tag: "-" takes all whitespace, a block or comment one newline
    /// (trim_blocks) unless it ends in "+". `at_` stands behind the end mark.
    void strip_after_tag(char sign, bool trims_newline) {
        const size_t begin = at_;
        if (sign == '-') {
            skip_spaces();
        } else if (trims_newline && sign != '+' && peek(at_) == '\n') {
            advance_to(at_ + 1);
        }
        line_starting_ = at_ > begin && text_[at_ - 1] == '\n';
    }

    Status read_comment() {
        const size_t close = text_.find("#}", at_);
        if (close == kNone) {
            return corrupt("a comment {# is not closed");
        }
        const char sign = close > at_ ? text_[close - 1] : '\0';
        advance_to(close + 2);
        strip_after_tag(sign, true);
        return {};
    }

    Status read_print() {
        add(TokenKind::kPrintBegin, "{{");
        const char sign = NEREUS_TRY(read_tokens("}}"));
        add(TokenKind::kPrintEnd, "}}");
        strip_after_tag(sign, false);
        return {};
    }

    Status read_block() {
        if (const size_t raw = match_word_tag("raw", at_, false); raw != kNone) {
            return read_raw(raw);
        }
        add(TokenKind::kBlockBegin, "{%");
        const char sign = NEREUS_TRY(read_tokens("%}"));
        add(TokenKind::kBlockEnd, "%}");
        strip_after_tag(sign, true);
        return {};
    }

    /// Where the tag `word %}` that begins (after its sign) at `at` ends, or npos. Jinja knows
    /// `endraw +%}`, but no `raw +%}`.
    size_t match_word_tag(std::string_view word, size_t at, bool allow_plus) const {
        at += strip_spaces(text_.substr(at), true, false).begin;
        if (!starts(word, at)) {
            return kNone;
        }
        at += word.size();
        at += strip_spaces(text_.substr(at), true, false).begin;
        at += peek(at) == '-' || (allow_plus && peek(at) == '+') ? 1 : 0;
        return starts("%}", at) ? at + 2 : kNone;
    }

    Status read_raw(size_t begin) {
        const char open_sign = text_[begin - 3];
        advance_to(begin);
        if (open_sign == '-') {
            skip_spaces();
        }
        line_starting_ = false;
        for (size_t tag = text_.find("{%", at_); tag != kNone; tag = text_.find("{%", tag + 1)) {
            const char sign = peek(tag + 2);
            const size_t after = tag + (sign == '-' || sign == '+' ? 3 : 2);
            const size_t end = match_word_tag("endraw", after, true);
            if (end == kNone) {
                continue;
            }
            add_data(strip_before_tag(text_.substr(at_, tag - at_), '%', sign));
            const char end_sign = text_[end - 3];
            advance_to(end);
            strip_after_tag(end_sign, true);
            return {};
        }
        return corrupt("a raw block has no {% endraw %}");
    }

    /// Tokens of one tag up to `close`, which counts only outside brackets. Returns the sign before
    /// it.
    Result<char> read_tokens(std::string_view close) {
        int open_brackets = 0;
        for (;;) {
            skip_spaces();
            if (at_ >= text_.size()) {
                return corrupt(fmt::format("a tag is not closed by {}", close));
            }
            const bool signed_close = (text_[at_] == '-' || (text_[at_] == '+' && close == "%}")) &&
                                      starts(close, at_ + 1);
            if (open_brackets == 0 && (signed_close || starts(close, at_))) {
                const char sign = signed_close ? text_[at_] : '\0';
                advance_to(at_ + close.size() + (signed_close ? 1 : 0));
                return sign;
            }
            NEREUS_TRY(read_token());
            const Token& token = tokens_.back();
            if (token.kind == TokenKind::kOperator) {
                const char c = token.text[0];
                open_brackets += c == '(' || c == '[' || c == '{' ? 1 : 0;
                open_brackets -= c == ')' || c == ']' || c == '}' ? 1 : 0;
                open_brackets = std::max(open_brackets, 0);
            }
        }
    }

    Status read_token() {
        const char c = text_[at_];
        if (is_name_start(c)) {
            size_t end = at_;
            while (is_name_part(peek(end))) {
                ++end;
            }
            add(TokenKind::kName, std::string(text_.substr(at_, end - at_)));
            advance_to(end);
            return {};
        }
        if (is_digit(c)) {
            return read_number();
        }
        return c == '"' || c == '\'' ? read_string(c) : read_operator();
    }

    Status read_operator() {
        for (const std::string_view two : kTwoCharOperators) {
            if (starts(two, at_)) {
                add(TokenKind::kOperator, std::string(two));
                advance_to(at_ + 2);
                return {};
            }
        }
        if (kOneCharOperators.find(text_[at_]) == kNone) {
            const auto length = static_cast<size_t>(next_code_point(text_.substr(at_)).n_bytes);
            return corrupt(
                fmt::format("unexpected '{}'", replace_invalid_utf8(text_.substr(at_, length))));
        }
        add(TokenKind::kOperator, std::string(1, text_[at_]));
        advance_to(at_ + 1);
        return {};
    }

    /// 0x1f, 0b1, 0o17: with underscores anywhere between the digits, decimal afterwards.
    Result<bool> read_prefixed_number() {
        static constexpr std::pair<char, int> kBases[] = {{'x', 16}, {'o', 8}, {'b', 2}};
        const auto* base = std::find_if(std::begin(kBases), std::end(kBases), [&](const auto& row) {
            return text_[at_] == '0' && (peek(at_ + 1) | 0x20) == row.first;
        });
        if (base == std::end(kBases)) {
            return false;
        }
        size_t end = at_ + 2;
        std::string digits;
        while (is_name_part(peek(end))) {
            digits += peek(end) == '_' ? "" : std::string(1, peek(end));
            ++end;
        }
        int64_t value = 0;
        const auto parsed =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, base->second);
        if (parsed.ec == std::errc::result_out_of_range) {
            return make_error(ErrorCode::kUnsupported, "{}:{}: the number {} is beyond 64 bits",
                              origin_, line_, text_.substr(at_, end - at_));
        }
        if (digits.empty() || peek(end - 1) == '_' || parsed.ptr != digits.data() + digits.size()) {
            return corrupt(fmt::format("'{}' is neither a number nor a name",
                                       replace_invalid_utf8(text_.substr(at_, end - at_))));
        }
        add(TokenKind::kInteger, std::to_string(value));
        advance_to(end);
        return true;
    }

    /// Behind a dot stands an index and never a fraction: x.0.1 is x[0][1].
    bool follows_dot() const {
        return !tokens_.empty() && tokens_.back().kind == TokenKind::kOperator &&
               tokens_.back().text == "." && at_ > 0 && text_[at_ - 1] == '.';
    }

    Status read_number() {
        if (NEREUS_TRY(read_prefixed_number())) {
            return {};
        }
        std::string digits;
        bool is_float = false;
        size_t end = at_;
        const auto take_digits = [&] {
            while (is_digit(peek(end)) || (peek(end) == '_' && is_digit(peek(end + 1)))) {
                if (peek(end) != '_') {
                    digits += peek(end);
                }
                ++end;
            }
        };
        take_digits();
        if (!follows_dot() && peek(end) == '.' && is_digit(peek(end + 1))) {
            is_float = true;
            digits += '.';
            ++end;
            take_digits();
        }
        const size_t sign = peek(end + 1) == '+' || peek(end + 1) == '-' ? 1 : 0;
        if ((peek(end) == 'e' || peek(end) == 'E') && is_digit(peek(end + 1 + sign))) {
            is_float = true;
            digits += text_.substr(end, 1 + sign);
            end += 1 + sign;
            take_digits();
        }
        const bool has_zeros = !is_float && digits.size() > 1 && digits[0] == '0' &&
                               digits.find_first_not_of('0') != kNone;
        if (is_name_start(peek(end)) || has_zeros) {
            const auto shown = text_.substr(at_, end + (has_zeros ? 0 : 1) - at_);
            return corrupt(
                fmt::format("'{}' is neither a number nor a name", replace_invalid_utf8(shown)));
        }
        add(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(digits));
        advance_to(end);
        return {};
    }

    Status read_string(char quote) {
        std::string out;
        size_t end = at_ + 1;
        while (end < text_.size() && text_[end] != quote) {
            if (text_[end] == '\\') {
                end = NEREUS_TRY(read_escape(out, end));
            } else {
                out += text_[end++];
            }
        }
        if (end >= text_.size()) {
            return corrupt("a string is not closed");
        }
        add(TokenKind::kString, std::move(out));
        advance_to(end + 1);
        return {};
    }

    /// Python's escapes. `at` is the backslash; returns where the text goes on.
    Result<size_t> read_escape(std::string& out, size_t at) {
        static constexpr std::string_view kNames = "ntrabfv\\'\"\n";
        static constexpr std::string_view kValues = "\n\t\r\a\b\f\v\\'\"";
        const char c = peek(at + 1);
        if (const size_t named = kNames.find(c); c != '\0' && named != kNone) {
            out += kValues.substr(named, 1);  // a backslash before a line end is nothing at all
            return at + 2;
        }
        const size_t n_digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (n_digits > 0) {
            return read_code_point(out, at + 2, n_digits, 16);
        }
        if (c >= '0' && c <= '7') {
            size_t n_octal = 1;
            while (n_octal < 3 && peek(at + 1 + n_octal) >= '0' && peek(at + 1 + n_octal) <= '7') {
                ++n_octal;
            }
            return read_code_point(out, at + 1, n_octal, 8);
        }
        if (c == 'N') {
            return make_error(ErrorCode::kUnsupported, "{}:{}: \\N{{...}} in a string", origin_,
                              line_);
        }
        out += '\\';  // an unknown escape stays as it is
        return at + 1;
    }

    Result<size_t> read_code_point(std::string& out, size_t at, size_t n_digits, int base) {
        uint32_t value = 0;
        const std::string_view digits = text_.substr(std::min(at, text_.size()), n_digits);
        const char* end = digits.data() + digits.size();
        const auto parsed = std::from_chars(digits.data(), end, value, base);
        const bool is_scalar = value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
        if (digits.size() != n_digits || parsed.ptr != end || parsed.ec != std::errc() ||
            !is_scalar) {
            return corrupt("an escape in a string is not a character");
        }
        append_utf8(out, static_cast<char32_t>(value));
        return at + n_digits;
    }

    std::string source_;
    std::string_view text_;
    std::string_view origin_;
    size_t at_ = 0;
    int line_ = 1;
    bool line_starting_ = true;  ///< nothing but removed text since the start of the line
    std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize_template(std::string_view source, std::string_view origin) {
    if (source.size() > kSourceBytesMax) {
        return make_error(ErrorCode::kOverloaded,
                          "{}: a chat template of {} bytes, at most {} are allowed", origin,
                          source.size(), kSourceBytesMax);
    }
    return Lexer(source, origin).run();
}

}  // namespace nereus::jinja
