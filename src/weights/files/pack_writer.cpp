// Writing a pack: bytes in order, a journal behind them, pack.json at the end.

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <system_error>

#include "base/check.h"
#include "base/digest.h"
#include "base/file.h"
#include "weights/files/hf_folder.h"
#include "weights/files/pack_journal.h"
#include "weights/files/pack_manifest.h"
#include "weights/pack.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

class FolderPackWriter final : public PackWriter {
  public:
    FolderPackWriter(fs::path folder, PackManifest manifest, const PackLimits& limits)
        : folder_(std::move(folder)), manifest_(std::move(manifest)), limits_(limits) {}

    Status open(const std::vector<PackCopy>& copies) {
        journal_ = NEREUS_TRY(PackJournal::open(folder_ / kPackJournalFile, manifest_.plan));
        for (const PackCopy& copy : copies) {
            NEREUS_TRY(write_file_atomic(folder_ / copy.name, copy.bytes));
        }
        for (const PackManifest::File& file : manifest_.files) {
            files_.push_back(NEREUS_TRY(OutputFile::open(folder_ / file.name)));
        }
        std::vector<uint64_t> ends(files_.size());  // what lies behind is of no journal
        next_ = std::min(journal_->done().size(), manifest_.blobs.size());
        for (size_t i = 0; i < next_; ++i) {
            manifest_.blobs[i].checksum = journal_->done()[i];
            n_bytes_done_ += manifest_.blobs[i].n_bytes;
            ends[manifest_.blobs[i].file] = manifest_.blobs[i].offset + manifest_.blobs[i].n_bytes;
        }
        for (size_t i = 0; i < files_.size(); ++i) {
            NEREUS_TRY(cut_file(files_[i], ends[i]));
        }
        return check_space();
    }

    uint64_t n_bytes() const override { return manifest_.n_bytes(); }
    uint64_t n_bytes_done() const override { return n_bytes_done_; }
    size_t next_blob() const override { return next_; }

    Status append(std::span<const std::byte> bytes) override {
        NEREUS_CHECK(next_ < manifest_.blobs.size());
        PackManifest::Blob& blob = manifest_.blobs[next_];
        const PackManifest::Tensor& tensor = blob.tensors[tensor_];
        NEREUS_CHECK(bytes.size() <= tensor.n_bytes - (position_ - tensor.offset));
        NEREUS_TRY(put(blob, bytes));
        if (position_ < tensor.offset + tensor.n_bytes) {
            return {};
        }
        if (++tensor_ < blob.tensors.size()) {
            static constexpr std::array<std::byte, kPackTensorAlignment> kZeros{};
            return put(blob, std::span(kZeros).first(blob.tensors[tensor_].offset - position_));
        }
        return close_blob(blob);
    }

    Status finish() override {
        NEREUS_CHECK(next_ == manifest_.blobs.size());
        NEREUS_TRY(checkpoint());
        for (size_t i = 0; i < files_.size(); ++i) {
            NEREUS_TRY(files_[i].resize(manifest_.files[i].n_bytes));
            NEREUS_TRY(files_[i].sync());
        }
        NEREUS_TRY(write_file_atomic(folder_ / kPackManifestFile, manifest_text(manifest_)));
        std::error_code ignored;
        fs::remove(folder_ / kPackJournalFile, ignored);
        return {};
    }

  private:
    static Status cut_file(OutputFile& file, uint64_t end) {
        const uint64_t size = NEREUS_TRY(file.size());
        if (size < end) {
            return make_error(ErrorCode::kCorrupt,
                              "{}: {} bytes, the journal says that {} are written; delete the "
                              "folder and pack the model again",
                              file.path().string(), size, end);
        }
        return file.resize(end);
    }

    /// A disk that cannot hold the pack is better known at once than after an hour.
    Status check_space() const {
        std::error_code code;
        const fs::space_info space = fs::space(folder_, code);
        const uint64_t wanted = n_bytes() - n_bytes_done_;
        if (!code && space.available < wanted) {
            return make_error(ErrorCode::kIo, "{}: {} more are needed, {} are free on this disk",
                              folder_.string(), human_bytes(wanted), human_bytes(space.available));
        }
        return {};
    }

    Status put(const PackManifest::Blob& blob, std::span<const std::byte> bytes) {
        const Status written = files_[blob.file].write_at(blob.offset + position_, bytes);
        if (!written.ok()) {
            return make_error(written.error().code,
                              "{}; {} of {} are done: make room and run the same command again",
                              written.error().message, human_bytes(n_bytes_done_),
                              human_bytes(n_bytes()));
        }
        dirty_.insert(blob.file);
        digest_.add(bytes);
        position_ += bytes.size();
        return {};
    }

    Status close_blob(PackManifest::Blob& blob) {
        blob.checksum = digest_.value();
        pending_.push_back(blob.checksum);
        digest_ = Digest();
        n_bytes_pending_ += position_;
        n_bytes_done_ += position_;
        position_ = 0;
        tensor_ = 0;
        ++next_;
        return n_bytes_pending_ >= limits_.sync_bytes ? checkpoint() : Status();
    }

    /// First the bytes, then the lines that vouch for them.
    Status checkpoint() {
        for (const size_t file : dirty_) {
            NEREUS_TRY(files_[file].sync());
        }
        dirty_.clear();
        NEREUS_TRY(journal_->add(pending_));
        pending_.clear();
        n_bytes_pending_ = 0;
        return {};
    }

    fs::path folder_;
    PackManifest manifest_;
    PackLimits limits_;
    std::optional<PackJournal> journal_;
    std::vector<OutputFile> files_;
    size_t next_ = 0;        ///< the blob being written
    size_t tensor_ = 0;      ///< its tensor being written
    uint64_t position_ = 0;  ///< bytes of the blob written
    Digest digest_;
    std::vector<uint64_t> pending_;  ///< written, not yet in the journal
    std::set<size_t> dirty_;         ///< files written since the last sync
    uint64_t n_bytes_pending_ = 0;
    uint64_t n_bytes_done_ = 0;
};

/// A pack that is complete already: nothing is left to do.
class FinishedPack final : public PackWriter {
  public:
    FinishedPack(uint64_t n_bytes, size_t n_blobs) : n_bytes_(n_bytes), n_blobs_(n_blobs) {}
    uint64_t n_bytes() const override { return n_bytes_; }
    uint64_t n_bytes_done() const override { return n_bytes_; }
    size_t next_blob() const override { return n_blobs_; }
    Status append(std::span<const std::byte>) override {
        NEREUS_CHECK(false);
        return {};
    }
    Status finish() override { return {}; }

  private:
    uint64_t n_bytes_;
    size_t n_blobs_;
};

/// Leftovers of a kill in the middle of write_file_atomic.
void remove_temporaries(const fs::path& folder) {
    std::error_code code;
    std::vector<fs::path> found;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
        if (it->path().filename().string().find(".tmp.") != std::string::npos) {
            found.push_back(it->path());
        }
    }
    for (const fs::path& path : found) {
        fs::remove(path, code);
    }
}

/// An empty folder, or one with this pack, begun or finished.
Status prepare_folder(const fs::path& folder) {
    std::error_code code;
    fs::create_directories(folder, code);
    if (!fs::is_directory(folder, code)) {
        return make_error(ErrorCode::kIo, "{}: cannot create this folder", folder.string());
    }
    const bool empty = fs::is_empty(folder, code);
    if (!empty && !file_is_there(folder / kPackJournalFile)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: the folder is not empty and no unfinished pack; delete it or name "
                          "another one",
                          folder.string());
    }
    return {};
}

Result<std::unique_ptr<PackWriter>> finished_pack(const fs::path& folder,
                                                  const PackManifest& manifest) {
    const std::string text = NEREUS_TRY(read_file(folder / kPackManifestFile, 256 * kMiB));
    const auto found = parse_manifest(text, (folder / kPackManifestFile).string());
    if (!found.ok() || found->plan != manifest.plan) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: this folder holds another pack; delete it or name another one",
                          folder.string());
    }
    std::error_code ignored;
    fs::remove(folder / kPackJournalFile, ignored);
    return std::unique_ptr<PackWriter>(
        std::make_unique<FinishedPack>(manifest.n_bytes(), manifest.blobs.size()));
}

}  // namespace

Result<std::unique_ptr<PackWriter>> create_pack(const fs::path& folder, PackContent content,
                                                const PackLimits& limits) {
    PackManifest manifest = NEREUS_TRY(lay_out_pack(content, limits));
    if (file_is_there(folder / kPackManifestFile)) {
        return finished_pack(folder, manifest);
    }
    NEREUS_TRY(prepare_folder(folder));
    remove_temporaries(folder);
    auto writer = std::make_unique<FolderPackWriter>(folder, std::move(manifest), limits);
    NEREUS_TRY(writer->open(content.copies));
    return std::unique_ptr<PackWriter>(std::move(writer));
}

}  // namespace nereus
