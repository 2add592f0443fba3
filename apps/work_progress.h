#pragma once
// The wait of a command that reads or writes much: a bar on a terminal, silence elsewhere.

#include <string>

#include "terminal/progress.h"

namespace nereus {

class WorkProgress {
  public:
    explicit WorkProgress(const std::string& label);
    void update(double fraction) { progress_.update(fraction); }

  private:
    Progress progress_;
};

}  // namespace nereus
