#include "apps/text_windows.h"

#include <algorithm>

namespace nereus {
namespace {

/// The whole text as ids: BOS in front where the model wants one; one newline at the end of the
/// file does not count (llama.cpp drops it from a prompt file).
std::vector<int32_t> text_ids(const OpenedText& text, std::string_view raw) {
    if (raw.ends_with('\n')) {
        raw.remove_suffix(1);
    }
    std::vector<int32_t> ids = text.tokenizer->encode(raw, ControlTokens::kAsText);
    if (text.text_needs_bos && text.bos_id) {
        ids.insert(ids.begin(), *text.bos_id);
    }
    return ids;
}

}  // namespace

Result<std::vector<int32_t>> text_windows(const OpenedText& text, std::string_view raw,
                                          int64_t context, int64_t n_windows,
                                          const std::string& origin) {
    std::vector<int32_t> ids = text_ids(text, raw);
    const auto window = static_cast<size_t>(context);
    const size_t n_whole = ids.size() / window;
    if (n_whole == 0) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: the text has {} tokens, one window needs {}; take a longer text",
                          origin, ids.size(), context);
    }
    const size_t n = n_windows == 0 ? n_whole : std::min(n_whole, static_cast<size_t>(n_windows));
    ids.resize(n * window);
    for (size_t at = 0; at < ids.size() && text.text_needs_bos && text.bos_id; at += window) {
        ids[at] = *text.bos_id;
    }
    return ids;
}

}  // namespace nereus
