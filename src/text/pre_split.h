#pragma once
// Cuts text into the pieces that BPE works on: the regexes of tokenizer.json as they are written
// there, matched by PCRE2 (UTF, UCP, JIT) with the meaning Oniguruma gives them, because that is
// the engine the reference uses. Knows nothing of tokens.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nereus {

/// What becomes of the text a pattern matches.
enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// One stage: every piece of the stage before is cut by the pattern on its own, so that no pattern
/// looks beyond its piece. invert: the text between matches is what counts as matched.
struct SplitRule {
    std::string pattern;
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
    /// Write a space before pieces that do not begin with one, before the pattern is applied; with
    /// an empty pattern the stage does only that.
    bool prefix_space = false;
};

/// Upper bounds of a pattern and of the stages in one file; both far above any published tokenizer.
inline constexpr size_t kMaxPatternBytes = 64 * 1024;
inline constexpr size_t kMaxSplitRules = 32;

struct SplitStage;  // a rule, compiled

/// The stages, compiled. Immutable. threads: any (a Scratch belongs to one call).
class PreSplitter {
  public:
    using Emit = std::function<void(std::string_view piece)>;

    /// errors: corrupt (a pattern that does not compile; position and reason are named),
    /// unsupported (class syntax that PCRE2 would read differently; too many or too long patterns)
    static Result<PreSplitter> create(std::span<const SplitRule> rules, std::string_view origin);

    PreSplitter(PreSplitter&& other) noexcept;
    PreSplitter& operator=(PreSplitter&& other) noexcept;
    ~PreSplitter();

    /// Calls emit for every piece of `text` (valid UTF-8), in order; a piece is valid during its
    /// call. A pattern that exceeds the match limit leaves the rest of its piece uncut.
    void split(std::string_view text, const Emit& emit) const;

  private:
    explicit PreSplitter(std::vector<SplitStage> stages);

    std::vector<SplitStage> stages_;
};

/// The pattern with what Oniguruma and PCRE2 read differently rewritten for PCRE2: \s, \w, \h and
/// the quadratic `\s+$`. errors: unsupported (nested or intersected character classes)
Result<std::string> translate_pattern(std::string_view pattern, std::string_view origin);

}  // namespace nereus
