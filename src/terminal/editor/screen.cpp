#include "terminal/editor/screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/unicode.h"

namespace nereus {
namespace {

constexpr int kTabColumns = 4;

struct Rows {
    std::vector<std::string> rows = {""};
    std::vector<int> columns = {0};
    int cursor_row = 0, cursor_column = 0;

    void new_row() {
        rows.emplace_back();
        columns.push_back(0);
    }
    void put(std::string_view bytes, int width) {
        rows.back() += bytes;
        columns.back() += width;
    }
    void mark_cursor() {
        cursor_row = static_cast<int>(rows.size()) - 1;
        cursor_column = columns.back();
    }
};

/// Rows are one column narrower than the window, so that no terminal wraps by itself.
Rows lay_out(const EditView& view, const TerminalTraits& traits) {
    const int width = std::max(2, traits.columns - 1);
    Rows out;
    out.put(styled(view.prompt, sgr::kBold, traits), text_columns(view.prompt));
    std::string_view rest = view.text;
    for (size_t at = 0; !rest.empty();) {
        if (at == view.cursor) {
            out.mark_cursor();
        }
        const CodePoint point = next_code_point(rest);
        const std::string_view bytes = rest.substr(0, static_cast<size_t>(point.n_bytes));
        rest.remove_prefix(bytes.size());
        at += bytes.size();
        const bool tab = point.value == U'\t';
        const int columns = tab ? kTabColumns : column_width(point.value);
        if (point.value == U'\n') {
            out.new_row();
            out.put(styled(view.continuation, sgr::kDim, traits), text_columns(view.continuation));
            continue;
        }
        if (out.columns.back() + columns > width) {
            const bool on_cursor = out.cursor_row == static_cast<int>(out.rows.size()) - 1 &&
                                   at - bytes.size() == view.cursor;
            out.new_row();
            if (on_cursor) {
                out.mark_cursor();
            }
        }
        out.put(tab ? "    " : bytes, columns);
    }
    if (view.cursor >= view.text.size()) {
        if (out.columns.back() >= width) {
            out.new_row();
        }
        out.mark_cursor();
    }
    return out;
}

/// The window of rows around the cursor that fits the screen.
void crop(Rows& rows, int n_max) {
    const auto n = static_cast<int>(rows.rows.size());
    if (n <= n_max) {
        return;
    }
    const int first = std::clamp(rows.cursor_row - n_max + 1, 0, n - n_max);
    const auto cut = [&](auto& list) {
        list.erase(list.begin() + first + n_max, list.end());
        list.erase(list.begin(), list.begin() + first);
    };
    cut(rows.rows);
    cut(rows.columns);
    rows.cursor_row -= first;
}

}  // namespace

int EditScreen::rows_above_cursor(int columns) const {
    const int width = std::max(1, columns);
    int above = cursor_column_ / width;
    for (int row = 0; row < cursor_row_; ++row) {
        above += std::max(1, (row_columns_[static_cast<size_t>(row)] + width - 1) / width);
    }
    return above;
}

std::string EditScreen::draw(const EditView& view, const TerminalTraits& traits) {
    std::string out = "\r";
    const int above = rows_above_cursor(traits.columns);
    if (above > 0) {
        out += fmt::format("\x1b[{}A", above);
    }
    out += "\x1b[J";
    Rows rows = lay_out(view, traits);
    crop(rows, std::max(1, traits.rows - 1));
    std::string tail;
    if (view.text.empty()) {
        const int room = traits.columns - 1 - rows.columns.back();
        tail = text_columns(view.placeholder) <= room ? styled(view.placeholder, sgr::kDim, traits)
                                                      : "";
    }
    for (size_t i = 0; i < rows.rows.size(); ++i) {
        out += (i == 0 ? "" : "\r\n") + rows.rows[i];
    }
    out += tail;
    int below = static_cast<int>(rows.rows.size()) - 1 - rows.cursor_row;
    for (const std::string& line : view.below) {
        if (below + rows.cursor_row + 2 < traits.rows && text_columns(line) < traits.columns) {
            out += "\r\n" + styled(line, sgr::kDim, traits);
            ++below;
        }
    }
    if (below > 0) {
        out += fmt::format("\x1b[{}A", below);
    }
    out += "\r";
    if (rows.cursor_column > 0) {
        out += fmt::format("\x1b[{}C", rows.cursor_column);
    }
    row_columns_ = rows.columns;
    cursor_row_ = rows.cursor_row;
    cursor_column_ = rows.cursor_column;
    return out;
}

std::string EditScreen::leave() {
    std::string out;
    const int below = static_cast<int>(row_columns_.size()) - 1 - cursor_row_;
    if (below > 0) {
        out += fmt::format("\x1b[{}B", below);
    }
    forget();
    return out + "\r\n\x1b[J";
}

void EditScreen::forget() {
    row_columns_.clear();
    cursor_row_ = 0;
    cursor_column_ = 0;
}

}  // namespace nereus
