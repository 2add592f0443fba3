#include "text/tokenizers/nfc.h"

#include <algorithm>

#include "base/check.h"
#include "base/unicode.h"

namespace nereus {

std::string normalize_nfc(std::string_view text) {
    const auto is_ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
    if (std::all_of(text.begin(), text.end(), is_ascii)) {
        return std::string(text);
    }
    Result<std::string> composed = to_nfc(text);
    NEREUS_CHECK(composed.ok());  // the text is valid UTF-8
    return std::move(composed).value();
}

}  // namespace nereus
