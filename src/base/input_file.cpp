#include "base/input_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace nereus {
namespace {

Error errno_error(const std::filesystem::path& path, const char* doing) {
    const ErrorCode code =
        errno == ENOENT || errno == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
    return make_error(code, "{}: {}: {}", path.string(), doing, std::strerror(errno));
}

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

}  // namespace

Result<InputFile> InputFile::open(const std::filesystem::path& path, PageCache cache) {
    constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a FIFO does not wait for a writer
    InputFile file;
    file.path_ = path;
    file.direct_ = cache == PageCache::kAvoid;
    file.fd_ = ::open(path.c_str(), file.direct_ ? kFlags | O_DIRECT : kFlags);
    if (file.fd_ < 0 && file.direct_ && errno == EINVAL) {  // not on this file system
        file.direct_ = false;
        file.fd_ = ::open(path.c_str(), kFlags);
    }
    struct stat info = {};
    if (file.fd_ < 0 || ::fstat(file.fd_, &info) != 0) {
        return errno_error(path, "cannot open");
    }
    if (!S_ISREG(info.st_mode)) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected a regular file",
                          path.string());
    }
    file.size_ = static_cast<uint64_t>(info.st_size);
    return file;
}

InputFile::InputFile(InputFile&& other) noexcept { *this = std::move(other); }

InputFile& InputFile::operator=(InputFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(size_, other.size_);
    std::swap(fd_, other.fd_);
    std::swap(direct_, other.direct_);
    return *this;
}

InputFile::~InputFile() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Status InputFile::read_plain(uint64_t offset, std::span<std::byte> out, uint64_t n_wanted) const {
    uint64_t done = 0;
    while (done < n_wanted) {
        const ssize_t got =
            ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return read_error(*this, offset + done, n_wanted - done, got < 0 ? -errno : 0);
        }
        done += static_cast<uint64_t>(got);
    }
    return {};
}

Status InputFile::read_at(uint64_t offset, std::span<std::byte> out) const {
    if (!direct_) {
        return read_plain(offset, out, out.size());
    }
    const AlignedRange range = aligned_around(offset, out.size());
    const std::unique_ptr<std::byte, Free> bounce(
        static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, range.n_bytes())));
    if (bounce == nullptr) {
        return make_error(ErrorCode::kOutOfMemory, "{}: no room for a read of {}", path_.string(),
                          human_bytes(range.n_bytes()));
    }
    const uint64_t skip = offset - range.begin;
    NEREUS_TRY(read_plain(range.begin, {bounce.get(), range.n_bytes()}, skip + out.size()));
    std::copy_n(bounce.get() + skip, out.size(), out.data());  // nothing may be asked for
    return {};
}

void InputFile::leave_page_cache() const { ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED); }

Error read_error(const InputFile& file, uint64_t offset, uint64_t n_expected, int64_t result) {
    if (result >= 0) {
        return make_error(ErrorCode::kIo,
                          "{}: expected {} bytes at offset {}, found {}: the file was {} bytes "
                          "long when it was opened; did it change?",
                          file.path().string(), n_expected, offset, result, file.n_bytes());
    }
    return make_error(ErrorCode::kIo, "{}: cannot read {} bytes at offset {}: {}",
                      file.path().string(), n_expected, offset,
                      std::strerror(static_cast<int>(-result)));
}

bool is_in_page_cache(std::span<const std::byte> mapped) {
    if (mapped.empty()) {
        return true;
    }
    constexpr uintptr_t kLooks = 4;
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<uintptr_t>(mapped.data());
    for (uintptr_t i = 0; i <= kLooks; ++i) {
        const uintptr_t at = (first + (mapped.size() - 1) * i / kLooks) / page * page;
        unsigned char resident = 1;
        if (::mincore(reinterpret_cast<void*>(at), page, &resident) == 0 && (resident & 1) == 0) {
            return false;
        }
    }
    return true;
}

}  // namespace nereus
