#pragma once
// Names and excerpts from untrusted files, made fit for one line of a terminal.

#include <string>
#include <string_view>

namespace nereus {

/// The text with everything outside printable ASCII as '?', cut to 120 characters.
inline std::string printable(std::string_view text) {
    constexpr size_t kLongest = 120;
    std::string out(text.substr(0, kLongest));
    for (char& c : out) {
        c = c < ' ' || c > '~' ? '?' : c;
    }
    return text.size() > kLongest ? out + "..." : out;
}

}  // namespace nereus
