#pragma once
// Unicode normalisation form C as the reference computes it.

#include <string>
#include <string_view>

namespace nereus {

/// text: valid UTF-8.
std::string normalize_nfc(std::string_view text);

}  // namespace nereus
