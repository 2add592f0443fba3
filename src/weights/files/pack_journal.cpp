#include "weights/files/pack_journal.h"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/units.h"
#include "weights/files/pack_manifest.h"

namespace nereus {
namespace {

constexpr uint64_t kJournalBytesMax = 256 * kMiB;
constexpr size_t kDigits = 16;
constexpr size_t kLineBytes = 2 * kDigits + 2;  // value, space, digest of number and value, newline

std::string line_of(uint64_t number, uint64_t value) {
    const std::string digits = checksum_text(value);
    const uint64_t check = digest_of(fmt::format("{} {}", number, digits));
    return fmt::format("{} {}\n", digits, checksum_text(check));
}

/// The value of a line, if the line is whole and the number-th.
std::optional<uint64_t> value_of(std::string_view line, uint64_t number) {
    uint64_t value = 0;
    const auto [end, code] = std::from_chars(line.data(), line.data() + kDigits, value, 16);
    const bool whole = code == std::errc() && end == line.data() + kDigits;
    return whole && line == line_of(number, value) ? std::optional(value) : std::nullopt;
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace

Result<PackJournal> PackJournal::open(const std::filesystem::path& path, uint64_t plan) {
    PackJournal journal;
    journal.file_ = NEREUS_TRY(OutputFile::open(path));
    const std::string text = NEREUS_TRY(read_file(path, kJournalBytesMax));
    uint64_t n_lines = 0;
    for (; journal.end_ + kLineBytes <= text.size(); journal.end_ += kLineBytes) {
        const auto value =
            value_of(std::string_view(text).substr(journal.end_, kLineBytes), n_lines);
        if (!value) {
            break;
        }
        if (n_lines == 0 && *value != plan) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: this folder holds a part of another pack (another model, recipe "
                              "or option); delete the folder or name another one",
                              path.parent_path().string());
        }
        if (n_lines > 0) {
            journal.done_.push_back(*value);
        }
        ++n_lines;
    }
    NEREUS_TRY(journal.file_.resize(journal.end_));
    if (n_lines == 0) {
        const std::string line = line_of(0, plan);
        NEREUS_TRY(journal.file_.write_at(0, bytes_of(line)));
        NEREUS_TRY(journal.file_.sync());
        journal.end_ = line.size();
    }
    return journal;
}

Status PackJournal::add(const std::vector<uint64_t>& checksums) {
    std::string lines;
    for (const uint64_t checksum : checksums) {
        done_.push_back(checksum);
        lines += line_of(done_.size(), checksum);
    }
    NEREUS_TRY(file_.write_at(end_, bytes_of(lines)));
    end_ += lines.size();
    return file_.sync();
}

}  // namespace nereus
