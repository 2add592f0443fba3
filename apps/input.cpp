#include "apps/input.h"

#include <cstdio>

#include "base/file.h"

namespace nereus {
namespace {

constexpr uint64_t kInputBytesMax = 256ULL << 20;

Result<std::string> read_stdin() {
    std::string text;
    char buffer[1 << 16];
    for (;;) {
        const size_t n = std::fread(buffer, 1, sizeof buffer, stdin);
        text.append(buffer, n);
        if (n < sizeof buffer) {
            break;
        }
        if (text.size() > kInputBytesMax) {
            return make_error(ErrorCode::kUnsupported, "standard input: over {} bytes",
                              kInputBytesMax);
        }
    }
    if (std::ferror(stdin) != 0) {
        return make_error(ErrorCode::kIo, "standard input: read failed");
    }
    return text;
}

}  // namespace

bool path_exists(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

Result<std::string> read_input(const std::string& path) {
    return path == "-" ? read_stdin() : read_file(path, kInputBytesMax);
}

Result<Json> read_json_array(const std::string& path, std::string_view elements) {
    const std::string text = NEREUS_TRY(read_input(path));
    JsonLimits limits;
    limits.max_bytes = kInputBytesMax;
    Json json = NEREUS_TRY(parse_json(text, path, limits));
    if (!json.is_array()) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected a JSON array of {}, found {}",
                          path, elements, json.type_name());
    }
    return json;
}

Result<std::vector<int32_t>> token_ids(const Json& array, int64_t limit,
                                       const std::string& origin) {
    if (!array.is_array()) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected an array of ids, found {}",
                          origin, array.type_name());
    }
    std::vector<int32_t> ids;
    ids.reserve(array.size());
    for (size_t i = 0; i < array.size(); ++i) {
        const bool integer = array[i].is_number_integer();
        const bool in_range = integer &&
                              (!array[i].is_number_unsigned() ||
                               array[i].get<uint64_t>() < static_cast<uint64_t>(limit)) &&
                              array[i].get<int64_t>() >= 0 && array[i].get<int64_t>() < limit;
        if (!in_range) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: id {} is {}, expected an integer in [0, {})", origin, i,
                              dump_json(array[i]).substr(0, 40), limit);
        }
        ids.push_back(array[i].get<int32_t>());
    }
    return ids;
}

}  // namespace nereus
