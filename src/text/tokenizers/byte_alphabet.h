#pragma once
// The GPT-2 byte alphabet: every byte has a printable character that stands for it in vocabulary
// files ("Ġ" for a space). Printable Latin-1 stands for itself, the other 68 bytes are U+0100...

#include <string>
#include <string_view>

namespace nereus {

/// The bytes that `text` spells in the alphabet, appended to `bytes`. False (and nothing appended)
/// when a character is not in the alphabet, as in "<｜User｜>".
bool append_alphabet_bytes(std::string_view text, std::string& bytes);

}  // namespace nereus
