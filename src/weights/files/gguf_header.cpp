#include "weights/files/gguf_header.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/units.h"
#include "weights/files/printable.h"
#include "weights/files/tensor_layout.h"

namespace nereus {
namespace {

constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxRank = 4;

struct TypeRow {
    uint32_t id;
    std::string_view name;
    FormatId format = FormatId::kCount;  ///< kCount: known by name only
};

/// ggml's tensor types by their number in the file (ggml.h).
constexpr std::array kTypes = {
    TypeRow{0, "F32", FormatId::kF32},
    TypeRow{1, "F16", FormatId::kF16},
    TypeRow{2, "Q4_0", FormatId::kQ4_0},
    TypeRow{3, "Q4_1", FormatId::kQ4_1},
    TypeRow{6, "Q5_0", FormatId::kQ5_0},
    TypeRow{7, "Q5_1", FormatId::kQ5_1},
    TypeRow{8, "Q8_0", FormatId::kQ8_0},
    TypeRow{9, "Q8_1"},
    TypeRow{10, "Q2_K", FormatId::kQ2K},
    TypeRow{11, "Q3_K", FormatId::kQ3K},
    TypeRow{12, "Q4_K", FormatId::kQ4K},
    TypeRow{13, "Q5_K", FormatId::kQ5K},
    TypeRow{14, "Q6_K", FormatId::kQ6K},
    TypeRow{15, "Q8_K"},
    TypeRow{16, "IQ2_XXS", FormatId::kIq2Xxs},
    TypeRow{17, "IQ2_XS"},
    TypeRow{18, "IQ3_XXS"},
    TypeRow{19, "IQ1_S"},
    TypeRow{20, "IQ4_NL", FormatId::kIq4Nl},
    TypeRow{21, "IQ3_S"},
    TypeRow{22, "IQ2_S"},
    TypeRow{23, "IQ4_XS"},
    TypeRow{24, "I8", FormatId::kI8},
    TypeRow{25, "I16", FormatId::kI16},
    TypeRow{26, "I32", FormatId::kI32},
    TypeRow{27, "I64", FormatId::kI64},
    TypeRow{28, "F64", FormatId::kF64},
    TypeRow{29, "IQ1_M"},
    TypeRow{30, "BF16", FormatId::kBf16},
    TypeRow{34, "TQ1_0"},
    TypeRow{35, "TQ2_0"},
    TypeRow{39, "MXFP4", FormatId::kMxfp4},
    TypeRow{40, "NVFP4"},
};

struct Header {
    uint64_t n_tensors = 0;
    uint64_t n_values = 0;
};

Result<Header> read_header(ByteReader& reader, std::string_view file) {
    const auto magic = reader.read<uint32_t>();
    if (!magic || *magic != 0x46554747U) {  // "GGUF"
        return make_error(ErrorCode::kCorrupt, "{}: expected the magic \"GGUF\" at byte 0", file);
    }
    const auto version = reader.read<uint32_t>();
    if (version && (*version & 0xffffU) == 0 && *version != 0) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: a big-endian GGUF; convert it with gguf-py's gguf_convert_endian",
                          file);
    }
    if (version && *version != 2 && *version != 3) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: GGUF version {} at byte 4, expected 2 or 3; convert the model again "
                          "with a current converter",
                          file, *version);
    }
    const auto n_tensors = reader.read<uint64_t>();
    const auto n_values = reader.read<uint64_t>();
    if (!n_tensors || !n_values) {
        return make_error(ErrorCode::kCorrupt, "{}: ends inside the 24 bytes of the header", file);
    }
    return Header{*n_tensors, *n_values};
}

/// A tensor as its table entry describes it.
struct Entry {
    std::string_view name;
    std::vector<uint64_t> dims;  ///< fastest first, as in the file
    uint32_t type = 0;
    uint64_t offset = 0;    ///< from the start of the data
    uint64_t position = 0;  ///< of the entry in the file
};

Result<Entry> read_entry(ByteReader& reader, uint64_t number, std::string_view file) {
    Entry entry;
    entry.position = reader.position();
    const auto ends_early = [&] {
        return make_error(
            ErrorCode::kCorrupt,
            "{}: entry {} of the tensor table at byte {} runs past the end: the file is "
            "truncated; download it again",
            file, number, entry.position);
    };
    const auto name = reader.read_string();
    const auto rank = name ? reader.read<uint32_t>() : std::nullopt;
    if (!rank) {
        return ends_early();
    }
    entry.name = *name;
    if (entry.name.empty() || *rank > kMaxRank) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tensor {} at byte {}: {} dimensions, expected a name and at most {}",
                          file, printable(entry.name), entry.position, *rank, kMaxRank);
    }
    for (uint32_t i = 0; i < *rank; ++i) {
        const auto dim = reader.read<uint64_t>();
        if (!dim) {
            return ends_early();
        }
        entry.dims.push_back(*dim);
    }
    const auto type = reader.read<uint32_t>();
    const auto offset = reader.read<uint64_t>();
    if (!type || !offset) {
        return ends_early();
    }
    entry.type = *type;
    entry.offset = *offset;
    return entry;
}

Result<std::vector<Entry>> read_table(ByteReader& reader, uint64_t n, std::string_view file) {
    constexpr uint64_t kLeastEntryBytes =
        8 + 1 + 4 + 4 + 8;  // name length, name, rank, type, offset
    if (n > reader.remaining() / kLeastEntryBytes) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: {} tensors cannot be described in the {} bytes after the metadata",
                          file, n, reader.remaining());
    }
    std::vector<Entry> entries;
    entries.reserve(n);
    for (uint64_t i = 0; i < n; ++i) {
        entries.push_back(NEREUS_TRY(read_entry(reader, i, file)));
    }
    return entries;
}

Result<FormatId> format_of_type(const Entry& entry, std::string_view file) {
    const auto* row = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const TypeRow& r) { return r.id == entry.type; });
    if (row == kTypes.end() || row->format == FormatId::kCount) {
        return make_error(
            ErrorCode::kUnsupported,
            "{}: tensor {}: number type {} ({}) is not supported; use a file in Q4_K, "
            "Q8_0 or another common type",
            file, printable(entry.name), entry.type, row == kTypes.end() ? "unknown" : row->name);
    }
    return row->format;
}

Result<uint64_t> read_alignment(const GgufValues& metadata, std::string_view file) {
    constexpr std::string_view kKey = "general.alignment";
    if (!metadata.contains(kKey)) {
        return kDefaultAlignment;
    }
    const int64_t alignment = metadata.integer(kKey).value_or(0);
    if (alignment <= 0 || alignment > 65536 || (alignment & (alignment - 1)) != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: key {}: expected a power of two up to 65536, found {}", file, kKey,
                          alignment);
    }
    return static_cast<uint64_t>(alignment);
}

/// The bytes after the header, and the rule for offsets into them.
struct DataArea {
    std::string_view file;
    std::span<const std::byte> bytes;
    uint64_t begin = 0;
    uint64_t alignment = kDefaultAlignment;
};

Result<StoredTensor> place_tensor(const Entry& entry, const DataArea& area) {
    StoredTensor tensor;
    tensor.name = entry.name;
    tensor.file = area.file;
    tensor.format = NEREUS_TRY(format_of_type(entry, area.file));
    const uint64_t n_elements = NEREUS_TRY(checked_elements(entry.dims, area.file, entry.name));
    const uint64_t cols = entry.dims.empty() ? 1 : entry.dims.front();
    const uint64_t n_bytes = NEREUS_TRY(
        checked_bytes(format_of(tensor.format), n_elements, cols, area.file, entry.name));
    tensor.shape.dims.assign(entry.dims.rbegin(), entry.dims.rend());
    if (entry.offset % area.alignment != 0) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: tensor {}: offset {} is not a multiple of the alignment {}",
                          area.file, printable(entry.name), entry.offset, area.alignment);
    }
    if (entry.offset > area.bytes.size() || n_bytes > area.bytes.size() - entry.offset) {
        return make_error(
            ErrorCode::kCorrupt,
            "{}: tensor {}: {} {} needs {} bytes at byte {}, the file ends at byte {}: "
            "it is truncated; download it again",
            area.file, printable(entry.name), format_of(tensor.format).name,
            tensor.shape.to_string(), n_bytes, area.begin + entry.offset,
            area.begin + area.bytes.size());
    }
    tensor.data = area.bytes.subspan(entry.offset, n_bytes);
    tensor.offset = area.begin + entry.offset;
    return tensor;
}

}  // namespace

uint32_t gguf_type_of(FormatId format) {
    const auto* row = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const TypeRow& r) { return r.format == format; });
    NEREUS_CHECK(row != kTypes.end());
    return row->id;
}

Result<GgufFile> read_gguf(std::span<const std::byte> bytes, std::string_view file) {
    GgufFile result;
    ByteReader reader(bytes);
    const Header header = NEREUS_TRY(read_header(reader, file));
    result.metadata = NEREUS_TRY(read_gguf_values(reader, header.n_values, file));
    const std::vector<Entry> entries = NEREUS_TRY(read_table(reader, header.n_tensors, file));
    DataArea area;
    area.file = file;
    area.alignment = NEREUS_TRY(read_alignment(*result.metadata, file));
    area.begin = std::min<uint64_t>(round_up(reader.position(), area.alignment), bytes.size());
    area.bytes = bytes.subspan(area.begin);
    result.tensors.reserve(entries.size());
    for (const Entry& entry : entries) {
        result.tensors.push_back(NEREUS_TRY(place_tensor(entry, area)));
    }
    NEREUS_TRY(sort_and_check_layout(result.tensors, area.begin, bytes.size(), Gaps::kAllowed));
    return result;
}

}  // namespace nereus
