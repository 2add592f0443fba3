#include "model/family.h"

#include <array>

#include "model/families/families.h"

namespace nereus {
namespace {

// One line a family.
constexpr std::array<const Family*, 4> kFamilies = {&kDeepseekV2, &kDeepseekV3, &kQwen2, &kLlama};

}  // namespace

std::span<const Family* const> all_families() { return kFamilies; }

const Family* find_family(std::string_view model_type) {
    for (const Family* family : kFamilies) {
        if (family->model_type == model_type) {
            return family;
        }
    }
    return nullptr;
}

std::string family_names() {
    std::string names;
    for (const Family* family : kFamilies) {
        names += names.empty() ? "" : ", ";
        names += family->model_type;
    }
    return names;
}

}  // namespace nereus
