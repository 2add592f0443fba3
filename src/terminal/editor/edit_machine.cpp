#include "terminal/editor/edit_machine.h"

#include <algorithm>
#include <cctype>

#include "base/unicode.h"

namespace nereus {
namespace {

constexpr std::string_view kBlockQuote = "\"\"\"";

/// CR and CRLF become LF, other control characters and invalid bytes vanish.
std::string clean_paste(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        const std::string_view bytes = text.substr(0, static_cast<size_t>(point.n_bytes));
        text.remove_prefix(bytes.size());
        if (point.value == U'\r') {
            out += text.substr(0, 1) == "\n" ? "" : "\n";
        } else if (point.value == U'\n' || point.value == U'\t') {
            out += bytes;
        } else if (point.valid && point.value >= 0x20 &&
                   (point.value < 0x7f || point.value >= 0xa0)) {
            out += bytes;
        }
    }
    return out;
}

bool is_word(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0 || c == '_';
}

bool block_is_open(std::string_view text) {
    return text.starts_with(kBlockQuote) &&
           text.find(kBlockQuote, kBlockQuote.size()) == std::string_view::npos;
}

std::string common_start(const std::vector<std::string>& words) {
    std::string start = words.front();
    for (const std::string& word : words) {
        const auto n = std::mismatch(start.begin(), start.end(), word.begin(), word.end()).first;
        start.erase(n, start.end());
    }
    return start;
}

}  // namespace

EditMachine::EditMachine(const std::vector<std::string>& entries, Completer completer)
    : entries_(entries), completer_(std::move(completer)), entry_(entries.size()) {}

void EditMachine::clear() {
    text_.clear();
    cursor_ = 0;
    entry_ = entries_.size();
    draft_.clear();
    candidates_.clear();
}

std::string EditMachine::submission() const {
    std::string_view text = text_;
    if (text.starts_with(kBlockQuote)) {
        text.remove_prefix(kBlockQuote.size());
        const size_t end = text.find(kBlockQuote);
        std::string inner(text.substr(0, end));
        if (inner.starts_with('\n')) {
            inner.erase(0, 1);
        }
        if (inner.ends_with('\n')) {
            inner.pop_back();
        }
        return inner;
    }
    return text_;
}

size_t EditMachine::line_start() const {
    const size_t newline = cursor_ == 0 ? std::string::npos : text_.rfind('\n', cursor_ - 1);
    return newline == std::string::npos ? 0 : newline + 1;
}

size_t EditMachine::line_end() const { return std::min(text_.find('\n', cursor_), text_.size()); }

/// Combining marks and joiners (no columns of their own) move with the character before them.
size_t EditMachine::previous_character(size_t at) const {
    while (at > 0) {
        do {
            --at;
        } while (at > 0 && (static_cast<unsigned char>(text_[at]) & 0xc0U) == 0x80U);
        const char32_t value = next_code_point(std::string_view(text_).substr(at)).value;
        if (value == U'\n' || value == U'\t' || column_width(value) > 0) {
            break;
        }
    }
    return at;
}

size_t EditMachine::next_character(size_t at) const {
    bool first = true;
    while (at < text_.size()) {
        const CodePoint point = next_code_point(std::string_view(text_).substr(at));
        const bool stands_alone =
            point.value == U'\n' || point.value == U'\t' || column_width(point.value) > 0;
        if (!first && stands_alone) {
            break;
        }
        at += static_cast<size_t>(point.n_bytes);
        first = false;
    }
    return at;
}

size_t EditMachine::previous_word() const {
    size_t at = cursor_;
    while (at > 0 && !is_word(text_[at - 1])) {
        --at;
    }
    while (at > 0 && is_word(text_[at - 1])) {
        --at;
    }
    return at;
}

size_t EditMachine::next_word() const {
    size_t at = cursor_;
    while (at < text_.size() && !is_word(text_[at])) {
        ++at;
    }
    while (at < text_.size() && is_word(text_[at])) {
        ++at;
    }
    return at;
}

void EditMachine::insert(std::string_view text) {
    if (text_.size() + text.size() > kLineBytesMax) {
        return;
    }
    text_.insert(cursor_, text);
    cursor_ += text.size();
}

void EditMachine::erase(size_t begin, size_t end) {
    text_.erase(begin, end - begin);
    cursor_ = begin;
}

void EditMachine::kill(size_t begin, size_t end) {
    if (begin < end) {
        killed_ = text_.substr(begin, end - begin);
        erase(begin, end);
    }
}

EditResult EditMachine::enter() {
    const bool at_end = cursor_ == text_.size();
    if (at_end && text_.ends_with('\\') && !text_.starts_with(kBlockQuote)) {
        text_.back() = '\n';
        return EditResult::kContinue;
    }
    if (block_is_open(text_)) {
        insert("\n");
        return EditResult::kContinue;
    }
    return EditResult::kSubmit;
}

void EditMachine::recall(int direction) {
    if ((direction < 0 && entry_ == 0) || (direction > 0 && entry_ >= entries_.size())) {
        return;
    }
    if (entry_ >= entries_.size()) {
        draft_ = text_;
    }
    entry_ = direction < 0 ? entry_ - 1 : entry_ + 1;
    text_ = entry_ < entries_.size() ? entries_[entry_] : draft_;
    cursor_ = text_.size();
}

/// Up and down: a line of the text, or beyond its first and last line an entry of the history.
void EditMachine::move_rows(int direction) {
    const size_t start = line_start();
    const int column = text_columns(std::string_view(text_).substr(start, cursor_ - start));
    if (direction < 0 ? start == 0 : line_end() == text_.size()) {
        recall(direction);
        return;
    }
    cursor_ = direction < 0 ? start - 1 : line_end() + 1;
    const size_t target = direction < 0 ? line_start() : cursor_;
    cursor_ = target;
    const size_t end = line_end();
    while (cursor_ < end &&
           text_columns(std::string_view(text_).substr(target, cursor_ - target)) < column) {
        cursor_ = next_character(cursor_);
    }
}

void EditMachine::complete() {
    const size_t start = line_start();
    const std::string word = text_.substr(start, cursor_ - start);
    std::vector<std::string> words = completer_ ? completer_(word) : std::vector<std::string>();
    if (words.empty()) {
        return;
    }
    const std::string common = common_start(words);
    if (common.size() > word.size()) {
        insert(std::string_view(common).substr(word.size()));
    }
    if (words.size() > 1) {
        candidates_ = std::move(words);
    } else if (cursor_ == text_.size()) {
        insert(" ");
    }
}

EditResult EditMachine::apply(const KeyPress& press) {
    using Action = EditResult (*)(EditMachine&, const KeyPress&);
    static constexpr auto kContinue = EditResult::kContinue;
    struct Row {
        Key key;
        Action action;
    };
    static constexpr Row kActions[] = {
        {Key::kText, [](auto& m, auto& p) { return m.insert(p.text), kContinue; }},
        {Key::kPaste, [](auto& m, auto& p) { return m.insert(clean_paste(p.text)), kContinue; }},
        {Key::kEnter, [](auto& m, auto&) { return m.enter(); }},
        {Key::kNewLine, [](auto& m, auto&) { return m.insert("\n"), kContinue; }},
        {Key::kTab, [](auto& m, auto&) { return m.complete(), kContinue; }},
        {Key::kBackspace,
         [](auto& m, auto&) {
             return m.erase(m.previous_character(m.cursor_), m.cursor_), kContinue;
         }},
        {Key::kDelete,
         [](auto& m, auto&) { return m.erase(m.cursor_, m.next_character(m.cursor_)), kContinue; }},
        {Key::kLeft,
         [](auto& m, auto&) { return m.cursor_ = m.previous_character(m.cursor_), kContinue; }},
        {Key::kRight,
         [](auto& m, auto&) { return m.cursor_ = m.next_character(m.cursor_), kContinue; }},
        {Key::kUp, [](auto& m, auto&) { return m.move_rows(-1), kContinue; }},
        {Key::kDown, [](auto& m, auto&) { return m.move_rows(1), kContinue; }},
        {Key::kWordLeft, [](auto& m, auto&) { return m.cursor_ = m.previous_word(), kContinue; }},
        {Key::kWordRight, [](auto& m, auto&) { return m.cursor_ = m.next_word(), kContinue; }},
        {Key::kHome, [](auto& m, auto&) { return m.cursor_ = m.line_start(), kContinue; }},
        {Key::kEnd, [](auto& m, auto&) { return m.cursor_ = m.line_end(), kContinue; }},
        {Key::kKillToEnd,
         [](auto& m, auto&) { return m.kill(m.cursor_, m.line_end()), kContinue; }},
        {Key::kKillToStart,
         [](auto& m, auto&) { return m.kill(m.line_start(), m.cursor_), kContinue; }},
        {Key::kKillWord,
         [](auto& m, auto&) { return m.kill(m.previous_word(), m.cursor_), kContinue; }},
        {Key::kYank, [](auto& m, auto&) { return m.insert(m.killed_), kContinue; }},
        {Key::kClearScreen, [](auto&, auto&) { return EditResult::kClearScreen; }},
        {Key::kSuspend, [](auto&, auto&) { return EditResult::kSuspend; }},
        {Key::kInterrupt,
         [](auto& m, auto&) {
             const bool empty = m.text_.empty();
             m.clear();
             return empty ? EditResult::kInterrupt : EditResult::kCleared;
         }},
        {Key::kEndOfInput,
         [](auto& m, auto&) {
             if (m.text_.empty()) {
                 return EditResult::kEnd;
             }
             m.erase(m.cursor_, m.next_character(m.cursor_));
             return kContinue;
         }},
    };
    candidates_.clear();
    for (const Row& row : kActions) {
        if (row.key == press.key) {
            return row.action(*this, press);
        }
    }
    return kContinue;
}

}  // namespace nereus
