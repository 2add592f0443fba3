// Any bytes as a safetensors file: refused, or tensors that lie inside the bytes.

#include "base/check.h"
#include "weights/files/fp8_scales.h"
#include "weights/files/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace nereus;
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    auto tensors = read_safetensors_header(bytes, "fuzz");
    if (!tensors.ok()) {
        NEREUS_CHECK(tensors.error().message.find('\n') == std::string::npos);
        return 0;
    }
    for (const StoredTensor& tensor : *tensors) {
        const Format& format = format_of(tensor.format);
        NEREUS_CHECK(tensor.offset <= size);
        NEREUS_CHECK(tensor.data.size() <= size - tensor.offset);
        NEREUS_CHECK(static_cast<int64_t>(tensor.data.size()) ==
                     format.row_bytes(tensor.shape.n_elements()));
    }
    std::vector<std::unique_ptr<float[]>> owned;
    (void)attach_fp8_scales(*tensors, true, owned);
    return 0;
}
