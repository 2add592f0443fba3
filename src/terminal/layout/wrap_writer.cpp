#include "terminal/layout/wrap_writer.h"

#include <algorithm>

#include "base/unicode.h"

namespace nereus {
namespace {
constexpr int kTabColumns = 4;
}

WrapWriter::WrapWriter(TerminalSink sink, int columns)
    : sink_(std::move(sink)), columns_(columns) {}

void WrapWriter::new_row(bool wrapped) {
    put("\n");
    ++n_rows_;
    column_ = 0;
    // An indent that leaves fewer than 10 columns is worse than none.
    if (wrapped && indent_ > 0 && columns_ - indent_ >= 10) {
        put(std::string(static_cast<size_t>(indent_), ' '));
        column_ = indent_;
    }
}

void WrapWriter::end_word() {
    if (word_.empty()) {
        return;
    }
    const int n_spaces = static_cast<int>(spaces_.size());
    if (columns_ > 0 && word_columns_ > 0 && column_ > 0 &&
        column_ + n_spaces + word_columns_ > columns_) {
        new_row(true);
    } else {
        put(spaces_);
        column_ += n_spaces;
    }
    put(word_);
    column_ += word_columns_;
    spaces_.clear();
    word_.clear();
    word_columns_ = 0;
}

void WrapWriter::write(std::string_view text) {
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        const std::string_view bytes = text.substr(0, static_cast<size_t>(point.n_bytes));
        text.remove_prefix(bytes.size());
        const int width = column_width(point.value);
        if (point.value == U'\n') {
            end_word();
            spaces_.clear();
            new_row(false);
        } else if (point.value == U' ' || point.value == U'\t') {
            end_word();
            spaces_.append(point.value == U'\t' ? static_cast<size_t>(kTabColumns) : 1, ' ');
        } else {
            const bool too_long = columns_ > 0 && word_columns_ + width > columns_ - indent_;
            if (width == 2 || too_long) {
                end_word();
            }
            word_ += bytes;
            word_columns_ += width;
            if (width == 2) {
                end_word();
            }
        }
    }
}

void WrapWriter::write_style(std::string_view sequence) { word_ += sequence; }

void WrapWriter::write_verbatim(std::string_view text) {
    flush();
    put(text);
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        text.remove_prefix(static_cast<size_t>(point.n_bytes));
        const int width = point.value == U'\t' ? kTabColumns : column_width(point.value);
        if (point.value == U'\n') {
            ++n_rows_;
            column_ = 0;
        } else if (columns_ > 0 && column_ + width > columns_) {
            ++n_rows_;
            column_ = width;
        } else {
            column_ += width;
        }
    }
}

void WrapWriter::flush() {
    end_word();
    if (!spaces_.empty()) {
        put(spaces_);
        column_ += static_cast<int>(spaces_.size());
        spaces_.clear();
    }
}

}  // namespace nereus
