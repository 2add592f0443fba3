#pragma once
// The ids of a vocabulary's control and special tokens, and how they are spelled.

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizers/added_tokens.h"

namespace nereus {

class ControlTokenSet {
  public:
    ControlTokenSet() = default;
    explicit ControlTokenSet(const std::vector<AddedToken>& added) {
        for (const AddedToken& token : added) {
            const auto index = static_cast<size_t>(token.id);
            if (index >= flags_.size()) {
                flags_.resize(index + 1);
            }
            if (is_control_token(token)) {
                flags_[index] |= kControl;
                ids_.emplace(token.text, token.id);
            }
            flags_[index] |= token.special ? kSpecial : uint8_t{0};
        }
    }

    bool is_control(int32_t id) const { return (flags(id) & kControl) != 0; }
    bool is_special(int32_t id) const { return (flags(id) & kSpecial) != 0; }
    /// The control token with this spelling, or kNoToken.
    int32_t find(std::string_view text) const {
        const auto found = ids_.find(std::string(text));
        return found == ids_.end() ? kNoToken : found->second;
    }

  private:
    static constexpr uint8_t kControl = 1;
    static constexpr uint8_t kSpecial = 2;

    uint8_t flags(int32_t id) const {
        return id >= 0 && static_cast<size_t>(id) < flags_.size() ? flags_[static_cast<size_t>(id)]
                                                                  : uint8_t{0};
    }

    std::vector<uint8_t> flags_;
    std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace nereus
