#include "weights/files/safetensors_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/json_scan.h"
#include "base/units.h"
#include "weights/files/printable.h"
#include "weights/files/tensor_layout.h"

namespace nereus {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr size_t kMaxRank = 8;

struct DtypeRow {
    std::string_view name;
    FormatId format;
};

constexpr std::array kDtypes = {
    DtypeRow{"F32", FormatId::kF32},        DtypeRow{"F16", FormatId::kF16},
    DtypeRow{"BF16", FormatId::kBf16},      DtypeRow{"F8_E4M3", FormatId::kF8E4m3},
    DtypeRow{"F8_E5M2", FormatId::kF8E5m2}, DtypeRow{"F8_E8M0", FormatId::kF8E8m0},
    DtypeRow{"F64", FormatId::kF64},        DtypeRow{"I64", FormatId::kI64},
    DtypeRow{"I32", FormatId::kI32},        DtypeRow{"I16", FormatId::kI16},
    DtypeRow{"I8", FormatId::kI8},          DtypeRow{"U64", FormatId::kU64},
    DtypeRow{"U32", FormatId::kU32},        DtypeRow{"U16", FormatId::kU16},
    DtypeRow{"U8", FormatId::kU8},          DtypeRow{"BOOL", FormatId::kBool},
};

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

/// "[3, 5]" as numbers; nothing when it is not an array of integers in 0 .. 2^64 - 1.
std::optional<std::vector<uint64_t>> parse_integers(std::string_view raw, size_t max_count) {
    raw = trimmed(raw);
    if (raw.size() < 2 || raw.front() != '[' || raw.back() != ']') {
        return std::nullopt;
    }
    raw = trimmed(raw.substr(1, raw.size() - 2));
    std::vector<uint64_t> values;
    while (!raw.empty() || !values.empty()) {
        uint64_t value = 0;
        const auto [end, code] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
        if (code != std::errc() || values.size() == max_count) {
            return std::nullopt;
        }
        values.push_back(value);
        raw = trimmed(raw.substr(static_cast<size_t>(end - raw.data())));
        if (raw.empty()) {
            return values;
        }
        if (raw.front() != ',') {
            return std::nullopt;
        }
        raw = trimmed(raw.substr(1));
    }
    return values;
}

/// The three raw values of one header entry.
struct Entry {
    std::string_view dtype;
    std::string_view shape;
    std::string_view offsets;
};

/// The data area of the file, and the file's name for messages.
struct DataArea {
    std::string_view file;
    std::span<const std::byte> bytes;
    uint64_t begin = 0;
};

template <typename... Args>
Error tensor_error(const DataArea& area, std::string_view name, ErrorCode code,
                   fmt::format_string<Args...> format, Args&&... args) {
    return make_error(code, "{}: tensor {}: {}", area.file, printable(name),
                      fmt::format(format, std::forward<Args>(args)...));
}

Result<Entry> scan_entry(const DataArea& area, std::string_view name, std::string_view raw) {
    Entry entry;
    const auto keep = [&](std::string_view key, std::string_view value) -> Status {
        std::string_view* place = key == "dtype"          ? &entry.dtype
                                  : key == "shape"        ? &entry.shape
                                  : key == "data_offsets" ? &entry.offsets
                                                          : nullptr;
        if (place != nullptr && !place->empty()) {
            return tensor_error(area, name, ErrorCode::kCorrupt, "{} is there twice", key);
        }
        if (place != nullptr) {
            *place = value;
        }
        return {};
    };
    if (const Status status = scan_object(raw, area.file, keep); !status.ok()) {
        return tensor_error(area, name, ErrorCode::kCorrupt,
                            "expected {{\"dtype\", \"shape\", \"data_offsets\"}}, found {}",
                            printable(raw));
    }
    if (entry.dtype.empty() || entry.shape.empty() || entry.offsets.empty()) {
        return tensor_error(area, name, ErrorCode::kCorrupt,
                            "dtype, shape or data_offsets is missing in {}", printable(raw));
    }
    return entry;
}

Result<FormatId> parse_dtype(const DataArea& area, std::string_view name, std::string_view raw) {
    const std::string_view bare =
        raw.size() >= 2 && raw.front() == '"' ? raw.substr(1, raw.size() - 2) : std::string_view();
    const auto* row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const DtypeRow& r) { return r.name == bare; });
    if (row == kDtypes.end()) {
        return tensor_error(area, name, ErrorCode::kUnsupported,
                            "dtype {} is not known here; expected F32, F16, BF16, F8_E4M3 or an "
                            "integer type",
                            printable(raw));
    }
    return row->format;
}

Result<Shape> parse_shape(const DataArea& area, std::string_view name, std::string_view raw,
                          uint64_t& n_elements) {
    const auto dims = parse_integers(raw, kMaxRank);
    if (!dims) {
        return tensor_error(area, name, ErrorCode::kCorrupt,
                            "shape: expected at most {} non-negative integers, found {}", kMaxRank,
                            printable(raw));
    }
    n_elements = NEREUS_TRY(checked_elements(*dims, area.file, name));
    Shape shape;
    shape.dims.assign(dims->begin(), dims->end());
    return shape;
}

Result<StoredTensor> read_entry(const DataArea& area, std::string_view name, std::string_view raw) {
    const Entry entry = NEREUS_TRY(scan_entry(area, name, raw));
    StoredTensor tensor;
    tensor.name = name;
    tensor.file = area.file;
    tensor.format = NEREUS_TRY(parse_dtype(area, name, entry.dtype));
    uint64_t n_elements = 0;
    tensor.shape = NEREUS_TRY(parse_shape(area, name, entry.shape, n_elements));
    const uint64_t n_bytes = NEREUS_TRY(
        checked_bytes(format_of(tensor.format), n_elements, n_elements, area.file, name));

    const auto offsets = parse_integers(entry.offsets, 2);
    if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
        return tensor_error(area, name, ErrorCode::kCorrupt,
                            "data_offsets: expected [begin, end], found {}",
                            printable(entry.offsets));
    }
    const auto [begin, end] = std::pair((*offsets)[0], (*offsets)[1]);
    if (end > area.bytes.size()) {
        return tensor_error(area, name, ErrorCode::kCorrupt,
                            "data_offsets {} end at byte {} of the data, which has only {}: the "
                            "file is truncated; download it again",
                            printable(entry.offsets), end, area.bytes.size());
    }
    if (end - begin != n_bytes) {
        return tensor_error(area, name, ErrorCode::kCorrupt,
                            "data_offsets {} hold {} bytes; {} {} needs {}",
                            printable(entry.offsets), end - begin, format_of(tensor.format).name,
                            tensor.shape.to_string(), n_bytes);
    }
    tensor.data = area.bytes.subspan(begin, n_bytes);
    tensor.offset = area.begin + begin;
    return tensor;
}

/// The JSON text of the header. errors: corrupt, unsupported
Result<std::string_view> header_text(std::span<const std::byte> bytes, std::string_view file) {
    uint64_t length = 0;
    if (bytes.size() < kLengthBytes) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: {} bytes; a safetensors file begins with an 8-byte header length",
                          file, bytes.size());
    }
    std::memcpy(&length, bytes.data(), kLengthBytes);
    const std::string_view rest(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                                bytes.size() - kLengthBytes);
    if (rest.starts_with("https://git-lfs")) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: this is a Git LFS pointer, not the weights; run `git lfs pull`",
                          file);
    }
    if (length > kMaxSafetensorsHeader) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: header length {} at byte 0 is over the limit of {}; is this a "
                          "safetensors file?",
                          file, length, kMaxSafetensorsHeader);
    }
    if (length > rest.size()) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: header length {} at byte 0, but only {} bytes follow: the file is "
                          "truncated; download it again",
                          file, length, rest.size());
    }
    return rest.substr(0, length);
}

}  // namespace

Result<std::vector<StoredTensor>> read_safetensors_header(std::span<const std::byte> bytes,
                                                          std::string_view file) {
    const std::string_view text = NEREUS_TRY(header_text(bytes, file));
    const uint64_t begin = kLengthBytes + text.size();
    const DataArea area{file, bytes.subspan(begin), begin};
    std::vector<StoredTensor> tensors;
    NEREUS_TRY(scan_object(text, fmt::format("{}: header", file),
                           [&](std::string_view name, std::string_view raw) -> Status {
                               if (name != "__metadata__") {
                                   tensors.push_back(NEREUS_TRY(read_entry(area, name, raw)));
                               }
                               return {};
                           }));
    NEREUS_TRY(sort_and_check_layout(tensors, begin, bytes.size(), Gaps::kRefused));
    return tensors;
}

}  // namespace nereus
