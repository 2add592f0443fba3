#pragma once
// A Markdown table as aligned columns, or as "header: value" lines where the window is too narrow.

#include <string>
#include <string_view>
#include <vector>

namespace nereus {

/// lines: the rows as written, each beginning with "|", without newlines. Returns the rows to show.
/// Lines that are no table (no rule of dashes in second place) come back as they are.
std::vector<std::string> format_table(const std::vector<std::string>& lines, int columns);

}  // namespace nereus
