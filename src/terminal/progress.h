#pragma once
// How far a long wait is: a bar with a time estimate on a terminal, JSON lines where asked, silence
// everywhere else.

#include <chrono>
#include <string>

#include "terminal/style.h"

namespace nereus {

enum class ProgressMode { kSilent, kBar, kJson };

/// One wait. Draws at most ten times a second, and nothing at all for waits that end within the
/// first 300 ms. threads: one.
class Progress {
  public:
    using Clock = std::chrono::steady_clock;

    /// label: "Loading", "Reading the prompt". A bar is drawn on one row of `columns`.
    Progress(TerminalSink sink, ProgressMode mode, std::string label, int columns,
             Clock::time_point now = Clock::now());
    /// Erases the bar.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// fraction in [0, 1]
    void update(double fraction, Clock::time_point now = Clock::now());
    void finish();

  private:
    std::string bar(double fraction, double seconds_left) const;

    TerminalSink sink_;
    ProgressMode mode_;
    std::string label_;
    int columns_;
    Clock::time_point started_at_, drawn_at_;
    bool drawn_ = false;
};

}  // namespace nereus
