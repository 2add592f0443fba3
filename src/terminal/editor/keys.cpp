#include "terminal/editor/keys.h"

#include <algorithm>

#include "base/unicode.h"
#include "terminal/line_editor.h"

namespace nereus {
namespace {

constexpr std::string_view kPasteBegin = "\x1b[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";
/// Longer than any sequence a terminal sends for a key; what is longer is dropped.
constexpr size_t kSequenceBytesMax = 32;

struct ControlRow {
    char byte;
    Key key;
};

constexpr ControlRow kControls[] = {
    {'\r', Key::kEnter},      {'\n', Key::kEnter},       {'\t', Key::kTab},
    {0x7f, Key::kBackspace},  {'\b', Key::kBackspace},   {0x01, Key::kHome},
    {0x05, Key::kEnd},        {0x02, Key::kLeft},        {0x06, Key::kRight},
    {0x0b, Key::kKillToEnd},  {0x15, Key::kKillToStart}, {0x17, Key::kKillWord},
    {0x19, Key::kYank},       {0x0c, Key::kClearScreen}, {0x03, Key::kInterrupt},
    {0x04, Key::kEndOfInput}, {0x10, Key::kUp},          {0x0e, Key::kDown},
    {0x1a, Key::kSuspend},
};

struct SequenceRow {
    std::string_view bytes;  ///< after the Escape
    Key key;
};

/// xterm, VT and rxvt spellings, as far as they differ.
constexpr SequenceRow kSequences[] = {
    {"[A", Key::kUp},          {"[B", Key::kDown},           {"[C", Key::kRight},
    {"[D", Key::kLeft},        {"[H", Key::kHome},           {"[F", Key::kEnd},
    {"OA", Key::kUp},          {"OB", Key::kDown},           {"OC", Key::kRight},
    {"OD", Key::kLeft},        {"OH", Key::kHome},           {"OF", Key::kEnd},
    {"[1~", Key::kHome},       {"[4~", Key::kEnd},           {"[7~", Key::kHome},
    {"[8~", Key::kEnd},        {"[3~", Key::kDelete},        {"[1;5C", Key::kWordRight},
    {"[1;5D", Key::kWordLeft}, {"[1;3C", Key::kWordRight},   {"[1;3D", Key::kWordLeft},
    {"f", Key::kWordRight},    {"b", Key::kWordLeft},        {"\r", Key::kNewLine},
    {"\n", Key::kNewLine},     {"\x7f", Key::kKillWord},     {"\b", Key::kKillWord},
    {"[13;2u", Key::kNewLine}, {"[27;2;13~", Key::kNewLine},
};

/// Length of the escape sequence at the start of text (which begins with Escape), 0 if it goes on.
size_t sequence_length(std::string_view text) {
    if (text.size() < 2) {
        return 0;
    }
    if (text[1] == 'O') {
        return text.size() < 3 ? 0 : 3;
    }
    if (text[1] != '[') {
        return 2;
    }
    for (size_t i = 2; i < text.size(); ++i) {
        if (text[i] >= 0x40 && text[i] <= 0x7e) {
            return i + 1;  // the final byte of a CSI sequence
        }
    }
    return text.size() >= kSequenceBytesMax ? text.size() : 0;
}

}  // namespace

void KeyParser::feed(std::string_view bytes) {
    held_.erase(0, n_taken_);
    n_taken_ = 0;
    held_ += bytes;
}

std::optional<KeyPress> KeyParser::take(size_t n_bytes, KeyPress press) {
    n_taken_ += n_bytes;
    return press;
}

std::optional<KeyPress> KeyParser::next_paste() {
    const std::string_view text = rest();
    const size_t end = text.find(kPasteEnd);
    if (end == std::string_view::npos) {
        if (text.size() <= kLineBytesMax) {
            return std::nullopt;
        }
        // Not kept as a whole: it would be refused anyway. The end marker may be cut in two.
        return take(text.size() - kPasteEnd.size(), KeyPress{Key::kUnknown});
    }
    in_paste_ = false;
    return take(end + kPasteEnd.size(), {Key::kPaste, std::string(text.substr(0, end))});
}

std::optional<KeyPress> KeyParser::next_escape() {
    const size_t n = sequence_length(rest());
    if (n == 0) {
        return std::nullopt;
    }
    const std::string_view bytes = rest().substr(0, n);
    if (bytes == kPasteBegin) {
        in_paste_ = true;
        n_taken_ += n;
        return next_paste();
    }
    const auto* row =
        std::find_if(std::begin(kSequences), std::end(kSequences),
                     [&](const SequenceRow& r) { return r.bytes == bytes.substr(1); });
    return take(n, KeyPress{row == std::end(kSequences) ? Key::kUnknown : row->key});
}

std::optional<KeyPress> KeyParser::next() {
    if (in_paste_) {
        return next_paste();
    }
    const std::string_view text = rest();
    if (text.empty()) {
        return std::nullopt;
    }
    if (text[0] == '\x1b') {
        return next_escape();
    }
    const auto* row = std::find_if(std::begin(kControls), std::end(kControls),
                                   [&](const ControlRow& r) { return r.byte == text[0]; });
    if (row != std::end(kControls)) {
        return take(1, KeyPress{row->key});
    }
    const CodePoint point = next_code_point(text);
    if (!point.valid) {
        const bool unfinished = text.size() < 4 && incomplete_utf8_suffix(text) == text.size();
        return unfinished ? std::nullopt : take(1, KeyPress{Key::kUnknown});
    }
    const auto n = static_cast<size_t>(point.n_bytes);
    const bool control = point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0);
    return take(n, {control ? Key::kUnknown : Key::kText, std::string(text.substr(0, n))});
}

void KeyParser::give_up() {
    if (!in_paste_) {
        n_taken_ = held_.size();
    }
}

}  // namespace nereus
