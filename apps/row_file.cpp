#include "apps/row_file.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

static_assert(std::endian::native == std::endian::little, "rows are written as they are in memory");

namespace nereus {

namespace fs = std::filesystem;

Error RowFile::failed(const char* what) const {
    return make_error(ErrorCode::kIo, "{}: {}: {}", path_.string(), what, std::strerror(errno));
}

Result<RowFile> RowFile::create(const fs::path& path) {
    RowFile rows;
    rows.path_ = path;
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    fs::path target = path;
    if (!fs::exists(status) || fs::is_regular_file(status)) {
        rows.temporary_ = path;
        rows.temporary_ += fmt::format(".{}.tmp", ::getpid());
        target = rows.temporary_;
    }
    rows.file_.reset(std::fopen(target.c_str(), "wb"));
    if (!rows.file_) {
        rows.temporary_.clear();
        return rows.failed("cannot be written");
    }
    return rows;
}

RowFile::~RowFile() {
    if (file_ && !temporary_.empty()) {
        std::error_code ignored;
        fs::remove(temporary_, ignored);
    }
}

Status RowFile::append(ConstRows rows) {
    for (int64_t i = 0; i < rows.n_rows; ++i) {
        const auto n = static_cast<size_t>(rows.n_cols);
        if (std::fwrite(rows.row(i), sizeof(float), n, file_.get()) != n) {
            return failed("write failed");
        }
    }
    return {};
}

Status RowFile::finish() {
    if (std::fflush(file_.get()) != 0) {
        return failed("write failed");
    }
    if (!temporary_.empty()) {
        if (::fsync(::fileno(file_.get())) != 0) {
            return failed("write failed");
        }
        std::error_code error;
        fs::rename(temporary_, path_, error);
        if (error) {
            return make_error(ErrorCode::kIo, "{}: cannot be renamed into place: {}",
                              path_.string(), error.message());
        }
        temporary_.clear();
    }
    file_.reset();
    return {};
}

}  // namespace nereus
