// Any text as pack.json: refused in one line, or tensors inside blobs inside files.

#include "base/check.h"
#include "weights/files/pack_manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace nereus;
    const auto manifest = parse_manifest({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!manifest.ok()) {
        NEREUS_CHECK(manifest.error().message.find('\n') == std::string::npos);
        return 0;
    }
    for (const PackManifest::Blob& blob : manifest->blobs) {
        NEREUS_CHECK(blob.file < manifest->files.size());
        const uint64_t file_bytes = manifest->files[blob.file].n_bytes;
        NEREUS_CHECK(blob.offset <= file_bytes && blob.n_bytes <= file_bytes - blob.offset);
        uint64_t end = 0;
        for (const PackManifest::Tensor& tensor : blob.tensors) {
            NEREUS_CHECK(tensor.offset >= end);
            NEREUS_CHECK(tensor.offset <= blob.n_bytes);
            NEREUS_CHECK(tensor.n_bytes <= blob.n_bytes - tensor.offset);
            const Format& format = format_of(tensor.tensor.format);
            NEREUS_CHECK(static_cast<uint64_t>(format.matrix_bytes(tensor.tensor.shape.rows(),
                                                                   tensor.tensor.shape.cols())) ==
                         tensor.n_bytes);
            end = tensor.offset + tensor.n_bytes;
        }
    }
    return 0;
}
