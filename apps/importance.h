#pragma once
// pack --importance: the model reads a text, and what enters its matrices weighs their rounding.

#include <cstdint>
#include <filesystem>
#include <string>

#include "apps/command.h"
#include "model/input_statistics.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Tokens of a window: long enough for attention to look as it does in use.
inline constexpr int64_t kImportanceContext = 512;

struct ImportanceText {
    std::string path, raw;
    int64_t n_windows = 0;  ///< 0: all
};

/// Runs the model of an open checkpoint, whose bytes the statistics then know, over the text's
/// windows. errors: those of loading; invalid_argument (no tokenizer, a text below one window)
Result<InputStatistics> measure_importance(const Checkpoint& checkpoint, const ImportanceText& text,
                                           ThreadPool& pool, const CommonOptions& common);

}  // namespace nereus
