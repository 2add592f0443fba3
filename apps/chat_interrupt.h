#pragma once
// Ctrl+C while an answer streams: counted, not fatal.

#include <csignal>

namespace nereus {

/// Catches SIGINT for as long as it lives. One at a time.
class InterruptWatch {
  public:
    InterruptWatch();
    ~InterruptWatch();
    InterruptWatch(const InterruptWatch&) = delete;
    InterruptWatch& operator=(const InterruptWatch&) = delete;

    /// How often Ctrl+C was pressed since creation.
    int count() const;

  private:
    struct sigaction saved_ = {};
};

}  // namespace nereus
