// A prompt of trusted and untrusted pieces to ids. Control tokens count only where every byte of
// them was written by the format; everything else is encoded as one text, because merges and
// pre-splits cross the pieces' borders.

#include <algorithm>
#include <array>
#include <utility>

#include "apps/open.h"

namespace nereus {
namespace {

/// The texts of all control tokens, by first byte, longest first.
class ControlTable {
  public:
    explicit ControlTable(const Tokenizer& tokenizer) {
        for (int32_t id = 0; id < tokenizer.n_tokens(); ++id) {
            const std::string_view bytes = tokenizer.token_bytes(id);
            if (tokenizer.is_control(id) && !bytes.empty()) {
                by_first_byte_[static_cast<unsigned char>(bytes[0])].push_back({bytes, id});
            }
        }
        for (auto& entries : by_first_byte_) {
            std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
                return std::pair(b.text.size(), a.id) < std::pair(a.text.size(), b.id);
            });
        }
    }

    struct Entry {
        std::string_view text;
        int32_t id;
    };

    /// The longest control token that `text` begins with, of at most n_bytes_max bytes.
    const Entry* match(std::string_view text, size_t n_bytes_max = std::string_view::npos) const {
        for (const Entry& entry : by_first_byte_[static_cast<unsigned char>(text[0])]) {
            if (entry.text.size() <= n_bytes_max && text.starts_with(entry.text)) {
                return &entry;
            }
        }
        return nullptr;
    }

  private:
    std::array<std::vector<Entry>, 256> by_first_byte_;
};

/// For every byte of the prompt: how many bytes from it on may belong to a control token.
std::vector<size_t> trusted_runs(const Prompt& prompt) {
    std::vector<size_t> runs;
    for (const PromptPiece& piece : prompt.pieces) {
        runs.insert(runs.end(), piece.text.size(), piece.trusted ? 1 : 0);
    }
    for (size_t i = runs.size(); i-- > 1;) {
        runs[i - 1] = runs[i - 1] == 0 ? 0 : runs[i] + 1;
    }
    return runs;
}

/// Some text of a message spells (part of) a control token.
bool has_forged_control(std::string_view text, const std::vector<size_t>& trusted,
                        const ControlTable& table) {
    for (size_t i = 0; i < text.size(); ++i) {
        const ControlTable::Entry* entry = table.match(text.substr(i));
        if (entry != nullptr && entry->text.size() > trusted[i]) {
            return true;
        }
    }
    return false;
}

/// A control token the format wrote, and where.
struct Written {
    size_t begin;
    const ControlTable::Entry* entry;
};

std::vector<Written> written_controls(std::string_view text, const std::vector<size_t>& trusted,
                                      const ControlTable& table) {
    std::vector<Written> found;
    for (size_t i = 0; i < text.size();) {
        // What follows in a message may spell a longer token; the one written here still counts.
        const ControlTable::Entry* entry = table.match(text.substr(i), trusted[i]);
        if (entry != nullptr) {
            found.push_back({i, entry});
            i += entry->text.size();
        } else {
            ++i;
        }
    }
    return found;
}

/// The control tokens among ids are, in order, some of those written: a normaliser may complete one
/// in a message whose bytes do not spell it.
bool all_written(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                 const std::vector<Written>& written) {
    size_t next = 0;
    for (const int32_t id : ids) {
        if (!tokenizer.is_control(id)) {
            continue;
        }
        while (next < written.size() && written[next].entry->id != id) {
            ++next;
        }
        if (next++ >= written.size()) {
            return false;
        }
    }
    return true;
}

std::vector<int32_t> encode_guarded(const Tokenizer& tokenizer, std::string_view text,
                                    const std::vector<Written>& written) {
    std::vector<int32_t> ids;
    size_t done = 0;
    const auto plain_until = [&](size_t end) {
        if (end > done) {
            const auto plain =
                tokenizer.encode(text.substr(done, end - done), ControlTokens::kAsText);
            ids.insert(ids.end(), plain.begin(), plain.end());
        }
    };
    for (const Written& control : written) {
        plain_until(control.begin);
        ids.push_back(control.entry->id);
        done = control.begin + control.entry->text.size();
    }
    plain_until(text.size());
    return ids;
}

}  // namespace

std::vector<int32_t> encode_prompt(const OpenedText& opened, const Prompt& prompt) {
    const Tokenizer& tokenizer = *opened.tokenizer;
    const std::string text = prompt.text();
    const std::vector<size_t> trusted = trusted_runs(prompt);
    const ControlTable table(tokenizer);
    const std::vector<Written> written = written_controls(text, trusted, table);
    // Without a forged token the prompt is one text to the reference, and to us.
    std::vector<int32_t> ids;
    bool guarded = has_forged_control(text, trusted, table);
    if (!guarded) {
        ids = tokenizer.encode(text, ControlTokens::kParse);
        guarded = !all_written(tokenizer, ids, written);
    }
    if (guarded) {
        ids = encode_guarded(tokenizer, text, written);
    }
    if (opened.prompt_needs_bos && opened.bos_id && (ids.empty() || ids[0] != *opened.bos_id)) {
        ids.insert(ids.begin(), *opened.bos_id);
    }
    return ids;
}

}  // namespace nereus
