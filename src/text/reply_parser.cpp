#include "text/reply_parser.h"

#include <algorithm>

#include "base/unicode.h"

namespace nereus {
namespace {

constexpr std::string_view kNewlines = "\n\r";
constexpr std::string_view kBlanks = " \t\n\r";

/// How many bytes at the end of `text` could be the beginning of `tag`.
size_t partial_tag_at_end(std::string_view text, std::string_view tag) {
    for (size_t n = std::min(text.size(), tag.size() - 1); n > 0; --n) {
        if (tag.starts_with(text.substr(text.size() - n))) {
            return n;
        }
    }
    return 0;
}

}  // namespace

ReplyParser::ReplyParser(ReplySyntax syntax) : syntax_(std::move(syntax)) {
    if (syntax_.think_begin.empty() || syntax_.think_end.empty()) {
        state_ = State::kText;  // a format without thinking
    } else if (syntax_.starts_in_thinking) {
        open_part(ReplyPart::kReasoning, 0);
    }
}

std::vector<ReplyEvent> ReplyParser::feed(std::string_view bytes) {
    held_ += bytes;
    return drain(false);
}

std::vector<ReplyEvent> ReplyParser::finish() { return drain(true); }

std::vector<ReplyEvent> ReplyParser::drain(bool at_end) {
    std::vector<ReplyEvent> events;
    while (!held_.empty() && step(at_end, events) == Progress::kMore) {
    }
    return events;
}

ReplyParser::Progress ReplyParser::step(bool at_end, std::vector<ReplyEvent>& events) {
    if (state_ == State::kStart) {
        return read_start(at_end);
    }
    return state_ == State::kNewlines ? skip_newlines() : read_text(at_end, events);
}

ReplyParser::Progress ReplyParser::read_start(bool at_end) {
    const size_t n_blanks = std::min(held_.find_first_not_of(kBlanks), held_.size());
    if (n_blanks < kLeadingSpaceMax) {
        const std::string_view rest = std::string_view(held_).substr(n_blanks);
        if (rest.starts_with(syntax_.think_begin)) {
            open_part(ReplyPart::kReasoning, n_blanks + syntax_.think_begin.size());
            return Progress::kMore;
        }
        if (rest.starts_with(syntax_.think_end)) {
            open_part(ReplyPart::kAnswer, n_blanks + syntax_.think_end.size());
            return Progress::kMore;
        }
        const bool may_become_tag =
            syntax_.think_begin.starts_with(rest) || syntax_.think_end.starts_with(rest);
        if (may_become_tag && !at_end) {
            return Progress::kWait;
        }
    }
    state_ = State::kText;
    return Progress::kMore;
}

ReplyParser::Progress ReplyParser::skip_newlines() {
    held_.erase(0, std::min(held_.find_first_not_of(kNewlines), held_.size()));
    if (!held_.empty()) {
        state_ = State::kText;
    }
    return Progress::kMore;
}

ReplyParser::Progress ReplyParser::read_text(bool at_end, std::vector<ReplyEvent>& events) {
    size_t held_back = at_end ? 0 : incomplete_utf8_suffix(held_);
    if (part_ == ReplyPart::kReasoning) {
        if (const size_t tag = held_.find(syntax_.think_end); tag != std::string::npos) {
            emit(tag, events);
            open_part(ReplyPart::kAnswer, syntax_.think_end.size());
            return Progress::kMore;
        }
        if (!at_end) {
            held_back = std::max(held_back, partial_tag_at_end(held_, syntax_.think_end));
        }
    }
    emit(held_.size() - held_back, events);
    return Progress::kWait;
}

void ReplyParser::open_part(ReplyPart part, size_t n_drop) {
    held_.erase(0, n_drop);
    part_ = part;
    state_ = State::kNewlines;
}

/// Moves the first n_bytes held into the current part.
void ReplyParser::emit(size_t n_bytes, std::vector<ReplyEvent>& events) {
    if (n_bytes == 0) {
        return;
    }
    const std::string text = replace_invalid_utf8(std::string_view(held_).substr(0, n_bytes));
    held_.erase(0, n_bytes);
    (part_ == ReplyPart::kReasoning ? reasoning_ : answer_) += text;
    if (events.empty() || events.back().part != part_) {
        events.push_back({part_, text});
    } else {
        events.back().text += text;
    }
}

}  // namespace nereus
