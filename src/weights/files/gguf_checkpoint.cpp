#include "weights/files/gguf_checkpoint.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/json.h"
#include "weights/files/gguf_header.h"
#include "weights/files/mapped_checkpoint.h"
#include "weights/files/tensor_layout.h"

namespace nereus {
namespace {

constexpr int64_t kMaxParts = 4096;

/// "NAME-00002-of-00005.gguf", taken apart.
struct PartName {
    std::string prefix;
    int64_t number = 0;  ///< from 1
    int64_t count = 0;

    std::string file_name(int64_t part) const {
        return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, part, count);
    }
};

std::optional<int64_t> five_digits(std::string_view text) {
    int64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() && value > 0
               ? std::optional(value)
               : std::nullopt;
}

std::optional<PartName> parse_part_name(std::string_view name) {
    constexpr std::string_view kPattern = "-00000-of-00000.gguf";
    if (name.size() <= kPattern.size()) {
        return std::nullopt;
    }
    const std::string_view tail = name.substr(name.size() - kPattern.size());
    const auto number = five_digits(tail.substr(1, 5));
    const auto count = five_digits(tail.substr(10, 5));
    if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf" || !number ||
        !count || *number > *count) {
        return std::nullopt;
    }
    return PartName{std::string(name.substr(0, name.size() - kPattern.size())), *number, *count};
}

/// Adds one file to the checkpoint; the metadata of the first stays.
void add_file(CheckpointParts& parts, MappedFile file, GgufFile content) {
    parts.files.push_back(std::move(file));
    parts.tensors.insert(parts.tensors.end(), std::make_move_iterator(content.tensors.begin()),
                         std::make_move_iterator(content.tensors.end()));
    if (!parts.gguf) {
        parts.gguf = std::move(content.metadata);
    }
}

Status check_part(const GgufValues& metadata, const std::string& file, int64_t number,
                  int64_t count) {
    const int64_t found_number = metadata.integer("split.no").value_or(-1);
    const int64_t found_count = metadata.integer("split.count").value_or(-1);
    if (found_number != number - 1 || found_count != count) {
        return make_error(
            ErrorCode::kCorrupt,
            "{}: expected split.no {} and split.count {} as in its name, found {} and "
            "{}; was it renamed?",
            file, number - 1, count, found_number, found_count);
    }
    return {};
}

Status open_parts(const std::filesystem::path& path, const PartName& name, CheckpointParts& parts) {
    for (int64_t part = 1; part <= name.count; ++part) {
        const std::filesystem::path part_path = path.parent_path() / name.file_name(part);
        auto file = MappedFile::open(part_path);
        if (!file.ok()) {
            return make_error(file.error().code, "part {} of {} of a split model: {}", part,
                              name.count, file.error().message);
        }
        GgufFile content = NEREUS_TRY(read_gguf(file->bytes(), part_path.string()));
        NEREUS_TRY(check_part(*content.metadata, part_path.string(), part, name.count));
        add_file(parts, std::move(*file), std::move(content));
    }
    const auto expected = parts.gguf->integer("split.tensors.count");
    if (expected && *expected != static_cast<int64_t>(parts.tensors.size())) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: split.tensors.count is {}, the {} parts hold {} tensors",
                          path.string(), *expected, name.count, parts.tensors.size());
    }
    return {};
}

}  // namespace

bool are_one_split(const std::vector<std::string>& names) {
    const auto first = names.empty() ? std::nullopt : parse_part_name(names.front());
    return first && std::all_of(names.begin(), names.end(), [&](const std::string& name) {
               const auto part = parse_part_name(name);
               return part && part->prefix == first->prefix && part->count == first->count;
           });
}

Result<std::unique_ptr<Checkpoint>> open_gguf(const std::filesystem::path& path) {
    CheckpointParts parts;
    parts.kind = CheckpointKind::kGguf;
    parts.path = path;
    MappedFile file = NEREUS_TRY(MappedFile::open(path));
    GgufFile content = NEREUS_TRY(read_gguf(file.bytes(), path.string()));
    const int64_t n_parts = content.metadata->integer("split.count").value_or(1);
    if (n_parts <= 1) {
        add_file(parts, std::move(file), std::move(content));
        NEREUS_TRY(refuse_duplicates(parts.tensors));
        return make_checkpoint(std::move(parts));
    }
    const auto name = parse_part_name(path.filename().string());
    if (!name || name->count != n_parts || n_parts > kMaxParts) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: split.count is {}, so the name should end in "
                          "-00001-of-{:05}.gguf (at most {} parts); was it renamed?",
                          path.string(), n_parts, n_parts, kMaxParts);
    }
    NEREUS_TRY(open_parts(path, *name, parts));
    NEREUS_TRY(refuse_duplicates(parts.tensors));
    return make_checkpoint(std::move(parts));
}

}  // namespace nereus
