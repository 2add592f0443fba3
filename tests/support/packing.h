#pragma once
// Packs for tests: packs a model into a folder and reads folders back byte for byte.

#include <map>

#include "model/repack.h"
#include "tests/support/golden.h"
#include "tests/support/tiny_model.h"
#include "weights/pack.h"

namespace nereus::test {

/// Packs a model; the error when it fails.
inline Status try_pack(const std::filesystem::path& source, const std::string& recipe,
                       const std::filesystem::path& folder, int n_threads = 2,
                       const PackLimits& limits = {}, PackBasis basis = PackBasis::kPublished) {
    const auto checkpoint = NEREUS_TRY(open_checkpoint(source));
    const auto repack =
        NEREUS_TRY(Repack::plan(*checkpoint, *NEREUS_TRY(find_recipe(recipe)), "test", basis));
    const auto writer = NEREUS_TRY(create_pack(folder, repack->content(), limits));
    ThreadPool pool(n_threads);
    NEREUS_TRY(repack->write(*writer, pool, nullptr, [] {}));
    return writer->finish();
}

inline void pack_into(const std::filesystem::path& source, const std::string& recipe,
                      const std::filesystem::path& folder, int n_threads = 2,
                      const PackLimits& limits = {}, PackBasis basis = PackBasis::kPublished) {
    const Status packed = try_pack(source, recipe, folder, n_threads, limits, basis);
    if (!packed.ok()) {
        throw std::runtime_error(packed.error().message);
    }
}

inline Loaded load_folder(const std::filesystem::path& folder, int n_threads = 2,
                          const std::string& isa = "") {
    Loaded loaded;
    loaded.pool = std::make_unique<ThreadPool>(n_threads);
    loaded.backend = must(create_cpu_backend(*loaded.pool, isa));
    loaded.checkpoint = must(open_checkpoint(folder));
    loaded.model = must(load_model(*loaded.checkpoint, *loaded.backend));
    loaded.cache = must(KvCache::create(loaded.model->kv_spec(16384)));
    return loaded;
}

/// Name to bytes of every file of a folder.
inline std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        files[entry.path().filename().string()] = must(read_file(entry.path(), 1ULL << 32));
    }
    return files;
}

}  // namespace nereus::test
