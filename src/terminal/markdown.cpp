#include "terminal/markdown.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "base/unicode.h"
#include "terminal/layout/inline_style.h"
#include "terminal/layout/table.h"
#include "terminal/layout/wrap_writer.h"

namespace nereus {
namespace {

/// More rows than this are shown as they were written, so that a reply cannot be held for ever.
constexpr size_t kTableLinesMax = 200;

enum class LineKind { kUndecided, kProse, kHeading, kFence, kTable, kRule, kQuote, kItem };

/// The form of a line and how many bytes its marker takes, leading spaces included.
struct LineForm {
    LineKind kind = LineKind::kUndecided;
    size_t n_marker = 0;
    size_t n_indent = 0;
};

size_t run_of(std::string_view text, char c) {
    return std::min(text.find_first_not_of(c), text.size());
}

/// "- ", "* ", "+ ", "12. ", "12) ": the bytes up to and including the space.
LineForm item_form(std::string_view text, bool complete) {
    const size_t n_digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const bool bullet = n_digits == 0 && std::string_view("-*+").find(text[0]) != text.npos;
    const size_t n_sign = bullet ? 1 : n_digits + 1;
    if (n_digits > 9 || (!bullet && n_digits == 0)) {
        return {LineKind::kProse, 0, 0};
    }
    if (!bullet && text.size() > n_digits && text[n_digits] != '.' && text[n_digits] != ')') {
        return {LineKind::kProse, 0, 0};
    }
    if (text.size() <= n_sign) {
        return {complete ? LineKind::kProse : LineKind::kUndecided, 0, 0};
    }
    return {text[n_sign] == ' ' ? LineKind::kItem : LineKind::kProse, n_sign + 1, 0};
}

/// "---", "***", "___" alone in a line.
LineForm rule_form(std::string_view text, bool complete) {
    const size_t n = run_of(text, text[0]);
    if (n == text.size()) {
        const bool rule = complete && n >= 3;
        return {rule ? LineKind::kRule : complete ? LineKind::kProse : LineKind::kUndecided, n, 0};
    }
    return n == 1 && text[0] != '_' ? item_form(text, complete) : LineForm{LineKind::kProse, 0, 0};
}

LineForm heading_form(std::string_view text, bool complete) {
    const size_t n = run_of(text, '#');
    if (n == text.size() && !complete && n <= 6) {
        return {};
    }
    const bool heading = n <= 6 && n < text.size() && text[n] == ' ';
    return {heading ? LineKind::kHeading : LineKind::kProse, n + 1, 0};
}

LineForm fence_form(std::string_view text, bool complete) {
    const size_t n = run_of(text, text[0]);
    if (n < 3) {
        return {n == text.size() && !complete ? LineKind::kUndecided : LineKind::kProse, 0, 0};
    }
    return {complete ? LineKind::kFence : LineKind::kUndecided, n, 0};
}

/// The form of a line that is not inside a fence, once it is certain.
LineForm form_of(std::string_view line, bool complete) {
    const size_t n_indent = run_of(line, ' ');
    const std::string_view text = line.substr(n_indent);
    if (text.empty()) {
        return {complete ? LineKind::kProse : LineKind::kUndecided, n_indent, n_indent};
    }
    LineForm form{LineKind::kProse, 0, 0};
    const char c = text[0];
    if (c == '#') {
        form = heading_form(text, complete);
    } else if (c == '`' || c == '~') {
        form = fence_form(text, complete);
    } else if (c == '-' || c == '*' || c == '_') {
        form = rule_form(text, complete);
    } else if (c == '+' || std::isdigit(static_cast<unsigned char>(c)) != 0) {
        form = item_form(text, complete);
    } else if (c == '>') {
        form = {LineKind::kQuote, text.size() > 1 && text[1] == ' ' ? 2U : 1U, 0};
        form.kind = text.size() == 1 && !complete ? LineKind::kUndecided : form.kind;
    } else if (c == '|') {
        form.kind = complete ? LineKind::kTable : LineKind::kUndecided;
    }
    form.n_indent = n_indent;
    form.n_marker = form.kind == LineKind::kProse ? n_indent : n_indent + form.n_marker;
    return form;
}

}  // namespace

class MarkdownWriter::Machine {
  public:
    Machine(TerminalSink sink, const TerminalTraits& traits)
        : sink_(std::move(sink)),
          traits_(traits),
          wrap_(sink_, traits.columns - 1),
          inline_(wrap_) {}

    void write(std::string_view text) {
        if (!traits_.can_style) {
            sink_(traits_.is_terminal ? neutralise(whole_characters(text)) : std::string(text));
            return;
        }
        pending_ += neutralise(whole_characters(text));
        for (size_t end = pending_.find('\n'); end != std::string::npos;
             end = pending_.find('\n')) {
            const std::string line = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            end_line(line);
        }
        write_partial();
    }

    void finish() {
        if (!traits_.can_style) {
            sink_(traits_.is_terminal ? neutralise(split_) : split_);
            split_.clear();
            return;
        }
        pending_ += neutralise(split_);
        split_.clear();
        if (!pending_.empty() || form_.kind != LineKind::kUndecided) {
            finish_content(std::exchange(pending_, {}));
        }
        inline_.begin_line();
        wrap_.flush();  // the last word still hangs under its item
        end_table();
        wrap_.flush();
    }

    void set_columns(int columns) {
        traits_.columns = columns;
        wrap_.set_columns(columns - 1);
    }

  private:
    /// Holds back the beginning of a character.
    std::string whole_characters(std::string_view text) {
        split_ += text;
        const size_t n_held = incomplete_utf8_suffix(split_);
        std::string whole = split_.substr(0, split_.size() - n_held);
        split_.erase(0, whole.size());
        return whole;
    }

    /// Writes what is certain of a line that goes on.
    void write_partial() {
        if (pending_.empty()) {
            return;
        }
        if (fence_size_ > 0) {
            write_code_part();
            return;
        }
        if (form_.kind == LineKind::kUndecided) {
            form_ = form_of(pending_, false);
            if (form_.kind == LineKind::kUndecided) {
                return;
            }
            begin_content(pending_);
            pending_.erase(0, form_.n_marker);
        }
        pending_.erase(0, inline_.write(pending_, false));
    }

    /// The line's end was seen; `line` is what was not written of it yet.
    void end_line(const std::string& line) {
        const LineKind kind = finish_content(line);
        form_ = {};
        inline_.begin_line();
        if (kind != LineKind::kTable) {
            wrap_.write("\n");
        }
        wrap_.set_indent(0);
    }

    /// Writes all that is left of a line and says what it was.
    LineKind finish_content(std::string line) {
        if (fence_size_ > 0) {
            finish_code(line);
            return LineKind::kFence;
        }
        if (form_.kind == LineKind::kUndecided) {
            form_ = form_of(line, true);
            if (form_.kind == LineKind::kTable && table_.size() < kTableLinesMax) {
                table_.push_back(line);
                return LineKind::kTable;
            }
            begin_content(line);
            line.erase(0, std::min(form_.n_marker, line.size()));
        }
        inline_.write(line, true);
        return form_.kind;
    }

    /// Draws the marker of a line whose form is known.
    void begin_content(const std::string& line) {
        end_table();
        const std::string indent(form_.n_indent, ' ');
        const std::string_view marker =
            std::string_view(line).substr(0, form_.n_marker).substr(form_.n_indent);
        switch (form_.kind) {
            case LineKind::kHeading:
                inline_.push_style(sgr::kBold);
                break;
            case LineKind::kItem:
                wrap_.write_verbatim(indent + (marker.size() == 2 ? "• " : std::string(marker)));
                wrap_.set_indent(static_cast<int>(form_.n_marker));
                break;
            case LineKind::kQuote:
                wrap_.write_verbatim(indent + "│ ");
                wrap_.set_indent(static_cast<int>(form_.n_indent) + 2);
                inline_.push_style(sgr::kDim);
                break;
            case LineKind::kRule:
                draw_rule();
                break;
            case LineKind::kFence:
                open_fence(line);
                break;
            default:
                wrap_.write(indent);
                wrap_.set_indent(static_cast<int>(form_.n_indent));
        }
    }

    void draw_rule() {
        std::string rule;
        for (int i = 0; i < std::min(40, traits_.columns - 1); ++i) {
            rule += "─";
        }
        wrap_.write_verbatim(styled(rule, sgr::kDim, traits_));
    }

    void open_fence(const std::string& line) {
        fence_char_ = line[form_.n_indent];
        fence_size_ = form_.n_marker - form_.n_indent;
        wrap_.write_verbatim(styled(line, sgr::kDim, traits_));
        form_.n_marker = line.size();
    }

    bool could_close(std::string_view line) const {
        const size_t n_indent = run_of(line, ' ');
        const std::string_view text = line.substr(n_indent);
        const size_t n = run_of(text, fence_char_);
        return text.find_first_not_of(' ', n) == std::string_view::npos;
    }

    bool closes(std::string_view line) const {
        const std::string_view text = line.substr(run_of(line, ' '));
        return could_close(line) && run_of(text, fence_char_) >= fence_size_;
    }

    void write_code_part() {
        if (in_code_line_ || !could_close(pending_)) {
            in_code_line_ = true;
            wrap_.write_verbatim(pending_);
            pending_.clear();
        }
    }

    void finish_code(const std::string& line) {
        if (!in_code_line_ && closes(line)) {
            fence_size_ = 0;
            wrap_.write_verbatim(styled(line, sgr::kDim, traits_));
        } else {
            wrap_.write_verbatim(line);
        }
        in_code_line_ = false;
    }

    void end_table() {
        for (const std::string& line : format_table(table_, traits_.columns - 1)) {
            wrap_.set_indent(2);
            wrap_.write(line + "\n");
        }
        table_.clear();
        wrap_.set_indent(0);
    }

    TerminalSink sink_;
    TerminalTraits traits_;
    WrapWriter wrap_;
    InlineStyler inline_;
    std::string split_;    ///< the first bytes of an unfinished character
    std::string pending_;  ///< what is not certain of the current line
    LineForm form_;        ///< of the current line
    char fence_char_ = '`';
    size_t fence_size_ = 0;  ///< > 0: inside a fence
    bool in_code_line_ = false;
    std::vector<std::string> table_;
};

MarkdownWriter::MarkdownWriter(TerminalSink sink, const TerminalTraits& traits)
    : machine_(std::make_unique<Machine>(std::move(sink), traits)) {}
MarkdownWriter::~MarkdownWriter() = default;
void MarkdownWriter::write(std::string_view text) { machine_->write(text); }
void MarkdownWriter::finish() { machine_->finish(); }
void MarkdownWriter::set_columns(int columns) { machine_->set_columns(columns); }

}  // namespace nereus
