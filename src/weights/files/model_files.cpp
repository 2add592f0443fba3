// Writers of safetensors folders and GGUF files.

#include "weights/model_files.h"

#include <array>
#include <system_error>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/units.h"
#include "weights/files/gguf_header.h"
#include "weights/files/hf_folder.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

uint64_t n_bytes_of(const FileTensor& tensor) {
    return static_cast<uint64_t>(
        format_of(tensor.format).matrix_bytes(tensor.shape.rows(), tensor.shape.cols()));
}

template <typename T>
void append_raw(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

/// Where the next bytes go: a file, a place and how many until the next tensor.
struct Slot {
    size_t file = 0;
    uint64_t offset = 0;
    uint64_t n_bytes = 0;
};

/// Fills prepared slots of open files.
class SlotWriter final : public TensorFileWriter {
  public:
    SlotWriter(std::vector<OutputFile> files, std::vector<Slot> slots)
        : files_(std::move(files)), slots_(std::move(slots)) {}

    Status append(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            NEREUS_CHECK(next_ < slots_.size());
            const Slot& slot = slots_[next_];
            const auto n = std::min<uint64_t>(bytes.size(), slot.n_bytes - position_);
            NEREUS_TRY(files_[slot.file].write_at(slot.offset + position_, bytes.first(n)));
            position_ += n;
            bytes = bytes.subspan(n);
            if (position_ == slot.n_bytes) {
                position_ = 0;
                ++next_;
            }
        }
        return {};
    }

    Status finish() override {
        NEREUS_CHECK(next_ == slots_.size());
        for (OutputFile& file : files_) {
            NEREUS_TRY(file.sync());
        }
        return {};
    }

  private:
    std::vector<OutputFile> files_;
    std::vector<Slot> slots_;
    size_t next_ = 0;
    uint64_t position_ = 0;
};

// safetensors
// --------------------------------------------------------------------------------------

std::string_view dtype_of(FormatId format) {
    switch (format) {
        case FormatId::kBf16:
            return "BF16";
        case FormatId::kFp8Block128:
            return "F8_E4M3";
        default:
            NEREUS_CHECK(format == FormatId::kF32);
            return "F32";
    }
}

/// Consecutive tensors [begin, end) of one shard.
struct Shard {
    size_t begin = 0;
    size_t end = 0;
};

std::vector<Shard> cut_shards(const std::vector<FileTensor>& tensors, uint64_t shard_bytes) {
    std::vector<Shard> shards = {{}};
    uint64_t n_bytes = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const uint64_t more = n_bytes_of(tensors[i]);
        if (n_bytes > 0 && n_bytes + more > shard_bytes) {
            shards.push_back({i, i});
            n_bytes = 0;
        }
        shards.back().end = i + 1;
        n_bytes += more;
    }
    return shards;
}

/// The header of a shard, and its slots.
std::string shard_header(const std::vector<FileTensor>& tensors, const Shard& shard, size_t file,
                         std::vector<Slot>& slots) {
    Json json = Json::object();
    uint64_t position = 0;
    for (size_t i = shard.begin; i < shard.end; ++i) {
        const uint64_t end = position + n_bytes_of(tensors[i]);
        Json entry;
        entry["dtype"] = std::string(dtype_of(tensors[i].format));
        entry["shape"] = tensors[i].shape.dims;
        entry["data_offsets"] = {position, end};
        json[tensors[i].name] = std::move(entry);
        slots.push_back({file, position, end - position});
        position = end;
    }
    std::string text = dump_json(json);
    text.resize(round_up<size_t>(text.size(), 8), ' ');
    std::string header;
    append_raw(header, uint64_t{text.size()});
    header += text;
    for (size_t i = slots.size() - (shard.end - shard.begin); i < slots.size(); ++i) {
        slots[i].offset += header.size();
    }
    return header;
}

// GGUF
// ---------------------------------------------------------------------------------------------

constexpr uint64_t kGgufAlignment = 32;

void append_text(std::string& out, std::string_view text) {
    append_raw(out, uint64_t{text.size()});
    out += text;
}

}  // namespace

Result<std::unique_ptr<TensorFileWriter>> create_safetensors_folder(
    const fs::path& folder, const std::vector<FileTensor>& tensors, const std::string& config_json,
    uint64_t shard_bytes) {
    std::error_code code;
    fs::create_directories(folder, code);
    if (!fs::is_directory(folder, code) || !fs::is_empty(folder, code)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: expected an empty folder, or none; delete it or name another one",
                          folder.string());
    }
    NEREUS_TRY(write_file_atomic(folder / "config.json", config_json));
    const std::vector<Shard> shards = cut_shards(tensors, shard_bytes);
    std::vector<OutputFile> files;
    std::vector<Slot> slots;
    Json map = Json::object();
    for (size_t i = 0; i < shards.size(); ++i) {
        const std::string name =
            shards.size() == 1
                ? "model.safetensors"
                : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
        files.push_back(NEREUS_TRY(OutputFile::open(folder / name)));
        NEREUS_TRY(files.back().write_at(0, bytes_of(shard_header(tensors, shards[i], i, slots))));
        for (size_t t = shards[i].begin; t < shards[i].end; ++t) {
            map[tensors[t].name] = name;
        }
    }
    if (shards.size() > 1) {
        Json index;
        index["weight_map"] = std::move(map);
        NEREUS_TRY(write_file_atomic(folder / "model.safetensors.index.json", dump_json(index)));
    }
    return std::unique_ptr<TensorFileWriter>(
        std::make_unique<SlotWriter>(std::move(files), std::move(slots)));
}

void GgufPairs::begin(std::string_view key, uint32_t type) {
    append_text(bytes_, key);
    append_raw(bytes_, type);
    ++count_;
}

void GgufPairs::text(std::string_view key, std::string_view value) {
    begin(key, 8);
    append_text(bytes_, value);
}

void GgufPairs::integer(std::string_view key, uint32_t value) {
    begin(key, 4);
    append_raw(bytes_, value);
}

void GgufPairs::number(std::string_view key, float value) {
    begin(key, 6);
    append_raw(bytes_, value);
}

void GgufPairs::boolean(std::string_view key, bool value) {
    begin(key, 7);
    append_raw(bytes_, static_cast<uint8_t>(value));
}

Result<std::unique_ptr<TensorFileWriter>> create_gguf(const fs::path& path, const GgufPairs& pairs,
                                                      const std::vector<FileTensor>& tensors) {
    if (file_is_there(path)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: exists already; delete it or name another file", path.string());
    }
    std::string header = "GGUF";
    append_raw(header, uint32_t{3});
    append_raw(header, uint64_t{tensors.size()});
    append_raw(header, pairs.count());
    header += pairs.bytes();
    std::vector<Slot> slots;
    uint64_t position = 0;
    for (const FileTensor& tensor : tensors) {
        append_text(header, tensor.name);
        append_raw(header, static_cast<uint32_t>(tensor.shape.rank()));
        for (size_t d = tensor.shape.dims.size(); d-- > 0;) {  // fastest first
            append_raw(header, static_cast<uint64_t>(tensor.shape.dims[d]));
        }
        append_raw(header, gguf_type_of(tensor.format));
        append_raw(header, position);
        slots.push_back({0, position, n_bytes_of(tensor)});
        position = round_up(position + n_bytes_of(tensor), kGgufAlignment);
    }
    header.resize(round_up<size_t>(header.size(), kGgufAlignment));
    for (Slot& slot : slots) {
        slot.offset += header.size();
    }
    std::vector<OutputFile> files;
    files.push_back(NEREUS_TRY(OutputFile::open(path)));
    NEREUS_TRY(files.front().write_at(0, bytes_of(header)));
    NEREUS_TRY(files.front().resize(header.size() + position));
    return std::unique_ptr<TensorFileWriter>(
        std::make_unique<SlotWriter>(std::move(files), std::move(slots)));
}

}  // namespace nereus
