// The difference between the two regex dialects, and nothing else: Oniguruma's Ruby syntax (what
// the reference splits with) to PCRE2 with UTF, UCP and MULTILINE.

#include "text/pre_split.h"

namespace nereus {
namespace {

struct ClassEscape {
    char letter;
    std::string_view inside;   ///< replacement inside [...]
    std::string_view outside;  ///< replacement outside
};

/// \s is Unicode White_Space: PCRE2's own \s adds U+180E. \w is Alphabetic, marks, decimal digits
/// and connectors: PCRE2 10.42 knows letters, numbers and '_' only. \h is a hexadecimal digit, in
/// PCRE2 it is horizontal space. Negations that cannot be written inside a class are left empty.
constexpr ClassEscape kEscapes[] = {
    {'s', "\\p{White_Space}", "\\p{White_Space}"},
    {'S', "\\P{White_Space}", "\\P{White_Space}"},
    {'w', "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}", "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"},
    {'W', "", "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"},
    {'h', "0-9a-fA-F", "[0-9a-fA-F]"},
    {'H', "", "[^0-9a-fA-F]"},
};

/// Walks a pattern once, copying it with replacements.
class Translator {
  public:
    Translator(std::string_view pattern, std::string_view origin)
        : pattern_(pattern), origin_(origin) {}

    Result<std::string> run() {
        while (at_ < pattern_.size()) {
            NEREUS_TRY(step());
        }
        return std::move(out_);
    }

  private:
    bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

    void copy(size_t n) {
        out_ += pattern_.substr(at_, n);
        at_ += n;
    }

    Error unsupported(std::string_view what) const {
        return make_error(ErrorCode::kUnsupported, "{}: split pattern, byte {}: {} in \"{}\"",
                          origin_, at_, what, pattern_);
    }

    Status step() {
        if (next_is("\\")) {
            return escape();
        }
        if (!in_class_) {
            return next_is("[") ? open_class() : (copy(1), Status());
        }
        if (next_is("[:")) {
            const size_t end = pattern_.find(":]", at_);
            copy(end == pattern_.npos ? 2 : end + 2 - at_);
            return {};
        }
        if (next_is("[")) {
            return unsupported("a class inside a class is not supported");
        }
        if (next_is("&&")) {
            return unsupported("an intersection of classes is not supported");
        }
        in_class_ = !next_is("]");
        copy(1);
        return {};
    }

    Status open_class() {
        in_class_ = true;
        copy(1);
        if (next_is("^")) {
            copy(1);
        }
        if (next_is("]")) {  // first in a class it stands for itself
            copy(1);
        }
        return {};
    }

    Status escape() {
        for (const ClassEscape& row : kEscapes) {
            if (at_ + 1 < pattern_.size() && pattern_[at_ + 1] == row.letter) {
                const std::string_view replacement = in_class_ ? row.inside : row.outside;
                if (replacement.empty()) {
                    return unsupported("a negated class escape inside a class is not supported");
                }
                out_ += replacement;
                at_ += 2;
                return {};
            }
        }
        copy(2);
        return {};
    }

    std::string_view pattern_;
    std::string_view origin_;
    size_t at_ = 0;
    bool in_class_ = false;
    std::string out_;
};

}  // namespace

Result<std::string> translate_pattern(std::string_view pattern, std::string_view origin) {
    // Trailing white space. As written it tries every start in a run of n spaces that is not at the
    // end: n^2 / 2 steps, 5e11 for 1 MB. The leftmost match starts where the run does, so only that
    // start need be tried.
    if (pattern == "\\s+$") {
        return std::string("(?<!\\p{White_Space})\\p{White_Space}++$");
    }
    return Translator(pattern, origin).run();
}

}  // namespace nereus
