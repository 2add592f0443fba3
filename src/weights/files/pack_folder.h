#pragma once
// A pack as a checkpoint.

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/result.h"
#include "weights/checkpoint.h"
#include "weights/files/pack_manifest.h"

namespace nereus {

/// Whether the folder holds a pack, finished or not.
bool is_pack(const std::filesystem::path& folder);

/// errors: not_found (a file of the list is missing, or the pack is not finished), io, corrupt,
/// unsupported
Result<std::unique_ptr<Checkpoint>> open_pack(const std::filesystem::path& folder);

/// pack.json alone. errors: as above
Result<PackManifest> read_manifest(const std::filesystem::path& folder);

/// A file of the pack, mapped, of the size that the list says.
Result<MappedFile> map_pack_file(const std::filesystem::path& folder,
                                 const PackManifest::File& file);

}  // namespace nereus
