#pragma once
// What can be said about a machine without measuring: each finding is one line with a verdict and,
// where something can be done, what.

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/system_facts.h"

namespace nereus {

/// kNote: works, could be better. kBad: costs much speed, or something will fail.
enum class Verdict { kGood, kNote, kBad };
/// "good", "note", "bad"
const char* verdict_name(Verdict verdict);

struct Finding {
    std::string name;  ///< "huge pages"
    Verdict verdict = Verdict::kGood;
    std::string found;   ///< what is there
    std::string advice;  ///< what to do; "" when nothing
};

/// Kernel table, memory, cgroup, swap, huge pages, governor, open files, locked memory, io_uring.
/// best_isa: of available_isas. uring_works: whether a ring could be made just now.
std::vector<Finding> check_system(const SystemFacts& facts, const std::string& best_isa,
                                  bool uring_works);

/// The file system that holds a folder of models.
Finding check_mount(const SystemFacts& facts, const std::filesystem::path& folder);

std::string finding_line(const Finding& finding);
Json finding_json(const Finding& finding);

}  // namespace nereus
