#pragma once
// Files of one test process, gone when it ends.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace nereus {

/// A folder of this test process, removed with it.
inline std::filesystem::path scratch_folder() {
    static const struct Folder {
        std::filesystem::path path =
            std::filesystem::temp_directory_path() / ("nereus_test." + std::to_string(::getpid()));
        Folder() { std::filesystem::create_directories(path); }
        ~Folder() { std::filesystem::remove_all(path); }
    } kFolder;
    return kFolder.path;
}

inline std::string file_text(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// A file with this text in the scratch folder; its path.
inline std::string scratch_file(const std::string& name, const std::string& text) {
    const auto path = scratch_folder() / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
}

}  // namespace nereus
