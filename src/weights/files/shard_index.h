#pragma once
// model.safetensors.index.json: which tensor lies in which shard.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

struct ShardIndex {
    struct Place {
        std::string tensor;
        size_t shard;  ///< index into shards
    };
    std::string file;  ///< for messages
    std::vector<std::string> shards;
    std::vector<Place> places;
};

/// Parses the text of an index. Shards are plain names inside the folder, at most 4096, sorted.
/// errors: corrupt, unsupported
Result<ShardIndex> parse_shard_index(std::string_view text, std::string_view file);

/// Whether a name stays inside its folder and shows no control characters in messages.
bool is_plain_name(std::string_view name);

/// Every tensor of the index is in the shard it names. `shard_tensors[i]` are shard i's.
/// errors: corrupt
Status check_shard_index(const ShardIndex& index,
                         const std::vector<std::vector<StoredTensor>>& shard_tensors);

}  // namespace nereus
