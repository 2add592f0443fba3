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

std::optional<KeyPress> KeyParser::take(size_t n_bytes, KeyPress press) {
    held_.erase(0, n_bytes);
    return press;
}

std::optional<KeyPress> KeyParser::next_paste() {
    const size_t end = held_.find(kPasteEnd);
    if (end == std::string::npos) {
        if (held_.size() <= kLineBytesMax) {
            return std::nullopt;
        }
        // Not kept as a whole: it would be refused anyway. The end marker may be cut in two.
        held_.erase(0, held_.size() - kPasteEnd.size());
        return KeyPress{Key::kUnknown};
    }
    in_paste_ = false;
    KeyPress press{Key::kPaste, held_.substr(0, end)};
    return take(end + kPasteEnd.size(), std::move(press));
}

std::optional<KeyPress> KeyParser::next_escape() {
    const size_t n = sequence_length(held_);
    if (n == 0) {
        return std::nullopt;
    }
    const std::string_view bytes = std::string_view(held_).substr(0, n);
    if (bytes == kPasteBegin) {
        in_paste_ = true;
        held_.erase(0, n);
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
    if (held_.empty()) {
        return std::nullopt;
    }
    if (held_[0] == '\x1b') {
        return next_escape();
    }
    const auto* row = std::find_if(std::begin(kControls), std::end(kControls),
                                   [&](const ControlRow& r) { return r.byte == held_[0]; });
    if (row != std::end(kControls)) {
        return take(1, KeyPress{row->key});
    }
    const CodePoint point = next_code_point(held_);
    if (!point.valid) {
        const bool unfinished = incomplete_utf8_suffix(held_) == held_.size();
        return unfinished ? std::nullopt : take(1, KeyPress{Key::kUnknown});
    }
    const auto n = static_cast<size_t>(point.n_bytes);
    const bool control = point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0);
    KeyPress press{control ? Key::kUnknown : Key::kText, held_.substr(0, n)};
    return take(n, std::move(press));
}

void KeyParser::give_up() {
    if (!in_paste_) {
        held_.clear();
    }
}

}  // namespace nereus
