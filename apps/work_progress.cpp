#include "apps/work_progress.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace nereus {
namespace {

TerminalTraits stderr_traits() {
    TerminalWishes wishes;
    const char* term = std::getenv("TERM");
    wishes.term = term == nullptr ? "" : term;
    return traits_of(STDERR_FILENO, wishes);
}

void to_stderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

ProgressMode mode_of(const TerminalTraits& traits) {
    return traits.can_style ? ProgressMode::kBar : ProgressMode::kSilent;
}

}  // namespace

WorkProgress::WorkProgress(const std::string& label)
    : progress_(to_stderr, mode_of(stderr_traits()), label, stderr_traits().columns) {}

}  // namespace nereus
