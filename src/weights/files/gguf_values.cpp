#include "weights/files/gguf_values.h"

#include <array>
#include <map>
#include <string>

#include "weights/files/printable.h"

namespace nereus {
namespace {

template <typename T>
double read_as_double(const std::byte* data) {
    T value{};
    std::memcpy(&value, data, sizeof(T));
    return static_cast<double>(value);
}

template <typename T>
int64_t read_as_integer(const std::byte* data) {
    T value{};
    std::memcpy(&value, data, sizeof(T));
    return static_cast<int64_t>(value);
}

struct TypeRow {
    uint64_t n_bytes;  ///< of one value; 0 for those that vary
    int64_t (*as_integer)(const std::byte*);
    double (*as_double)(const std::byte*);
};

template <typename T>
constexpr TypeRow integer_row() {
    return {sizeof(T), read_as_integer<T>, read_as_double<T>};
}

/// By GgufType.
constexpr std::array<TypeRow, static_cast<size_t>(GgufType::kCount)> kTypes = {
    integer_row<uint8_t>(),
    integer_row<int8_t>(),
    integer_row<uint16_t>(),
    integer_row<int16_t>(),
    integer_row<uint32_t>(),
    integer_row<int32_t>(),
    TypeRow{4, nullptr, read_as_double<float>},
    integer_row<uint8_t>(),
    TypeRow{0, nullptr, nullptr},
    TypeRow{0, nullptr, nullptr},
    integer_row<uint64_t>(),
    integer_row<int64_t>(),
    TypeRow{8, nullptr, read_as_double<double>},
};

template <typename T>
void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

const TypeRow& row_of(GgufType type) { return kTypes[static_cast<size_t>(type)]; }

/// What an error about one pair needs.
struct Place {
    std::string_view file;
    std::string_view key;
    uint64_t offset;
};

Error truncated(const Place& place, uint64_t needed, uint64_t remaining) {
    return make_error(
        ErrorCode::kCorrupt,
        "{}: key {} at byte {}: needs at least {} more bytes, {} are left; the file is "
        "truncated or its lengths are wrong",
        place.file, printable(place.key), place.offset, needed, remaining);
}

Result<GgufType> read_type(ByteReader& reader, const Place& place) {
    const auto type = reader.read<uint32_t>();
    if (!type) {
        return truncated(place, sizeof(uint32_t), reader.remaining());
    }
    if (*type >= static_cast<uint32_t>(GgufType::kCount)) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: key {} at byte {}: value type {}, expected 0 to 12", place.file,
                          printable(place.key), place.offset, *type);
    }
    return static_cast<GgufType>(*type);
}

/// Takes `count` elements of `type`, checking that they can be there before walking them.
Result<std::span<const std::byte>> take_elements(ByteReader& reader, GgufType type, uint64_t count,
                                                 const Place& place) {
    const uint64_t each = row_of(type).n_bytes == 0 ? sizeof(uint64_t) : row_of(type).n_bytes;
    if (count > reader.remaining() / each) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: key {} at byte {}: {} values of at least {} bytes cannot fit the {} "
                          "bytes that are left",
                          place.file, printable(place.key), place.offset, count, each,
                          reader.remaining());
    }
    if (type != GgufType::kString) {
        return *reader.take(count * each);
    }
    ByteReader walker = reader;
    for (uint64_t i = 0; i < count; ++i) {
        if (!walker.read_string()) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: key {}: string {} of {} at byte {} is longer than the {} bytes "
                              "that are left",
                              place.file, printable(place.key), i, count, walker.position(),
                              walker.remaining());
        }
    }
    return *reader.take(walker.position() - reader.position());
}

Status check_bools(const GgufValue& value, const Place& place) {
    for (const std::byte byte : value.bytes) {
        if (value.type == GgufType::kBool && std::to_integer<int>(byte) > 1) {
            return make_error(
                ErrorCode::kCorrupt, "{}: key {} at byte {}: expected a bool of 0 or 1, found {}",
                place.file, printable(place.key), place.offset, std::to_integer<int>(byte));
        }
    }
    return {};
}

Result<GgufValue> read_value(ByteReader& reader, const Place& place) {
    GgufValue value;
    value.type = NEREUS_TRY(read_type(reader, place));
    if (value.type == GgufType::kArray) {
        value.is_array = true;
        value.type = NEREUS_TRY(read_type(reader, place));
        if (value.type == GgufType::kArray) {
            return make_error(ErrorCode::kUnsupported,
                              "{}: key {} at byte {}: an array of arrays is not read", place.file,
                              printable(place.key), place.offset);
        }
        const auto count = reader.read<uint64_t>();
        if (!count) {
            return truncated(place, sizeof(uint64_t), reader.remaining());
        }
        value.count = *count;
    }
    value.bytes = NEREUS_TRY(take_elements(reader, value.type, value.count, place));
    NEREUS_TRY(check_bools(value, place));
    return value;
}

}  // namespace

std::string GgufValues::as_file() const {
    const std::map<std::string_view, GgufValue> sorted(values_.begin(), values_.end());
    std::string pairs;
    uint64_t n_pairs = 0;
    for (const auto& [key, value] : sorted) {
        if (key.starts_with("split.")) {
            continue;
        }
        ++n_pairs;
        append(pairs, uint64_t{key.size()});
        pairs += key;
        if (value.is_array) {
            append(pairs, GgufType::kArray);
        }
        append(pairs, value.type);
        if (value.is_array) {
            append(pairs, value.count);
        }
        pairs.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
    }
    std::string file = "GGUF";
    append(file, uint32_t{3});
    append(file, uint64_t{0});
    append(file, n_pairs);
    return file + pairs;
}

Result<std::unique_ptr<GgufValues>> read_gguf_values(ByteReader& reader, uint64_t n,
                                                     std::string_view file) {
    constexpr uint64_t kLeastPairBytes = 8 + 1 + 4 + 1;  // key length, key, type, value
    auto values = std::make_unique<GgufValues>();
    if (n > reader.remaining() / kLeastPairBytes) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: {} metadata keys cannot fit the {} bytes after the header", file, n,
                          reader.remaining());
    }
    for (uint64_t i = 0; i < n; ++i) {
        Place place{file, "", reader.position()};
        const auto key = reader.read_string();
        if (!key || key->empty()) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: metadata key {} of {} at byte {}: expected a name, found {}",
                              file, i, n, place.offset,
                              key ? "an empty one" : "a length beyond the end of the file");
        }
        place.key = *key;
        if (!values->add(*key, NEREUS_TRY(read_value(reader, place)))) {
            return make_error(ErrorCode::kCorrupt, "{}: key {} at byte {} is there twice", file,
                              printable(*key), place.offset);
        }
    }
    return values;
}

const GgufValue* GgufValues::find(std::string_view key, bool is_array) const {
    const auto place = values_.find(key);
    return place == values_.end() || place->second.is_array != is_array ? nullptr : &place->second;
}

bool GgufValues::contains(std::string_view key) const { return values_.contains(key); }

std::optional<int64_t> GgufValues::integer(std::string_view key) const {
    const GgufValue* value = find(key, false);
    if (value == nullptr || row_of(value->type).as_integer == nullptr) {
        return std::nullopt;
    }
    const int64_t number = row_of(value->type).as_integer(value->bytes.data());
    if (value->type == GgufType::kUint64 && number < 0) {
        return std::nullopt;  // above 2^63 - 1: no count is
    }
    return number;
}

std::optional<double> GgufValues::number(std::string_view key) const {
    const GgufValue* value = find(key, false);
    if (value == nullptr || row_of(value->type).as_double == nullptr) {
        return std::nullopt;
    }
    return row_of(value->type).as_double(value->bytes.data());
}

std::optional<std::string_view> GgufValues::string(std::string_view key) const {
    const GgufValue* value = find(key, false);
    if (value == nullptr || value->type != GgufType::kString) {
        return std::nullopt;
    }
    return ByteReader(value->bytes).read_string();
}

std::vector<std::string_view> GgufValues::strings(std::string_view key) const {
    std::vector<std::string_view> out;
    const GgufValue* value = find(key, true);
    if (value == nullptr || value->type != GgufType::kString) {
        return out;
    }
    out.reserve(value->count);
    ByteReader reader(value->bytes);
    while (const auto text = reader.read_string()) {
        out.push_back(*text);
    }
    return out;
}

std::vector<double> GgufValues::numbers(std::string_view key) const {
    std::vector<double> out;
    const GgufValue* value = find(key, true);
    if (value == nullptr || row_of(value->type).as_double == nullptr) {
        return out;
    }
    const TypeRow& row = row_of(value->type);
    out.reserve(value->count);
    for (uint64_t i = 0; i < value->count; ++i) {
        out.push_back(row.as_double(value->bytes.data() + i * row.n_bytes));
    }
    return out;
}

}  // namespace nereus
