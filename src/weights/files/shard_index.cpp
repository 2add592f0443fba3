#include "weights/files/shard_index.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/json_scan.h"
#include "weights/files/printable.h"

namespace nereus {
namespace {

constexpr size_t kMaxShards = 4096;  // V3 has 163

using Shards = std::map<std::string, size_t, std::less<>>;

Result<std::string> shard_name(std::string_view raw, std::string_view tensor,
                               std::string_view file) {
    const auto name = unescape_json(raw, file);
    if (!name.ok() || !is_plain_name(*name)) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: weight_map: tensor {}: expected the name of a file in this folder, "
                          "found {}",
                          file, printable(tensor), printable(raw));
    }
    return *name;
}

/// Numbers the shards in the order of their names, whatever order the index lists them in.
void number_shards(ShardIndex& index, Shards& shards) {
    std::vector<size_t> number_of(shards.size());
    for (auto& [name, first_seen] : shards) {
        number_of[first_seen] = index.shards.size();
        index.shards.push_back(name);
    }
    for (ShardIndex::Place& place : index.places) {
        place.shard = number_of[place.shard];
    }
}

}  // namespace

bool is_plain_name(std::string_view name) {
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
           std::none_of(name.begin(), name.end(), [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return byte < ' ' || byte == 127 || c == '/' || c == '\\';
           });
}

Result<ShardIndex> parse_shard_index(std::string_view text, std::string_view file) {
    ShardIndex index;
    index.file = file;
    std::string_view map_text;
    NEREUS_TRY(scan_object(text, file, [&](std::string_view key, std::string_view raw) -> Status {
        if (key == "weight_map") {
            map_text = raw;
        }
        return {};
    }));
    if (map_text.empty()) {
        return make_error(ErrorCode::kCorrupt, "{}: expected the key weight_map, found none", file);
    }
    Shards shards;
    NEREUS_TRY(
        scan_object(map_text, file, [&](std::string_view tensor, std::string_view raw) -> Status {
            const std::string name = NEREUS_TRY(shard_name(raw, tensor, file));
            const size_t shard = shards.emplace(name, shards.size()).first->second;
            if (shards.size() > kMaxShards) {
                return make_error(ErrorCode::kUnsupported, "{}: more than {} shards", file,
                                  kMaxShards);
            }
            index.places.push_back({std::string(tensor), shard});
            return {};
        }));
    if (shards.empty()) {
        return make_error(ErrorCode::kCorrupt, "{}: weight_map is empty", file);
    }
    number_shards(index, shards);
    return index;
}

Status check_shard_index(const ShardIndex& index,
                         const std::vector<std::vector<StoredTensor>>& shard_tensors) {
    std::vector<std::unordered_set<std::string_view>> names(shard_tensors.size());
    for (size_t i = 0; i < shard_tensors.size(); ++i) {
        for (const StoredTensor& tensor : shard_tensors[i]) {
            names[i].insert(tensor.name);
        }
    }
    std::unordered_set<std::string_view> seen;
    for (const ShardIndex::Place& place : index.places) {
        if (!names[place.shard].contains(place.tensor)) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: tensor {} should be in {}, which does not have it", index.file,
                              printable(place.tensor), index.shards[place.shard]);
        }
        if (!seen.insert(place.tensor).second) {
            return make_error(ErrorCode::kCorrupt, "{}: weight_map: tensor {} is there twice",
                              index.file, printable(place.tensor));
        }
    }
    return {};
}

}  // namespace nereus
