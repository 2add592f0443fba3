#pragma once
// Digest: a fast checksum of bytes that arrive in pieces (XXH3, 64 bits). It notices damage, it
// does not resist an attacker.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace nereus {

/// XXH3_64bits of everything added so far. Movable. threads: one at a time.
class Digest {
  public:
    Digest();
    Digest(Digest&&) noexcept;
    Digest& operator=(Digest&&) noexcept;
    ~Digest();

    Digest& add(std::span<const std::byte> bytes);
    /// The text and its length, so that "ab", "c" and "a", "bc" differ.
    Digest& add_text(std::string_view text);
    uint64_t value() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The digest of one piece.
uint64_t digest_of(std::span<const std::byte> bytes);
uint64_t digest_of(std::string_view text);

}  // namespace nereus
