#pragma once
// Characters that Unicode 15 and 16 added. The reference splits by Unicode 16, PCRE2 10.42 knows
// Unicode 14; before matching, such a character is stood in for by an older one of its category.

#include <string>
#include <string_view>

namespace nereus {

/// True and `shadow` filled when `text` (valid UTF-8) holds characters newer than Unicode 14.
/// shadow has the same length, every replaced character the same number of bytes.
bool stand_in_for_newer(std::string_view text, std::string& shadow);

}  // namespace nereus
