// Any bytes as a GGUF: refused, or metadata and tensors that lie inside the bytes and decode.

#include <algorithm>
#include <string>

#include "base/check.h"
#include "weights/files/gguf_header.h"

namespace {

using namespace nereus;

/// Decodes the first row when it is small: no byte outside it may be touched (ASan watches).
void decode_first_row(const StoredTensor& tensor) {
    const Format& format = format_of(tensor.format);
    const int64_t cols = tensor.shape.cols();
    if (format.decode_row == nullptr || tensor.data.empty() || cols > 65536) {
        return;
    }
    std::vector<std::byte> row(tensor.data.begin(), tensor.data.begin() + format.row_bytes(cols));
    std::vector<float> numbers(static_cast<size_t>(cols));
    format.decode_row({row.data(), nullptr}, cols, numbers.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto gguf = read_gguf(bytes, "fuzz");
    if (!gguf.ok()) {
        NEREUS_CHECK(gguf.error().message.find('\n') == std::string::npos);
        return 0;
    }
    for (const StoredTensor& tensor : gguf->tensors) {
        NEREUS_CHECK(tensor.offset <= size);
        NEREUS_CHECK(tensor.data.size() <= size - tensor.offset);
        decode_first_row(tensor);
    }
    for (const char* key : {"a", "general.architecture", "tokenizer.ggml.tokens", "numbers"}) {
        const GgufMetadata& values = *gguf->metadata;
        (void)values.integer(key);
        (void)values.number(key);
        (void)values.string(key);
        (void)values.strings(key);
        (void)values.numbers(key);
    }
    return 0;
}
