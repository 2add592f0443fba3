#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace nereus {
namespace {

Error errno_error(const std::filesystem::path& path, const char* doing) {
    const int number = errno;
    const ErrorCode code =
        number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
    return make_error(code, "{}: {}: {}", path.string(), doing, std::strerror(number));
}

const char* kind_of(mode_t mode) {
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

/// Owns a descriptor.
struct Descriptor {
    int fd = -1;
    explicit Descriptor(int number) : fd(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd >= 0) {
            ::close(fd);
        }
    }
};

/// O_NONBLOCK keeps open() of a FIFO from waiting for a writer.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

Result<uint64_t> regular_size(int fd, const std::filesystem::path& path) {
    struct stat info = {};
    if (::fstat(fd, &info) != 0) {
        return errno_error(path, "cannot stat");
    }
    if (!S_ISREG(info.st_mode)) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected a file, found {}",
                          path.string(), kind_of(info.st_mode));
    }
    return static_cast<uint64_t>(info.st_size);
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, uint64_t max_bytes) {
    const Descriptor file(::open(path.c_str(), kOpenFlags));
    if (file.fd < 0) {
        return errno_error(path, "cannot open");
    }
    const uint64_t size = NEREUS_TRY(regular_size(file.fd, path));
    if (size > max_bytes) {
        return make_error(ErrorCode::kUnsupported, "{}: {} bytes, at most {} are accepted here",
                          path.string(), size, max_bytes);
    }
    std::string text(size, '\0');
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t got = ::read(file.fd, text.data() + done, text.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno_error(path, "cannot read");
        }
        if (got == 0) {
            return make_error(ErrorCode::kIo, "{}: ended at byte {}, expected {}: did it change?",
                              path.string(), done, size);
        }
        done += static_cast<size_t>(got);
    }
    return text;
}

Status write_file_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
    const std::filesystem::path temporary = path.string() + fmt::format(".tmp.{}", ::getpid());
    Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (file.fd < 0) {
        return errno_error(path, "cannot create");
    }
    const auto fail = [&](const char* doing) -> Status {
        Error error = errno_error(path, doing);
        ::unlink(temporary.c_str());
        return error;
    };
    while (!bytes.empty()) {
        const ssize_t put = ::write(file.fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return fail("cannot write");
        }
        bytes.remove_prefix(static_cast<size_t>(put));
    }
    if (::fsync(file.fd) != 0) {
        return fail("cannot sync");
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        return fail("cannot rename");
    }
    return {};
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
    const Descriptor file(::open(path.c_str(), kOpenFlags));
    if (file.fd < 0) {
        return errno_error(path, "cannot open");
    }
    MappedFile mapped;
    mapped.path_ = path;
    mapped.size_ = NEREUS_TRY(regular_size(file.fd, path));
    if (mapped.size_ == 0) {
        return mapped;
    }
    void* data = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_SHARED, file.fd, 0);
    if (data == MAP_FAILED) {
        mapped.size_ = 0;
        return errno_error(path, "cannot map");
    }
    mapped.data_ = static_cast<const std::byte*>(data);
    return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) {
        ::munmap(const_cast<std::byte*>(data_), size_);
    }
}

}  // namespace nereus
