#pragma once
// A small terminal for tests: a grid of rows that understands what the drawing code sends, wraps at
// its width and scrolls. Styles are ignored. Header-only.

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/unicode.h"

namespace nereus {

class FakeTerminal {
  public:
    FakeTerminal(int columns, int rows) : columns_(columns), rows_(rows) { lines_.resize(1); }

    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            if (bytes[0] == '\x1b') {
                bytes.remove_prefix(escape(bytes));
                continue;
            }
            const CodePoint point = next_code_point(bytes);
            put(point.value, bytes.substr(0, static_cast<size_t>(point.n_bytes)));
            bytes.remove_prefix(static_cast<size_t>(point.n_bytes));
        }
    }

    /// Rows from the first ever written, without trailing spaces.
    std::vector<std::string> rows() const {
        std::vector<std::string> rows;
        for (const auto& cells : lines_) {
            std::string row;
            for (const std::string& cell : cells) {
                row += cell;
            }
            row.erase(row.find_last_not_of(' ') + 1);
            rows.push_back(row);
        }
        while (!rows.empty() && rows.back().empty()) {
            rows.pop_back();
        }
        return rows;
    }
    int cursor_row() const { return row_; }
    int cursor_column() const { return column_; }

  private:
    /// The top row that the cursor can reach.
    int top() const { return std::max(0, static_cast<int>(lines_.size()) - rows_); }
    std::vector<std::string>& line() { return lines_[static_cast<size_t>(row_)]; }
    void down() {
        ++row_;
        if (row_ >= static_cast<int>(lines_.size())) {
            lines_.emplace_back();
        }
    }
    void put(char32_t value, std::string_view bytes) {
        if (value == U'\n') {
            down();
            column_ = 0;  // the terminal driver's ONLCR
            return;
        }
        if (value == U'\r') {
            column_ = 0;
            return;
        }
        NEREUS_CHECK(value >= 0x20 && value != 0x7f);  // a raw control character got through
        const int width = column_width(value);
        if (column_ + width > columns_) {
            down();
            column_ = 0;
        }
        auto& cells = line();
        const auto needed = static_cast<size_t>(column_ + std::max(1, width));
        if (cells.size() < needed) {
            cells.resize(needed, " ");
        }
        if (width == 0) {
            cells[static_cast<size_t>(std::max(0, column_ - 1))] += bytes;
            return;
        }
        cells[static_cast<size_t>(column_)] = bytes;
        if (width == 2) {
            cells[static_cast<size_t>(column_) + 1] = "";
        }
        column_ += width;
    }
    size_t escape(std::string_view bytes) {
        NEREUS_CHECK(bytes.size() >= 3 && bytes[1] == '[');
        size_t end = 2;
        while (end < bytes.size() && !(bytes[end] >= 0x40 && bytes[end] <= 0x7e)) {
            ++end;
        }
        NEREUS_CHECK(end < bytes.size());
        const int n = std::max(1, std::atoi(std::string(bytes.substr(2, end - 2)).c_str()));
        const auto at = static_cast<size_t>(column_);
        switch (bytes[end]) {
            case 'A':
                row_ = std::max(top(), row_ - n);
                break;
            case 'B':
                row_ = std::min(static_cast<int>(lines_.size()) - 1, row_ + n);
                break;
            case 'C':
                column_ = std::min(columns_ - 1, column_ + n);
                break;
            case 'J':
                lines_.resize(static_cast<size_t>(row_) + 1);
                line().resize(std::min(line().size(), at));
                break;
            case 'K':
                line().resize(std::min(line().size(), at));
                break;
            default:
                NEREUS_CHECK(bytes[end] == 'm' || bytes[end] == 'h' || bytes[end] == 'l');
        }
        return end + 1;
    }

    int columns_, rows_;
    int row_ = 0, column_ = 0;
    std::vector<std::vector<std::string>> lines_;
};

}  // namespace nereus
