#pragma once
// Token ids to bytes and bytes to token ids. Ids may have holes; a token may be kept out of the
// search (control tokens: no text ever finds them here).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nereus {

inline constexpr int32_t kNoToken = -1;
/// Above any published vocabulary (262,144) by a factor of 16; bounds what a hostile file can ask.
inline constexpr int32_t kMaxTokens = 4 * 1024 * 1024;

/// kNoToken as nothing.
inline std::optional<int32_t> optional_token(int32_t id) {
    return id == kNoToken ? std::nullopt : std::optional<int32_t>(id);
}

class Vocabulary {
  public:
    /// Gives id (0 <= id < kMaxTokens) its bytes. False when it has some already.
    bool set(int32_t id, std::string_view bytes);

    /// Lets find() return id for its bytes. False when another id has the same bytes.
    bool make_findable(int32_t id);

    /// Empty for an id without a token.
    std::string_view bytes(int32_t id) const;
    bool has(int32_t id) const;
    int32_t n_tokens() const { return static_cast<int32_t>(spans_.size()); }  ///< highest id + 1

    /// The findable token with exactly these bytes, or kNoToken.
    int32_t find(std::string_view bytes) const;
    size_t longest_findable() const { return longest_; }

  private:
    struct Span {
        uint64_t offset = 0;
        uint32_t size = 0;
        bool present = false;
    };
    struct Slot {
        uint32_t hash = 0;
        int32_t id = kNoToken;
    };

    size_t slot_of(std::string_view bytes, uint32_t hash) const;
    void grow();

    std::string arena_;
    std::vector<Span> spans_;
    std::vector<Slot> slots_;  ///< open addressing, a power of two, at most half full
    size_t n_findable_ = 0;
    size_t longest_ = 0;
};

}  // namespace nereus
