#include "text/pre_split.h"

#include "text/tokenizers/newer_unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace nereus {
namespace {

struct FreePcre {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
    void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreePcre>;

/// Bounds of one search: more than a linear pattern needs for a text of 100 MB, and under a second
/// for one that backtracks without end.
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kHeapLimitKiB = 64 * 1024;

struct Range {
    size_t begin = 0;
    size_t end = 0;
    bool matched = false;
};

PCRE2_SPTR pcre_text(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

size_t character_length(char lead) {
    const auto byte = static_cast<uint8_t>(lead);
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

struct SplitStage {
    SplitRule rule;
    Owned<pcre2_code> code;  ///< none: the stage only writes the space
    Owned<pcre2_match_context> context;
};

namespace {

Result<Owned<pcre2_code>> compile(std::string_view pattern, std::string_view origin) {
    if (pattern.size() > kMaxPatternBytes) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: a split pattern of {} bytes; at most {} are accepted", origin,
                          pattern.size(), kMaxPatternBytes);
    }
    const std::string translated = NEREUS_TRY(translate_pattern(pattern, origin));
    const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int code = 0;
    PCRE2_SIZE offset = 0;
    Owned<pcre2_code> compiled(
        pcre2_compile(pcre_text(translated), translated.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code,
                      &offset, context.get()));
    if (compiled == nullptr) {
        PCRE2_UCHAR reason[256] = {};
        pcre2_get_error_message(code, reason, sizeof(reason));
        return make_error(ErrorCode::kCorrupt,
                          "{}: split pattern does not compile: {} at byte {} of \"{}\"", origin,
                          reinterpret_cast<const char*>(reason), offset, translated);
    }
    pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE);  // without JIT pcre2_match interprets
    return compiled;
}

/// One search per call; the match data of one stage and one text.
class Searcher {
  public:
    Searcher(const pcre2_code* code, pcre2_match_context* context)
        : code_(code), context_(context), data_(pcre2_match_data_create(1, nullptr)) {}

    /// The first match at or after `from`. No match, or a limit reached: false.
    bool find(std::string_view text, size_t from, Range& match) {
        int found = pcre2_match(code_, pcre_text(text), text.size(), from, PCRE2_NO_UTF_CHECK,
                                data_.get(), context_);
        if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
            found = pcre2_match(code_, pcre_text(text), text.size(), from,
                                PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(), context_);
        }
        if (found < 0) {
            return false;
        }
        const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_.get());
        match = {offsets[0], offsets[1], true};
        return match.begin >= from && match.end >= match.begin;  // \K can put them elsewhere
    }

  private:
    const pcre2_code* code_;
    pcre2_match_context* context_;
    Owned<pcre2_match_data> data_;
};

/// Calls piece(range) for matches and for the text between them; an empty match only cuts.
template <typename Piece>
void for_each_range(Searcher& searcher, std::string_view text, const Piece& piece) {
    size_t done = 0;
    size_t from = 0;
    Range match;
    while (from <= text.size() && searcher.find(text, from, match)) {
        if (match.begin > done) {
            piece(Range{done, match.begin, false});
        }
        if (match.end > match.begin) {
            piece(match);
        }
        done = match.end;
        const bool empty = match.end == match.begin;
        from = match.end;
        if (empty) {
            from += from < text.size() ? character_length(text[from]) : 1;
        }
    }
    if (done < text.size()) {
        piece(Range{done, text.size(), false});
    }
}

/// Whether two neighbours become one piece under a merging behaviour.
bool joins(SplitBehavior behavior, const Range& previous, const Range& next) {
    if (behavior == SplitBehavior::kMergedWithPrevious) {
        return next.matched && !previous.matched;
    }
    if (behavior == SplitBehavior::kMergedWithNext) {
        return previous.matched && !next.matched;
    }
    return behavior == SplitBehavior::kContiguous && previous.matched == next.matched;
}

std::vector<Range> merged_ranges(Searcher& searcher, std::string_view text, const SplitRule& rule) {
    std::vector<Range> out;
    bool previous_joined = false;
    for_each_range(searcher, text, [&](Range range) {
        range.matched = range.matched != rule.invert;
        if (rule.behavior == SplitBehavior::kRemoved) {
            if (!range.matched) {
                out.push_back(range);
            }
            return;
        }
        const bool chain = rule.behavior == SplitBehavior::kContiguous || !previous_joined;
        previous_joined = chain && !out.empty() && joins(rule.behavior, out.back(), range);
        if (previous_joined) {
            out.back().end = range.end;
        } else {
            out.push_back(range);
        }
    });
    return out;
}

/// One text on its way through the stages. `shadow` is what the patterns see (stand-ins for newer
/// characters, same offsets), `text` what the pieces are cut from.
class Run {
  public:
    Run(const std::vector<SplitStage>& stages, const PreSplitter::Emit& emit)
        : stages_(stages), emit_(emit) {
        searchers_.reserve(stages.size());
        for (const SplitStage& stage : stages) {
            searchers_.emplace_back(stage.code.get(), stage.context.get());
        }
    }

    void stage(size_t index, std::string_view text, std::string_view shadow) {
        if (index == stages_.size()) {
            emit_(text);
            return;
        }
        if (stages_[index].rule.prefix_space && !text.starts_with(' ')) {
            const std::string prefixed = std::string(1, ' ').append(text);
            const std::string prefixed_shadow = std::string(1, ' ').append(shadow);
            pattern(index, prefixed, prefixed_shadow);
            return;
        }
        pattern(index, text, shadow);
    }

  private:
    /// The stage's pattern on one piece; every part goes on to the next stage.
    void pattern(size_t index, std::string_view text, std::string_view shadow) {
        const SplitRule& rule = stages_[index].rule;
        const auto next = [&](const Range& range) {
            const size_t n = range.end - range.begin;
            stage(index + 1, text.substr(range.begin, n), shadow.substr(range.begin, n));
        };
        if (stages_[index].code == nullptr) {
            next(Range{0, text.size(), false});
        } else if (rule.behavior == SplitBehavior::kIsolated) {  // streams; all published ones
            for_each_range(searchers_[index], shadow, next);
        } else {
            for (const Range& range : merged_ranges(searchers_[index], shadow, rule)) {
                next(range);
            }
        }
    }

    const std::vector<SplitStage>& stages_;
    const PreSplitter::Emit& emit_;
    std::vector<Searcher> searchers_;
};

}  // namespace

Result<PreSplitter> PreSplitter::create(std::span<const SplitRule> rules, std::string_view origin) {
    if (rules.size() > kMaxSplitRules) {
        return make_error(ErrorCode::kUnsupported,
                          "{}: {} pre-tokenizer stages; at most {} are accepted", origin,
                          rules.size(), kMaxSplitRules);
    }
    std::vector<SplitStage> stages;
    for (const SplitRule& rule : rules) {
        SplitStage stage{rule, nullptr,
                         Owned<pcre2_match_context>(pcre2_match_context_create(nullptr))};
        pcre2_set_match_limit(stage.context.get(), kMatchLimit);
        pcre2_set_heap_limit(stage.context.get(), kHeapLimitKiB);
        if (!rule.pattern.empty()) {
            stage.code = NEREUS_TRY(compile(rule.pattern, origin));
        }
        stages.push_back(std::move(stage));
    }
    return PreSplitter(std::move(stages));
}

PreSplitter::PreSplitter(std::vector<SplitStage> stages) : stages_(std::move(stages)) {}
PreSplitter::PreSplitter(PreSplitter&& other) noexcept = default;
PreSplitter& PreSplitter::operator=(PreSplitter&& other) noexcept = default;
PreSplitter::~PreSplitter() = default;

void PreSplitter::split(std::string_view text, const Emit& emit) const {
    if (text.empty()) {
        return;
    }
    std::string newer;
    const std::string_view shadow = stand_in_for_newer(text, newer) ? newer : text;
    Run(stages_, emit).stage(0, text, shadow);
}

}  // namespace nereus
