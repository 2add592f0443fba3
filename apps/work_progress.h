#pragma once
// The wait of a command that reads or writes much: a bar on a terminal, silence elsewhere.

#include <cstdint>
#include <string>

#include "terminal/progress.h"

namespace nereus {

class WorkProgress {
  public:
    explicit WorkProgress(const std::string& label);
    void update(uint64_t done, uint64_t total);
    void finish();

  private:
    Progress progress_;
};

}  // namespace nereus
