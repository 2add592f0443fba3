#pragma once
// A plain text as windows of token ids: what perplexity scores and what importance is measured on.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/open.h"

namespace nereus {

/// The first n_windows (0: all) whole windows of `context` ids each, one after the other. Every
/// window begins with BOS where the model wants one. origin: for messages. The text must have a
/// tokenizer. errors: invalid_argument (less than one window)
Result<std::vector<int32_t>> text_windows(const OpenedText& text, std::string_view raw,
                                          int64_t context, int64_t n_windows,
                                          const std::string& origin);

}  // namespace nereus
