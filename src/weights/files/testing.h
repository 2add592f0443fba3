#pragma once
// For tests only: makes small model files, right ones and wrong ones, byte by byte.

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nereus::testing {

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

template <typename T>
void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

inline void append_text(std::string& out, std::string_view text) {
    append(out, uint64_t{text.size()});
    out += text;
}

/// A safetensors file of this header and n_data zero bytes.
inline std::string safetensors_file(std::string_view header, size_t n_data = 0) {
    std::string file;
    append_text(file, header);
    return file + std::string(n_data, '\0');
}

/// Writes GGUF files; the counts can be made to lie.
class GgufBuilder {
  public:
    uint32_t version = 3;
    std::optional<uint64_t> n_tensors;  ///< what the header claims, if not the truth
    std::optional<uint64_t> n_values;

    /// A key whose type number and value bytes are given as they are.
    GgufBuilder& raw(std::string_view key, uint32_t type, std::string_view value) {
        append_text(values_, key);
        append(values_, type);
        values_ += value;
        ++value_count_;
        return *this;
    }

    template <typename T>
    GgufBuilder& scalar(std::string_view key, uint32_t type, T value) {
        std::string bytes;
        append(bytes, value);
        return raw(key, type, bytes);
    }

    GgufBuilder& u32(std::string_view key, uint32_t value) { return scalar(key, 4, value); }

    GgufBuilder& text(std::string_view key, std::string_view value) {
        std::string bytes;
        append_text(bytes, value);
        return raw(key, 8, bytes);
    }

    GgufBuilder& array(std::string_view key, uint32_t type, uint64_t count,
                       std::string_view values) {
        std::string bytes;
        append(bytes, type);
        append(bytes, count);
        bytes += values;
        return raw(key, 9, bytes);
    }

    GgufBuilder& texts(std::string_view key, const std::vector<std::string>& values) {
        std::string bytes;
        for (const std::string& value : values) {
            append_text(bytes, value);
        }
        return array(key, 8, values.size(), bytes);
    }

    /// dims: fastest first, as in the file.
    GgufBuilder& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type,
                        uint64_t offset) {
        append_text(tensors_, name);
        append(tensors_, static_cast<uint32_t>(dims.size()));
        for (const uint64_t dim : dims) {
            append(tensors_, dim);
        }
        append(tensors_, type);
        append(tensors_, offset);
        ++tensor_count_;
        return *this;
    }

    /// The file with n_data bytes 0, 1, 2, ... after the padding.
    std::string build(size_t n_data = 0, size_t alignment = 32) const {
        std::string file = "GGUF";
        append(file, version);
        append(file, n_tensors.value_or(tensor_count_));
        append(file, n_values.value_or(value_count_));
        file += values_ + tensors_;
        file.resize((file.size() + alignment - 1) / alignment * alignment);
        for (size_t i = 0; i < n_data; ++i) {
            file += static_cast<char>(i);
        }
        return file;
    }

  private:
    std::string values_;
    std::string tensors_;
    uint64_t value_count_ = 0;
    uint64_t tensor_count_ = 0;
};

inline std::string slurp(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
}

inline void spill(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// A folder of its own, removed at the end.
class TempFolder {
  public:
    TempFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "nereus-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

}  // namespace nereus::testing
