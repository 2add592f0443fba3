#include "terminal/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace nereus {
namespace {

constexpr auto kQuietTime = std::chrono::milliseconds(300);
constexpr auto kDrawInterval = std::chrono::milliseconds(100);
constexpr int kBarColumnsMax = 30;

double seconds(Progress::Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

std::string duration_text(double seconds_left) {
    const auto whole = static_cast<int64_t>(std::ceil(seconds_left));
    return whole < 60 ? fmt::format("{} s", whole)
                      : fmt::format("{}:{:02} min", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(TerminalSink sink, ProgressMode mode, std::string label, int columns,
                   Clock::time_point now)
    : sink_(std::move(sink)),
      mode_(mode),
      label_(std::move(label)),
      columns_(columns),
      started_at_(now),
      drawn_at_(now) {}

Progress::~Progress() { finish(); }

std::string Progress::bar(double fraction, double seconds_left) const {
    std::string tail = fmt::format(" {:3.0f} %", std::floor(fraction * 100));
    if (fraction > 0) {  // nothing done yet says nothing about the rest
        tail += fmt::format(", {} left", duration_text(seconds_left));
    }
    const int room = columns_ - 1 - text_columns(label_) - text_columns(tail) - 3;
    const int width = std::min(kBarColumnsMax, room);
    std::string drawn;
    if (width >= 5) {
        const int filled = static_cast<int>(fraction * width);
        drawn = fmt::format(" [{}{}]", std::string(static_cast<size_t>(filled), '#'),
                            std::string(static_cast<size_t>(width - filled), '-'));
    }
    std::string line = label_ + drawn + tail;
    if (text_columns(line) >= columns_) {
        line = fmt::format("{:.0f} %", std::floor(fraction * 100));
    }
    return line;
}

void Progress::update(double fraction, Clock::time_point now) {
    fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
    const auto waited = now - started_at_;
    const bool too_soon = drawn_ ? now - drawn_at_ < kDrawInterval : waited < kQuietTime;
    if (mode_ == ProgressMode::kSilent || too_soon) {
        return;
    }
    drawn_ = true;
    drawn_at_ = now;
    const double left = fraction > 0 ? seconds(waited) * (1 - fraction) / fraction : 0;
    if (mode_ == ProgressMode::kJson) {
        Json line = {{"type", "progress"}, {"label", label_}, {"fraction", fraction}};
        sink_(dump_json(line) + "\n");
    } else {
        sink_("\r\x1b[K" + bar(fraction, left));
    }
}

void Progress::finish() {
    if (drawn_ && mode_ == ProgressMode::kBar) {
        sink_("\r\x1b[K");
    }
    drawn_ = false;
}

}  // namespace nereus
