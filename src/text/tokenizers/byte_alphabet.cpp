#include "text/tokenizers/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "base/unicode.h"

namespace nereus {
namespace {

constexpr size_t kAlphabetEnd = 0x100 + 68;
constexpr int16_t kNoByte = -1;

constexpr bool stands_for_itself(size_t byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<int16_t, kAlphabetEnd> make_alphabet() {
    std::array<int16_t, kAlphabetEnd> bytes{};
    bytes.fill(kNoByte);
    size_t next = 0x100;
    for (size_t byte = 0; byte < 0x100; ++byte) {
        bytes[stands_for_itself(byte) ? byte : next++] = static_cast<int16_t>(byte);
    }
    return bytes;
}

constexpr std::array<int16_t, kAlphabetEnd> kByteOf = make_alphabet();

}  // namespace

bool append_alphabet_bytes(std::string_view text, std::string& bytes) {
    const size_t size_before = bytes.size();
    while (!text.empty()) {
        const CodePoint point = next_code_point(text);
        const bool known = point.valid && point.value < kAlphabetEnd;
        const int16_t byte = known ? kByteOf[point.value] : kNoByte;
        if (byte == kNoByte) {
            bytes.resize(size_before);
            return false;
        }
        bytes.push_back(static_cast<char>(byte));
        text.remove_prefix(static_cast<size_t>(point.n_bytes));
    }
    return true;
}

}  // namespace nereus
