#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/units.h"

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
        return errno_error(temporary, "cannot create");
    }
    const auto fail = [&](const char* doing) -> Status {
        Error error = errno_error(temporary, doing);
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

void drop_pages(std::span<const std::byte> bytes) {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = round_up(reinterpret_cast<uintptr_t>(bytes.data()), page);
    const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
    if (begin < end) {
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
}

Result<OutputFile> OutputFile::open(const std::filesystem::path& path) {
    OutputFile file;
    file.path_ = path;
    file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (file.fd_ < 0) {
        return errno_error(path, "cannot open for writing");
    }
    NEREUS_TRY(regular_size(file.fd_, path));
    return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept { *this = std::move(other); }

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(fd_, other.fd_);
    return *this;
}

OutputFile::~OutputFile() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Status OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            const std::string doing = fmt::format("cannot write at byte {}", offset);
            return errno_error(path_, doing.c_str());
        }
        bytes = bytes.subspan(static_cast<size_t>(put));
        offset += static_cast<uint64_t>(put);
    }
    return {};
}

Status OutputFile::resize(uint64_t n_bytes) {
    if (::ftruncate(fd_, static_cast<off_t>(n_bytes)) != 0) {
        return errno_error(path_, "cannot resize");
    }
    return {};
}

Result<uint64_t> OutputFile::size() const { return regular_size(fd_, path_); }

Status OutputFile::sync() {
    if (::fdatasync(fd_) != 0) {
        return errno_error(path_, "cannot sync");
    }
    return {};
}

}  // namespace nereus
