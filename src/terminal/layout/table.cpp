#include "terminal/layout/table.h"

#include <algorithm>

#include "terminal/style.h"

namespace nereus {
namespace {

using Cells = std::vector<std::string>;

std::string trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        return {};
    }
    return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

/// Cell text without the markers of emphasis and code.
std::string plain(std::string_view cell) {
    std::string out = trimmed(cell);
    for (const std::string_view marker : {"**", "`"}) {
        for (size_t at = out.find(marker); at != std::string::npos; at = out.find(marker, at)) {
            out.erase(at, marker.size());
        }
    }
    return out;
}

Cells cells_of(std::string_view line) {
    std::string text = trimmed(line);
    Cells cells;
    std::string cell;
    for (size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '|') {
            cell += text[++i];
        } else if (text[i] == '|') {
            cells.push_back(plain(cell));
            cell.clear();
        } else {
            cell += text[i];
        }
    }
    if (!trimmed(cell).empty()) {
        cells.push_back(plain(cell));
    }
    return cells;
}

bool is_rule(const std::string& line) {
    return line.find_first_not_of("|-: \t") == std::string::npos &&
           line.find('-') != std::string::npos;
}

std::vector<int> widths_of(const std::vector<Cells>& rows) {
    std::vector<int> widths(rows.front().size(), 1);
    for (const Cells& row : rows) {
        for (size_t i = 0; i < std::min(row.size(), widths.size()); ++i) {
            widths[i] = std::max(widths[i], text_columns(row[i]));
        }
    }
    return widths;
}

std::string aligned(const Cells& row, const std::vector<int>& widths) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
        const std::string cell = i < row.size() ? row[i] : "";
        line += i == 0 ? "" : " │ ";
        line += cell;
        if (i + 1 < widths.size()) {
            line.append(static_cast<size_t>(widths[i] - text_columns(cell)), ' ');
        }
    }
    return line;
}

std::string ruled(const std::vector<int>& widths) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
        line += i == 0 ? "" : "─┼─";
        for (int column = 0; column < widths[i]; ++column) {
            line += "─";
        }
    }
    return line;
}

std::vector<std::string> as_list(const std::vector<Cells>& rows) {
    const Cells& header = rows.front();
    std::vector<std::string> lines;
    for (size_t r = 1; r < rows.size(); ++r) {
        for (size_t i = 0; i < std::min(header.size(), rows[r].size()); ++i) {
            lines.push_back((i == 0 ? "• " : "  ") + header[i] + ": " + rows[r][i]);
        }
    }
    return lines;
}

}  // namespace

std::vector<std::string> format_table(const std::vector<std::string>& lines, int columns) {
    if (lines.size() < 2 || !is_rule(lines[1])) {
        return lines;
    }
    std::vector<Cells> rows;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (i != 1) {
            rows.push_back(cells_of(lines[i]));
        }
    }
    if (rows.front().empty()) {
        return lines;
    }
    const std::vector<int> widths = widths_of(rows);
    int total = 3 * (static_cast<int>(widths.size()) - 1);
    for (const int width : widths) {
        total += width;
    }
    if (total > columns) {
        return rows.size() > 1 ? as_list(rows) : lines;
    }
    std::vector<std::string> shown = {aligned(rows.front(), widths), ruled(widths)};
    for (size_t i = 1; i < rows.size(); ++i) {
        shown.push_back(aligned(rows[i], widths));
    }
    return shown;
}

}  // namespace nereus
