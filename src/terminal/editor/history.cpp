#include "terminal/editor/history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "base/unicode.h"

namespace nereus {
namespace {

constexpr unsigned kPrivate = 0600;
constexpr uint64_t kFileBytesMax = 64ULL << 20;

/// One line a entry: newline and backslash are written as \n and \\.
std::string escaped(std::string_view entry) {
    std::string line;
    for (const char c : entry) {
        line += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
    }
    return line + "\n";
}

std::string unescaped(std::string_view line) {
    std::string entry;
    for (size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\' && i + 1 < line.size()) {
            ++i;
            entry += line[i] == 'n' ? '\n' : line[i];
        } else {
            entry += line[i];
        }
    }
    return entry;
}

Error file_error(const std::string& path, const char* doing) {
    return make_error(ErrorCode::kIo, "{}: cannot {}: {}", path, doing, std::strerror(errno));
}

}  // namespace

History::History(std::string path, size_t entries_max)
    : path_(std::move(path)), entries_max_(entries_max) {}

void History::trim() {
    if (entries_.size() > entries_max_) {
        const auto n = static_cast<std::ptrdiff_t>(entries_.size() - entries_max_);
        entries_.erase(entries_.begin(), entries_.begin() + n);
    }
}

Status History::load() {
    if (path_.empty()) {
        return {};
    }
    const auto text = read_file(path_, kFileBytesMax);
    if (!text.ok()) {
        return text.error().code == ErrorCode::kNotFound ? Status() : text.error();
    }
    std::string_view rest = *text;
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        entries_.push_back(replace_invalid_utf8(unescaped(rest.substr(0, end))));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    const bool too_long = entries_.size() > entries_max_;
    trim();
    if (too_long) {
        std::string kept;
        for (const std::string& entry : entries_) {
            kept += escaped(entry);
        }
        return write_file_atomic(path_, kept, kPrivate);
    }
    if (::chmod(path_.c_str(), kPrivate) != 0) {
        return file_error(path_, "make it private");
    }
    return {};
}

Status History::add(const std::string& entry) {
    if (entry.empty() || (!entries_.empty() && entries_.back() == entry)) {
        return {};
    }
    entries_.push_back(entry);
    trim();
    if (path_.empty()) {
        return {};
    }
    std::error_code ignored;  // the open below says it better
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
    const int fd =
        ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, kPrivate);
    if (fd < 0) {
        return file_error(path_, "open it for writing");
    }
    const std::string line = escaped(entry);
    const ssize_t put = ::write(fd, line.data(), line.size());
    const Error error = file_error(path_, "write");
    ::close(fd);
    return put == static_cast<ssize_t>(line.size()) ? Status() : Status(error);
}

}  // namespace nereus
