// Reading a whole pack and comparing every checksum.

#include "base/digest.h"
#include "weights/files/pack_folder.h"
#include "weights/files/printable.h"

namespace nereus {
namespace {

constexpr uint64_t kPieceBytes = 16 * kMiB;

Status check_copies(const std::filesystem::path& folder, const PackManifest& manifest) {
    for (const PackManifest::Copy& copy : manifest.copies) {
        const std::filesystem::path path = folder / copy.name;
        const std::string bytes = NEREUS_TRY(read_file(path, copy.n_bytes));
        if (digest_of(bytes) != copy.checksum) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: checksum {}, expected {}: the file has changed since the pack "
                              "was made",
                              path.string(), checksum_text(digest_of(bytes)),
                              checksum_text(copy.checksum));
        }
    }
    return {};
}

}  // namespace

Status verify_pack(const std::filesystem::path& folder,
                   const std::function<void(double fraction)>& progress) {
    NEREUS_TRY(open_pack(folder));
    const PackManifest manifest = NEREUS_TRY(read_manifest(folder));
    NEREUS_TRY(check_copies(folder, manifest));
    std::vector<MappedFile> files;
    for (const PackManifest::File& file : manifest.files) {
        files.push_back(NEREUS_TRY(map_pack_file(folder, file)));
    }
    uint64_t n_done = 0;
    for (const PackManifest::Blob& blob : manifest.blobs) {
        std::span<const std::byte> rest =
            files[blob.file].bytes().subspan(blob.offset, blob.n_bytes);
        Digest digest;
        while (!rest.empty()) {
            const auto piece = rest.first(std::min<size_t>(rest.size(), kPieceBytes));
            digest.add(piece);
            drop_pages(piece);
            rest = rest.subspan(piece.size());
            n_done += piece.size();
            progress(static_cast<double>(n_done) / static_cast<double>(manifest.n_bytes()));
        }
        if (digest.value() != blob.checksum) {
            return make_error(
                ErrorCode::kCorrupt,
                "{}: {} bytes at offset {} (tensor {}): checksum {}, expected {}; "
                "copy the file or pack the model again",
                files[blob.file].path().string(), blob.n_bytes, blob.offset,
                blob.tensors.empty() ? "none" : printable(blob.tensors.front().tensor.name),
                checksum_text(digest.value()), checksum_text(blob.checksum));
        }
    }
    return {};
}

}  // namespace nereus
