#pragma once
// Text that remembers, run by run, which bytes the template wrote (trusted) and which came from the
// request. Cutting and joining keep the marks, so a control token typed by a user stays text.

#include <string>
#include <string_view>
#include <vector>

namespace nereus::jinja {

class Text {
  public:
    Text() = default;
    Text(std::string bytes, bool trusted);

    const std::string& bytes() const { return bytes_; }
    std::string_view view() const { return bytes_; }
    size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }
    /// No byte came from the request. True for the empty text.
    bool trusted() const;
    /// Whether it is HTML, as `escape` and `safe` say (jinja_markup.h); copies keep it, cuts do
    /// not.
    bool is_markup() const { return is_markup_; }
    Text marked_as_html() const;

    void append(const Text& other);
    void append(std::string_view bytes, bool trusted);
    /// Bytes [begin, end), which lie inside the text.
    Text slice(size_t begin, size_t end) const;

    struct Run {
        size_t end = 0;  ///< one past its last byte
        bool trusted = false;
    };
    /// In order, adjacent ones differ, the last ends at size().
    const std::vector<Run>& runs() const { return runs_; }

  private:
    std::string bytes_;
    std::vector<Run> runs_;
    bool is_markup_ = false;
};

/// Whitespace as Python's str.strip() and \s see it.
bool is_python_space(char32_t code_point);
/// str.isprintable() but for code points no character is assigned to: repr() escapes the others.
bool is_python_printable(char32_t code_point);

/// Where the text begins and ends without the outer whitespace.
struct Span {
    size_t begin = 0;
    size_t end = 0;
};
Span strip_spaces(std::string_view text, bool left, bool right);

/// Byte offsets of all code points and, last, the size. An invalid byte counts as one.
std::vector<size_t> code_point_offsets(std::string_view text);
size_t count_code_points(std::string_view text);

/// First occurrence at or after `from`, or npos. Linear in the text for any needle (glibc's
/// two-way search), unlike std::string::find.
size_t find_bytes(std::string_view text, std::string_view needle, size_t from = 0);

}  // namespace nereus::jinja
