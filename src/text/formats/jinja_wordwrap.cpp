#include "text/formats/jinja_wordwrap.h"

#include <algorithm>
#include <deque>

#include "base/unicode.h"

namespace nereus::jinja {
namespace {

/// A line as code points; cuts lie between them.
class Line {
  public:
    explicit Line(const Text& text) : text_(text), offsets_(code_point_offsets(text.view())) {
        for (size_t i = 0; i + 1 < offsets_.size(); ++i) {
            points_.push_back(next_code_point(text.view().substr(offsets_[i])).value);
        }
    }
    size_t size() const { return points_.size(); }
    Text cut(size_t begin, size_t end) const { return text_.slice(offsets_[begin], offsets_[end]); }

    /// False outside the line, for all of these.
    bool is_space(size_t i) const { return is_any(i, U"\t\n\v\f\r "); }
    bool is_hyphen(size_t i) const { return i < size() && points_[i] == U'-'; }
    bool is_word(size_t i) const { return i < size() && is_word_character(points_[i]); }
    bool is_letter(size_t i) const { return is_word(i) && !decimal_digit(points_[i]); }
    bool is_word_or_mark(size_t i) const { return is_word(i) || is_any(i, U"!\"'&.,?"); }
    bool is_blank(size_t begin, size_t end) const {
        return std::all_of(points_.begin() + static_cast<std::ptrdiff_t>(begin),
                           points_.begin() + static_cast<std::ptrdiff_t>(end), is_python_space);
    }

  private:
    bool is_any(size_t i, std::u32string_view set) const {
        return i < size() && set.find(points_[i]) != std::u32string_view::npos;
    }

    const Text& text_;
    std::vector<size_t> offsets_;
    std::vector<char32_t> points_;
};

/// Where the dashes at i end, two or more and a word behind them; i when it is no em-dash.
size_t dashes_end(const Line& line, size_t i) {
    size_t end = i;
    while (line.is_hyphen(end)) {
        ++end;
    }
    return end >= i + 2 && line.is_word(end) ? end : i;
}

/// Whether a line may end behind the hyphen at i: two letters, or letter, hyphen and word, before
/// it, and two letters, perhaps with a hyphen between, behind it.
bool is_breaking_hyphen(const Line& line, size_t i) {
    const bool after_letters = i >= 2 && line.is_letter(i - 1) && line.is_letter(i - 2);
    const bool after_hyphen =
        i >= 3 && line.is_letter(i - 3) && line.is_hyphen(i - 2) && line.is_word_or_mark(i - 1);
    return line.is_hyphen(i) && (after_letters || after_hyphen) && line.is_letter(i + 1) &&
           line.is_letter(i + (line.is_hyphen(i + 2) ? 3 : 2));
}

struct Chunk {
    size_t begin = 0, end = 0;

    int64_t size() const { return static_cast<int64_t>(end - begin); }
};

size_t chunk_end(const Line& line, size_t begin, bool hyphens) {
    size_t end = begin;
    if (line.is_space(begin)) {
        while (line.is_space(end)) {
            ++end;
        }
        return end;
    }
    if (hyphens && begin > 0 && line.is_word_or_mark(begin - 1) &&
        dashes_end(line, begin) != begin) {
        return dashes_end(line, begin);
    }
    for (end = begin + 1; end < line.size() && !line.is_space(end); ++end) {
        if (hyphens && is_breaking_hyphen(line, end)) {
            return end + 1;
        }
        if (hyphens && line.is_word_or_mark(end - 1) && dashes_end(line, end) != end) {
            return end;
        }
    }
    return end;
}

/// textwrap.TextWrapper._wrap_chunks: fills one line after the other.
class Wrapper {
  public:
    Wrapper(const Line& line, const WrapStyle& style) : line_(line), style_(style) {
        for (size_t begin = 0; begin < line.size();) {
            const size_t end = chunk_end(line, begin, style.break_on_hyphens);
            chunks_.push_back({begin, end});
            begin = end;
        }
    }
    bool is_done() const { return chunks_.empty(); }

    /// Chunks follow each other in the text, so a line is one stretch; empty: nothing to print.
    Chunk next(bool is_first) {
        if (!is_first && is_blank(chunks_.front())) {
            chunks_.pop_front();
        }
        filled_.clear();
        length_ = 0;
        while (!chunks_.empty() && length_ + chunks_.front().size() <= style_.width) {
            take(chunks_.front().end);
        }
        if (!chunks_.empty() && chunks_.front().size() > style_.width) {
            take_part();
        }
        if (!filled_.empty() && is_blank(filled_.back())) {
            filled_.pop_back();
        }
        return filled_.empty() ? Chunk() : Chunk{filled_.front().begin, filled_.back().end};
    }

  private:
    bool is_blank(const Chunk& chunk) const { return line_.is_blank(chunk.begin, chunk.end); }

    void take(size_t end) {
        Chunk& front = chunks_.front();
        filled_.push_back({front.begin, end});
        length_ += filled_.back().size();
        front.begin = end;
        if (front.begin == front.end) {
            chunks_.pop_front();
        }
    }

    /// As much of a word longer than a line as there is room for.
    void take_part() {
        const Chunk word = chunks_.front();
        const auto room = static_cast<size_t>(style_.width - length_);
        if (!style_.break_long_words) {
            filled_.empty() ? take(word.end) : void();
            return;
        }
        size_t end = word.begin + room;
        for (size_t at = end; style_.break_on_hyphens && at > word.begin + 1; --at) {
            if (line_.is_hyphen(at - 1)) {
                end = has_other_than_hyphens(word.begin, at - 1) ? at : end;
                break;
            }
        }
        take(end);
    }
    bool has_other_than_hyphens(size_t begin, size_t end) const {
        for (size_t i = begin; i < end; ++i) {
            if (!line_.is_hyphen(i)) {
                return true;
            }
        }
        return false;
    }

    const Line& line_;
    const WrapStyle& style_;
    std::deque<Chunk> chunks_;
    std::vector<Chunk> filled_;
    int64_t length_ = 0;
};

}  // namespace

Result<std::vector<Text>> wrap_line(const Text& line, const WrapStyle& style, Budget& budget) {
    if (style.width <= 0) {
        return make_error(ErrorCode::kInvalidArgument, "wordwrap to a width of {}", style.width);
    }
    NEREUS_TRY(budget.spend_text(line.size()));
    // A character takes up to 28 bytes here, as offset, code point and chunk: 2 MB of text, 56 MB.
    NEREUS_TRY(budget.spend(static_cast<int64_t>(line.size() / 2)));
    const Line points(line);
    std::vector<Text> lines;
    for (Wrapper wrapper(points, style); !wrapper.is_done();) {
        const Chunk next = wrapper.next(lines.empty());
        if (next.size() > 0) {
            NEREUS_TRY(budget.spend());
            lines.push_back(points.cut(next.begin, next.end));
        }
    }
    return lines;
}

}  // namespace nereus::jinja
